"""What a client says about a workload rule is read here, and refused with Abiquo's codes."""

from collections.abc import Mapping
from typing import Any

from gateway.api.vm_body import Link, as_object, flag, id_of, links
from gateway.denial import Denied, Kind
from gateway.store.rules import NewRule

LOAD_PERCENT_MAX = 10_000
STORAGE_PERCENT_MAX = 100
FIT_POLICIES = ("PROGRESSIVE", "PERFORMANCE")
_RESOURCES = {
    "datacenter": "datacenters",
    "rack": "racks",
    "machine": "machines",
    "datastore": "datastores",
}
_LEVELS = {
    "machine_load": ("datacenter", "rack", "machine"),
    "datastore_load": ("datacenter", "datastore"),
    "fit_policy": ("datacenter",),
}


def wrong(code: str, field: str, message: str) -> Denied:
    """A refusal of one field of a rule."""
    return Denied(Kind.INVALID, code, f"{field}: {message}", field=field)


def read_rule(kind: str, body: object) -> NewRule:
    """A rule of that kind."""
    given = as_object(body)
    level, element_id = _element(kind, links(given))
    match kind:
        case "machine_load":
            return NewRule(
                kind,
                level,
                element_id,
                cpu_percent=_percent(given, "cpuLoadPercentage", LOAD_PERCENT_MAX),
                ram_percent=_percent(given, "ramLoadPercentage", LOAD_PERCENT_MAX),
                aggregated=flag(given, "aggregated"),
            )
        case "datastore_load":
            percent = _percent(given, "storageLoadPercentage", STORAGE_PERCENT_MAX)
            return NewRule(kind, level, element_id, storage_percent=percent)
        case _:
            policy = given.get("fitPolicy")
            if not isinstance(policy, str) or policy not in FIT_POLICIES:
                raise wrong("RULE-6", "fitPolicy", f"one of {', '.join(FIT_POLICIES)} is needed")
            return NewRule(kind, level, element_id, fit_policy=policy)


def _percent(body: Mapping[str, Any], field: str, most: int) -> int:
    value = body.get(field)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise wrong("RULE-8", field, f"a whole percentage from 0 to {most} is needed")
    return value


def _element(kind: str, given: tuple[Link, ...]) -> tuple[str, int]:
    """The most specific link says what the rule is about; its parents may be given back."""
    code = "RULE-9" if kind == "fit_policy" else "RULE-5"
    levels = _LEVELS[kind]
    named = {link.rel: link for link in given if link.rel in levels}
    strange = [link.rel for link in given if link.rel not in (*levels, "edit", "self")]
    if strange:
        raise wrong(code, f"links[{strange[0]}]", f"only links {', '.join(levels)} are known")
    if len(named) != sum(link.rel in levels for link in given):
        raise wrong(code, "links", "a rule is about one element")
    if not named:
        if kind == "fit_policy":
            return "global", 0
        raise wrong(code, "links", f"a link to one {', '.join(levels)} is needed")
    level = max(named, key=levels.index)
    try:
        return level, id_of(named[level], _RESOURCES[level])
    except Denied as denied:
        raise wrong(code, f"links[{level}]", denied.message.partition(": ")[2]) from denied
