"""What a client says about a workload rule is read here, and refused with Abiquo's codes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.api.request_bodies import BodyLink, as_number, as_object, flag, id_of, links, path_of
from gateway.denial import ApiError, ErrorKind
from gateway.store.rules.rules import NewRule, Rule

LOAD_PERCENT_MAX = 10_000
STORAGE_PERCENT_MAX = 100
FIT_POLICIES = ("PROGRESSIVE", "PERFORMANCE")
_RESOURCES = {
    "datacenter": "datacenters",
    "rack": "racks",
    "cluster": "clusters",
    "machine": "machines",
    "datastoretier": "datastoretiers",
    "datastore": "datastores",
    "enterprise": "enterprises",
}
# From the widest to the most specific, which is the one the rule is about.
_LEVELS = {
    "machine_load": ("datacenter", "rack", "cluster", "machine"),
    "datastore_load": ("datacenter", "datastoretier", "datastore"),
    "fit_policy": ("datacenter",),
    "enterprise_exclusion": ("enterprise",),
}
_LINK_CODES = {
    "machine_load": "RULE-5",
    "datastore_load": "RULE-9",
    "fit_policy": "RULE-9",
    "enterprise_exclusion": "RULE-5",
}
_ANCESTOR = re.compile(r"/(datacenters|racks)/([0-9]{1,18})(?=/)")


@dataclass(frozen=True, slots=True)
class GivenRule:
    """A rule as a client gave it; `links` name its element and perhaps what that lies in."""

    rule: NewRule
    links: tuple[BodyLink, ...]


def wrong(code: str, field: str, message: str) -> ApiError:
    """A refusal of one field of a rule."""
    return ApiError(ErrorKind.INVALID, code, f"{field}: {message}", field=field)


def wrong_link(kind: str, message: str, rel: str | None = None) -> ApiError:
    """A refusal of what a rule is about."""
    return wrong(_LINK_CODES[kind], "links" if rel is None else f"links[{rel}]", message)


def with_numbers(body: object) -> object:
    """A rule with its percentages as numbers where a client wrote them as decimal text."""
    if not isinstance(body, Mapping):
        return body
    return {
        name: as_number(value) if name.endswith("Percentage") else value
        for name, value in body.items()
    }


def read_rule(kind: str, body: object) -> GivenRule:
    """A new rule of that kind."""
    given = as_object(body)
    about = _known_links(kind, links(given))
    if kind == "enterprise_exclusion":
        return GivenRule(_exclusion(about), about)
    level, element_id = _element(kind, about)
    return GivenRule(_rule(kind, level, element_id, given), about)


def read_change(old: Rule, body: object) -> GivenRule:
    """What a rule is to say from now on: what is left out stays, and so does its element."""
    given = {field: value for field, value in as_object(body).items() if value is not None}
    about = _known_links(old.kind, links(given))
    if about and _element(old.kind, about)[0] != old.level:
        raise wrong_link(old.kind, f"the rule is about a {old.level}, which cannot be changed")
    if given.get("fitPolicy", "PROGRESSIVE") != "PROGRESSIVE":
        given.setdefault("packing", False)
    fields = {
        "cpuLoadPercentage": old.cpu_percent,
        "ramLoadPercentage": old.ram_percent,
        "storageLoadPercentage": old.storage_percent,
        "aggregated": old.aggregated,
        "fitPolicy": old.fit_policy,
        "packing": old.packing,
    }
    return GivenRule(_rule(old.kind, old.level, old.element_id, {**fields, **given}), about)


def require_agreement(rule: Rule, given: tuple[BodyLink, ...]) -> None:
    """Refuse links that name anything but the rule's own element and what that lies in."""
    own = {
        "datacenter": rule.datacenter_id,
        "rack": rule.rack_id,
        "cluster": rule.cluster_id,
        "datastoretier": rule.tier_id,
        rule.level: rule.element_id,
    }
    above = {"datacenters": rule.datacenter_id, "racks": rule.rack_id}
    for link in given:
        if link.rel == "enterprise":
            continue
        if own.get(link.rel) != _id(rule.kind, link):
            raise wrong_link(rule.kind, f"it is not where the {rule.level} is", link.rel)
        for name, number in _ANCESTOR.findall(path_of(link)):
            if above[name] not in (None, int(number)):
                raise wrong_link(rule.kind, "there is no such element", link.rel)


