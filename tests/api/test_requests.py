"""Faults I4, I1 to I5 (where not offered): what is asked for and not offered is refused by name.

Every route declares its query parameters and the fields of its body; the tests walk all of them.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from yarl import URL

from gateway.api.http.body_fields import EMPTY, Body, Own
from gateway.api.http.body_table import BODIES, HEED_IF_MATCH
from gateway.api.http.query_table import QUERIES
from gateway.api.routes import ROUTES
from gateway.store.db.pool import Store
from tests.api import vm_world
from tests.api.refused_requests import (
    APPLIANCE,
    CONTRADICTIONS,
    DATACENTER,
    ENTERPRISE,
    MACHINES,
    REFUSED,
    VDC,
)
from tests.api.vm_client import Api, serving

WRITES = [(method, path) for method, path, _, _ in ROUTES if method != "GET"]


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world."""
    async with serving(store) as opened:
        yield opened


def filled(path: str) -> str:
    """A route's path with something in each of its parts."""
    for part in [each[1:-1] for each in path.split("/") if each.startswith("{")]:
        path = path.replace(f"{{{part}}}", "KVM" if part == "type" else "1")
    return path.strip("/")


def test_every_route_declares_what_it_takes() -> None:
    """One that is added without a declaration fails here; so does one that is gone."""
    asked = {(method, path) for method, path, _, _ in ROUTES}
    assert set(QUERIES) == asked
    assert set(BODIES) == set(WRITES)
    assert set(HEED_IF_MATCH) < set(WRITES)


async def test_no_route_takes_an_unknown_query_parameter(api: Api) -> None:
    """I4, I1: also `dryRun`, and a known one given twice."""
    for method, path, _, _ in ROUTES:
        url = filled(path)
        for query in ("limt=2", "dryRun=true", "actor=x", "hold=1"):
            answer = await api.call(method, f"{url}?{query}")
            name = query.partition("=")[0]
            assert (answer.status, answer.code) == (400, "400-BAD-REQUEST"), (method, url, query)
            assert answer.body["collection"][0]["field"] == name
            assert answer.message.startswith(f"{name}: ")
        for parameter in QUERIES[method, path]:
            answer = await api.call(method, f"{url}?{parameter.name}=1&{parameter.name}=1")
            assert answer.status == 400, (method, url, parameter.name)
            assert answer.body["collection"][0]["field"] == parameter.name
    assert await api.row("select count(*) from vm") == 0


async def test_a_near_name_is_told(api: Api) -> None:
    answer = await api.call("GET", "cloud/virtualmachines?limt=2")
    assert answer.message == ("limt: this request has no such query parameter; did you mean limit?")
    answer = await api.call("GET", "events?DATEFROM=1")
    assert answer.message.endswith("did you mean datefrom?")
    answer = await api.call("GET", f"{APPLIANCE}?expand=x")
    assert answer.message.endswith("it takes none")


async def test_no_known_query_parameter_takes_a_value_it_cannot_have(api: Api) -> None:
    """I4: an empty, negative or wordy number, an empty text, a word that is not one of them."""
    wrong: dict[str, tuple[str, ...]] = {
        "limit": ("", "abc", "-1", "1.5", "9" * 12, "%C2%B2"),
        "startwith": ("", "x", "-1"),
        "asc": ("", "maybe", "1"),
        "by": ("", "size", "name;"),
        "has": ("", "%07"),
        "force": ("", "yes"),
        "severity": ("", "LOUD"),
        "datefrom": ("", "yesterday", "2026-01-01"),
        "after": ("", "-1", "x"),
        "outcome": ("", "maybe"),
        "vm": ("", "x", "1.5"),
        "task": ("", "1"),
        "since": ("", "now"),
        "days": ("", "-1", "3651"),
        "idDatacenter": ("", "x"),
        "enterprise": ("", "x"),
        "datacenter": ("", "x"),
        "target": ("", "all"),
        "release": ("", "true"),
        "expand": ("", "all"),
        "sync": ("", "x"),
        "with": ("", "x"),
    }
    tried = set()
    for (method, path), query in QUERIES.items():
        for name in {each.name for each in query} & set(wrong):
            tried.add(name)
            for value in wrong[name]:
                url = URL(f"/api/{filled(path)}?{name}={value}", encoded=True)
                answer = await api.call(method, url)
                assert answer.status == 400, (method, url, answer.body)
                assert answer.body["collection"][0]["field"] == name, (method, url)
    assert tried == set(wrong)


async def test_no_route_takes_an_unknown_body_field(api: Api) -> None:
    """I4: of any route, of any kind; a rule set has its own words for it."""
    for method, path in WRITES:
        answer = await api.call(method, filled(path), {"unheardOf": 1})
        assert answer.status == 400, (method, path, answer.body)
        assert answer.body["collection"][0]["field"] == "unheardOf", (method, path)
    assert await api.row("select count(*) from vm") == 0


