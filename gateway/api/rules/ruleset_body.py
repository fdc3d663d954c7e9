"""A rule set as people write it, in JSON or TOML: each rule names its element by a plain id.

The fields, their limits and the codes of refusals are those of the rules themselves.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import tomli_w
from aiohttp import web

from gateway.api.access import conflict
from gateway.api.http import body_reader
from gateway.api.request_bodies import CAUSE_MAX, as_object, checked_text
from gateway.api.rules.rule_body import read_rule, wrong
from gateway.api.rules.rules import ALONE
from gateway.denial import ApiError, ErrorKind
from gateway.store.rules.rule_versions import Body
from gateway.store.rules.rules import NewRule
from scheduler.simulation.rule_tests import RuleTest
from scheduler.snapshot.json_values import from_json, to_json
from scheduler.snapshot.size_units import bytes_of, mib_of

RULES_MAX = 10_000
TESTS_MAX = 100
TOML = "application/toml"
COLLECTIONS = {
    "machine_load": "machineLoadRules",
    "datastore_load": "datastoreLoadRules",
    "fit_policy": "fitPolicyRules",
    "enterprise_exclusion": "enterpriseExclusionRules",
}
_FIELDS = {
    "machine_load": ("cpuLoadPercentage", "ramLoadPercentage", "aggregated"),
    "datastore_load": ("storageLoadPercentage",),
    "fit_policy": ("fitPolicy", "packing"),
    "enterprise_exclusion": (),
}
_COLUMNS = {
    "cpuLoadPercentage": "cpu_percent",
    "ramLoadPercentage": "ram_percent",
    "storageLoadPercentage": "storage_percent",
    "aggregated": "aggregated",
    "fitPolicy": "fit_policy",
    "packing": "packing",
}
_RESOURCES = {
    "datacenter": "datacenters",
    "rack": "racks",
    "cluster": "clusters",
    "machine": "machines",
    "datastoretier": "datastoretiers",
    "datastore": "datastores",
}
_TEST_SIZES = {"ram": ("ram_mib", mib_of), "disk": ("disk_bytes", bytes_of)}
_KNOWN = {"comment", "tests", "links", "id", "base", "version", *COLLECTIONS.values()}


async def parse(request: web.Request) -> Mapping[str, Any]:
    """The body as its media type says: TOML or JSON."""
    kind = request.headers.get("Content-Type", "")
    if kind.partition(";")[0].strip().lower() == TOML:
        return await body_reader.toml(request)
    return as_object(body_reader.json_of(await body_reader.read(request) or b"{}"))


def read_rules(body: Mapping[str, Any]) -> Body:
    """The rules as rows, in the order of what they are about; ApiError with the rule's own code."""
    for name in body:
        if name not in _KNOWN:
            raise wrong("400-BAD-REQUEST", name, "there is no such field")
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for kind, field in COLLECTIONS.items():
        for n, row in enumerate(_rows(body, field)):
            with _at(f"{field}[{n}]"):
                one = _rule(kind, row)
                about = (one.kind, one.level, one.element_id, one.other_id)
                if about in found:
                    raise conflict("RULE-7", "links: there is a rule of that kind already", "links")
                found[about] = asdict(one)
    if not any(kind == "fit_policy" for kind, *_ in found):
        raise conflict("RULE-4", f"fitPolicyRules: {ALONE}", "fitPolicyRules")
    return [found[about] for about in sorted(found)]


def read_tests(body: Mapping[str, Any]) -> Body:
    """The tests that come with a set, as rows."""
    given = body.get("tests", [])
    if not isinstance(given, list) or len(given) > TESTS_MAX:
        raise wrong("RULE-13", "tests", f"a list of at most {TESTS_MAX} is needed")
    found = []
    for n, one in enumerate(given):
        where = f"tests[{n}]"
        if not isinstance(one, Mapping):
            raise wrong("RULE-13", where, "an object is needed")
        try:
            test = from_json(_sized(one), RuleTest, where)
            checked_text(test.name, where, CAUSE_MAX)
            if min(test.cpu, test.ram_mib, test.disk_bytes, test.hosts_min) < 0:
                raise ValueError(f"{where}: amounts must not be negative")
        except ValueError as error:
            raise ApiError(ErrorKind.INVALID, "RULE-13", str(error), field=where) from error
        found.append(to_json(test))
    return found


def shown_rules(rules: Body) -> dict[str, Any]:
    """Rows as people write them."""
    body: dict[str, Any] = {field: [] for field in COLLECTIONS.values()}
    for row in rules:
        fields = {name: row[_COLUMNS[name]] for name in _FIELDS[row["kind"]]}
        body[COLLECTIONS[row["kind"]]].append({**_element(row), **fields})
    return body


def as_toml(body: Mapping[str, Any]) -> str:
    """A rule set as TOML; what is None is left out, since TOML has no such thing."""
    return tomli_w.dumps(_without_none(dict(body)))


def _rows(body: Mapping[str, Any], field: str) -> list[Any]:
    given = body.get(field)
    rows = given.get("collection", []) if isinstance(given, Mapping) else given
    if not isinstance(rows, list | None) or len(rows or []) > RULES_MAX:
        raise wrong("400-BAD-REQUEST", field, f"a collection of at most {RULES_MAX} is needed")
    return rows or []


def _rule(kind: str, row: object) -> NewRule:
    """A rule with links as the rules have them, or with the plain id of its element."""
    given = dict(as_object(row))
    pair = given.pop("enterprises", [])
    named = [("enterprise", "enterprises", n) for n in (pair if isinstance(pair, list) else [pair])]
    named += [(rel, each, given.pop(rel)) for rel, each in _RESOURCES.items() if rel in given]
    if named:
        known = given.get("links")
        links = [{"rel": rel, "href": f"/{resource}/{n}"} for rel, resource, n in named]
        given["links"] = [*(known if isinstance(known, list) else []), *links]
    for name in given:
        if name not in (*_FIELDS[kind], "links", "id"):
            raise wrong("400-BAD-REQUEST", name, "there is no such field")
    return read_rule(kind, given).rule


def _element(row: Mapping[str, Any]) -> dict[str, Any]:
    if row["kind"] == "enterprise_exclusion":
        return {"enterprises": [row["element_id"], row["other_id"]]}
    return {} if row["level"] == "global" else {row["level"]: row["element_id"]}


@contextlib.contextmanager
def _at(where: str) -> Iterator[None]:
    """A refusal inside names the rule that is wrong."""
    try:
        yield
    except ApiError as denied:
        at = where + (f".{denied.field}" if denied.field else "")
        message = denied.message.removeprefix(f"{denied.field}: ")
        raise ApiError(denied.kind, denied.code, f"{at}: {message}", field=at) from denied


def _sized(test: Mapping[str, Any]) -> dict[str, Any]:
    """Sizes with a unit become numbers."""
    given = dict(test)
    for name, (target, reader) in _TEST_SIZES.items():
        if name in given:
            given[target] = reader(given.pop(name))
    return given


def _without_none(value: Any) -> Any:
    match value:
        case dict():
            return {name: _without_none(v) for name, v in value.items() if v is not None}
        case list() | tuple():
            return [_without_none(each) for each in value]
        case _:
            return value