def _rule(kind: str, level: str, element_id: int, given: Mapping[str, Any]) -> NewRule:
    match kind:
        case "machine_load":
            return NewRule(
                kind,
                level,
                element_id,
                cpu_percent=_percent(given, "cpuLoadPercentage", LOAD_PERCENT_MAX, "RULE-10"),
                ram_percent=_percent(given, "ramLoadPercentage", LOAD_PERCENT_MAX, "RULE-11"),
                aggregated=flag(given, "aggregated"),
            )
        case "datastore_load":
            percent = _percent(given, "storageLoadPercentage", STORAGE_PERCENT_MAX, "RULE-12")
            return NewRule(kind, level, element_id, storage_percent=percent)
        case _:
            policy = given.get("fitPolicy")
            if not isinstance(policy, str) or policy not in FIT_POLICIES:
                raise wrong("RULE-6", "fitPolicy", f"one of {', '.join(FIT_POLICIES)} is needed")
            packing = _packing(given, policy)
            return NewRule(kind, level, element_id, fit_policy=policy, packing=packing)


def _packing(given: Mapping[str, Any], policy: str) -> bool:
    packing = given.get("packing")
    if not isinstance(packing, bool | None):
        raise wrong("RULE-6", "packing", "true or false is needed")
    if packing and policy != "PROGRESSIVE":
        raise wrong("RULE-6", "packing", "it goes with PROGRESSIVE only")
    return bool(packing)


def _percent(body: Mapping[str, Any], field: str, most: int, too_much: str) -> int:
    value = body.get(field)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise wrong("RULE-8", field, f"a whole percentage from 0 to {most} is needed")
    if value > most:
        raise wrong(too_much, field, f"at most {most} is allowed")
    return value


def _known_links(kind: str, given: tuple[BodyLink, ...]) -> tuple[BodyLink, ...]:
    """The links that say what the rule is about; its own address may be given back."""
    levels = _LEVELS[kind]
    for link in given:
        if link.rel not in (*levels, "edit", "self"):
            raise wrong_link(kind, f"only links {', '.join(levels)} are known", link.rel)
    return tuple(link for link in given if link.rel in levels)


def _exclusion(about: tuple[BodyLink, ...]) -> NewRule:
    kind = "enterprise_exclusion"
    if len(about) != 2:
        raise wrong_link(kind, "links to exactly two enterprises are needed", "enterprise")
    lower, higher = sorted(_id(kind, link) for link in about)
    if lower == higher:
        raise wrong_link(kind, "an enterprise is not kept apart from itself", "enterprise")
    return NewRule(kind, "enterprise", lower, higher)


def _element(kind: str, about: tuple[BodyLink, ...]) -> tuple[str, int]:
    """The most specific link says what the rule is about; what that lies in may be given too."""
    levels = _LEVELS[kind]
    named = {link.rel: link for link in about}
    if len(named) != len(about):
        raise wrong_link(kind, "a rule is about one element")
    if not named:
        if kind == "fit_policy":
            return "global", 0
        raise wrong_link(kind, f"a link to one {', '.join(levels)} is needed")
    level = max(named, key=levels.index)
    return level, _id(kind, named[level])


def _id(kind: str, link: BodyLink) -> int:
    try:
        return id_of(link, _RESOURCES[link.rel])
    except ApiError as denied:
        raise wrong_link(kind, denied.message.partition(": ")[2], link.rel) from denied