async def test_what_takes_no_body_takes_an_empty_one(api: Api) -> None:
    """api.md 0: clients send nothing, `null`, or an empty object; each answer is the same."""
    for method, path in WRITES:
        if BODIES[method, path] is not EMPTY or path == "/logout":
            continue
        answers = [
            await api.call(method, filled(path), data=data, headers={"Content-Type": kind})
            for data, kind in ((b"", "*/*"), (b"null", "*/*"), (b"{}", "application/json"))
        ]
        assert len({answer.status for answer in answers}) == 1 or "204" in str(answers), path
        assert all(answer.status != 415 for answer in answers), path


@pytest.mark.parametrize(("method", "path", "body", "field"), REFUSED)
async def test_a_field_that_is_not_offered_is_refused_by_its_path(
    api: Api, method: str, path: str, body: dict[str, Any], field: str
) -> None:
    """I4, I3: and nothing was changed by the rest of the request."""
    before = await api.row("select count(*) from outbox")
    if path == vm_world.VMS:
        body = {"links": [vm_world.TEMPLATE_LINK], **body}
    answer = await api.call(method, path, body)
    assert answer.status in (400, 409), answer.body
    assert answer.body["collection"][0]["field"] == field, answer.body
    assert field in answer.message
    assert await api.row("select count(*) from outbox") == before


@pytest.mark.parametrize("asked", ["state", "protected", "uuid", "name", "deallocated"])
async def test_a_vm_is_not_changed_by_a_field_that_has_a_request_of_its_own(
    api: Api, asked: str
) -> None:
    """A PUT that only wishes for it is refused; the whole VM as it was some time ago is taken."""
    vm = await api.make(label="x")
    await api.put(vm, "OFF", 1)
    wish = {"state": "ON", "protected": True, "deallocated": True}.get(asked, "other")
    answer = await api.call("PUT", vm, {"label": "y", asked: wish})
    assert (answer.status, answer.body["collection"][0]["field"]) == (409, asked)
    assert (await api.call("GET", vm)).body["label"] == "x"
    stale = (await api.call("GET", vm)).body
    await api.put(vm, "ON", 1)
    assert (await api.call("PUT", vm, {**stale, "label": "z"})).status == 204
    assert (await api.call("GET", vm)).body["label"] == "z"


async def test_whatever_get_gives_put_takes_back(api: Api) -> None:
    """Of every resource that has both."""
    vm = await api.make()
    tier = await api.call("POST", "admin/datacenters/1/datastoretiers", {"name": "gold"})
    cluster = await api.call("POST", "admin/datacenters/1/racks/1/clusters", {"name": "c"})
    rule = await api.call(
        "POST", "admin/rules/fitsPolicy", {"fitPolicy": "PERFORMANCE", "links": [DATACENTER]}
    )
    made = [
        str(each.link("edit")["href"]).removeprefix(vm_world.ROOT)
        for each in (tier, cluster, rule)
        if each.status == 201 and each.link("edit")
    ]
    assert len(made) == 3
    template = vm_world.TEMPLATE_LINK["href"].removeprefix(vm_world.ROOT)
    for path in (vm, VDC, APPLIANCE, ENTERPRISE, f"{MACHINES}/1", template, *made):
        given = (await api.call("GET", path)).body
        answer = await api.call("PUT", path, given)
        assert answer.status in (200, 204), (path, answer.body)
        after = (await api.call("GET", path)).body
        assert after == given, path
    machine = (await api.call("GET", f"{MACHINES}/2")).body
    answer = await api.call("POST", f"{ENTERPRISE}/reservedmachines", machine)
    assert answer.status == 201, answer.body


@pytest.mark.parametrize("header", ["Idempotency-Key", "If-Match", "If-None-Match"])
async def test_a_header_that_is_not_offered_changes_nothing(api: Api, header: str) -> None:
    """I2, I5: where it is not heeded the request is refused, on every route that writes."""
    for method, path in WRITES:
        if header == "If-Match" and (method, path) in HEED_IF_MATCH:
            continue
        answer = await api.call(method, filled(path), headers={header: '"stale"'})
        assert answer.status == (400 if header == "Idempotency-Key" else 412), (method, path)
        assert answer.body["collection"][0]["field"] == header
    assert (await api.call("GET", VDC, headers={header: "x"})).status == 200


@pytest.mark.parametrize(("method", "path", "body", "field"), CONTRADICTIONS)
async def test_a_request_that_contradicts_itself_is_refused(
    api: Api, method: str, path: str, body: dict[str, Any], field: str
) -> None:
    """I17: one half of it would be passed over, so nothing is done."""
    vm = await api.make()
    await api.put(vm, "ON", 1)
    if body.get("kind") in ("rebalance", "consolidate"):
        body = {**body, "links": [DATACENTER]}
    answer = await api.call(method, path.format(vm=vm), body)
    assert answer.status == 400, answer.body
    assert answer.body["collection"][0]["field"] == field
    assert await api.row("select count(*) from task") == 0


def test_our_own_resources_pass_nothing_over() -> None:
    """Holds, plans and the actions on them know no field but those they read."""
    for (_, path), body in BODIES.items():
        if path.startswith(("/admin/holds", "/admin/plans", "/admin/rulesets")):
            assert isinstance(body, Own) or (isinstance(body, Body) and not body.fields.model)
