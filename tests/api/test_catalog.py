"""Machines, datastores, virtual datacenters and appliances: read, changed and given back as got."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.store.db.pool import Store
from tests.api.vm_client import Api, link, serving
from tests.api.vm_world import ROOT

RACK = "admin/datacenters/1/racks/1"
MACHINES = f"{RACK}/machines"
VDCS = "cloud/virtualdatacenters"
NEW_HOST = {"name": "h9", "ip": "10.0.0.9", "type": "KVM", "datastores": [{"name": "ds"}]}


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world."""
    async with serving(store) as opened:
        yield opened


async def test_every_link_from_the_entry_point_leads_somewhere(api: Api) -> None:
    """M-103, M-105: following links only, nothing dangles and everything is typed."""
    seen: set[str] = set()
    await _furnish(api)
    waiting = [
        f"{ROOT}{path}"
        for path in ("login", "admin/datacenters", "admin/rules", "cloud/locations", VDCS)
    ]
    while waiting:
        href = waiting.pop()
        if href in seen or "/action/" in href.split("?")[0]:
            continue
        seen.add(href)
        answer = await api.raw("GET", f"/api/{href.removeprefix(ROOT)}")
        assert answer.status == 200, href
        waiting += [one["href"] for one in _links(answer.body) if one["rel"] not in ("disk0",)]
    assert len(seen) > 60
    for word in ("/clusters/", "/datastoretiers/", "/layers/", "/reservedmachines", "Exclusions/"):
        assert any(word in href for href in seen), word


async def _furnish(api: Api) -> None:
    """One of everything that rules are about."""
    datacenter = f"{ROOT}admin/datacenters/1"
    vms = [await api.make(), await api.make()]
    tier = {"rel": "datastoretier0", "href": f"{ROOT}cloud/locations/1/datastoretiers/1"}
    host = {"rel": "machine", "href": f"{ROOT}{MACHINES}/1"}
    pair = [{"rel": "enterprise", "href": f"{ROOT}admin/enterprises/{n}"} for n in (1, 2)]
    members = [{"rel": "virtualmachine", "href": f"{ROOT}{vm}"} for vm in vms]
    for method, path, body in (
        ("POST", f"{RACK}/clusters", {"name": "c", "links": [host]}),
        ("POST", "admin/enterprises/1/reservedmachines", {"links": [host]}),
        ("POST", "admin/datacenters/1/datastoretiers", {"name": "t", "defaultForDatacenter": True}),
        (
            "PUT",
            "admin/datacenters/1/datastoretiers/1/action/adddatastores",
            {"links": [{"rel": "datastore", "href": f"{datacenter}/datastores/1"}]},
        ),
        ("PUT", vms[0], {"links": [tier]}),
        (
            "POST",
            f"{VDCS}/1/virtualappliances/1/layers",
            {"name": "a layer & more", "links": members},
        ),
        ("POST", "admin/rules/enterpriseExclusions", {"links": pair}),
        (
            "POST",
            "admin/rules/machineLoadLevel",
            {"cpuLoadPercentage": 1, "ramLoadPercentage": 1, "links": [host]},
        ),
    ):
        answer = await api.call(method, path, body)
        assert answer.status < 300, (path, answer.body)


def _links(body: Any) -> list[dict[str, Any]]:
    if isinstance(body, list):
        return [one for each in body for one in _links(each)]
    if not isinstance(body, dict):
        return []
    own = [
        one for one in body.get("links", []) if one.get("type") and "repositor" not in one["rel"]
    ]
    return own + [one for key, each in body.items() if key != "links" for one in _links(each)]


async def test_a_host_is_registered_seen_edited_and_removed(api: Api) -> None:
    made = await api.call("POST", MACHINES, NEW_HOST)
    assert made.status == 201
    assert made.body["state"] == "STOPPED"  # nobody has seen it yet
    assert [one["name"] for one in made.body["datastores"]["collection"]] == ["ds"]
    path = f"{MACHINES}/{made.body['id']}"
    back = await api.call("PUT", path, made.body)
    assert back.status == 200
    assert await api.row("select state from host where name = 'h9'") == "MANAGED"
    halted = await api.call("PUT", path, {**made.body, "state": "HALTED", "description": "new"})
    assert (halted.body["state"], halted.body["description"]) == ("HALTED", "new")
    assert (await api.call("GET", f"{path}/action/checkstate?sync=true")).body["state"] == "HALTED"
    twice = await api.call("POST", MACHINES, NEW_HOST)
    assert (twice.status, twice.code) == (409, "MACHINE-4")
    assert (await api.call("DELETE", path)).status == 204
    assert (await api.call("GET", path)).code == "MACHINE-0"
    assert await api.row("select count(*) from ledger where kind = 'host'") == 6


async def test_a_host_with_vms_is_not_removed(api: Api) -> None:
    vm = await api.make()
    await api.put(vm, "ON", 1)
    refused = await api.call("DELETE", f"{MACHINES}/1")
    assert (refused.status, refused.code) == (409, "MACHINE-6")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": None}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"ip": None}, "ip"),
        ({"type": "AZURE"}, "type"),
        ({"hypervisor": "nowhere"}, "hypervisor"),
        ({"state": "STOPPED"}, "state"),
        ({"networks": {"lan": 7}}, "networks"),
        ({"datastores": [{"name": "no such"}]}, "datastores"),
        ({"datastores": 7}, "datastores"),
        ({"name": "a\x00b"}, "name"),
    ],
)
async def test_a_wrong_host_is_refused_and_nothing_is_half_made(
    api: Api, change: dict[str, Any], field: str
) -> None:
    refused = await api.call("POST", MACHINES, {**NEW_HOST, **change})
    assert refused.status == 400
    assert field in refused.message
    assert await api.row("select count(*) from host") == 6


async def test_a_datastore_is_switched_off_and_on(api: Api) -> None:
    path = "admin/datacenters/1/datastores/1"
    one = (await api.call("GET", path)).body
    assert one["enabled"] is True
    off = await api.call("PUT", path, {**one, "enabled": False})
    assert off.body["enabled"] is False
    before = await api.row("select character from ledger where kind = 'datastore'")
    on = await api.call("PUT", path, one)
    assert on.body["enabled"] is True
    assert await api.row("select character from ledger where kind = 'datastore'") == before + 1
    assert (await api.call("PUT", path, {})).status == 400


async def test_a_virtual_datacenter_and_its_appliances(api: Api) -> None:
    """Created by links, renamed, given back as got, and removed only when empty."""
    body = {
        "name": "fresh",
        "hypervisorType": "KVM",
        "network": {"name": "n", "address": "10.7.0.0", "mask": 24, "gateway": "10.7.0.1"},
        "links": [{"rel": "location", "href": f"{ROOT}cloud/locations/1"}],
    }
    made = await api.call("POST", VDCS, body)
    assert made.status == 201
    assert made.body["network"]["address"] == "10.7.0.0"
    assert (await api.call("POST", VDCS, body)).code == "VDC-4"
    path = f"{VDCS}/{made.body['id']}"
    assert (await api.call("PUT", path, made.body)).status == 200
    appliance = await api.call("POST", f"{path}/virtualappliances", {"name": "app"})
    assert appliance.status == 201
    assert (
        await api.call("PUT", f"{path}/virtualappliances/{appliance.body['id']}", appliance.body)
    ).status == 200
    state = await api.call("GET", link(appliance.body, "state")["href"].removeprefix(ROOT))
    assert state.body["power"] == "EMPTY"
    assert (await api.call("DELETE", path)).code == "VDC-6"
    own = f"{path}/virtualappliances/{appliance.body['id']}"
    assert (await api.call("DELETE", own)).status == 204
    assert (await api.call("DELETE", path)).status == 204
    assert (await api.call("GET", path)).code == "VDC-0"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 41}, "name"),
        ({"hypervisorType": "XEN"}, "hypervisorType"),
        ({"hypervisorType": ["KVM"]}, "hypervisorType"),
        ({"links": []}, "links[location]"),
        ({"links": [{"rel": "location", "href": f"{ROOT}cloud/locations/77"}]}, "links[location]"),
        ({"network": 7}, "network"),
        ({"network": {"address": "10.0.0.0", "mask": 31}}, "network.mask"),
        ({"network": {"address": "nowhere"}}, "network.address"),
        ({"network": {"address": "10.0.0.0", "gateway": "11.0.0.1"}}, "network.gateway"),
    ],
)
async def test_a_wrong_virtual_datacenter_is_refused_by_its_field(
    api: Api, change: dict[str, Any], field: str
) -> None:
    body = {
        "name": "fresh",
        "hypervisorType": "KVM",
        "links": [{"rel": "location", "href": f"{ROOT}cloud/locations/1"}],
        **change,
    }
    refused = await api.call("POST", VDCS, body)
    assert refused.status == 400
    assert field in refused.message


async def test_lists_are_paged_and_searched(api: Api) -> None:
    for n in range(5):
        await api.call("POST", f"{VDCS}/1/virtualappliances", {"name": f"page-{n}"})
    first = await api.call("GET", f"{VDCS}/1/virtualappliances?limit=2&has=page&by=name&asc=true")
    assert [one["name"] for one in first.body["collection"]] == ["page-0", "page-1"]
    assert first.body["totalSize"] == 5
    following = link(first.body, "next")["href"].removeprefix(ROOT)
    second = await api.call("GET", following)
    assert [one["name"] for one in second.body["collection"]] == ["page-2", "page-3"]
    for query in ("limit=-1", "limit=x", "startwith=-5", "by=password", "asc=maybe"):
        refused = await api.call("GET", f"{VDCS}/1/virtualappliances?{query}")
        assert refused.status == 400, query


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "nowhere", {}, 404),
        ("PATCH", "login", {}, 405),
        ("GET", "login", {"Accept": "text/html"}, 406),
        ("GET", "login", {"Accept": "application/vnd.abiquo.user+json; version=4.0"}, 406),
        ("POST", VDCS, {"Content-Type": "application/xml"}, 415),
    ],
)
async def test_the_routers_own_refusals_are_errors_too(
    api: Api, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    """M-100: each of them is errors+json with a code."""
    answer = await api.call(
        method, path, headers=headers, data=b"<x/>" if method == "POST" else None
    )
    assert answer.status == status
    assert answer.headers["Content-Type"].startswith("application/vnd.abiquo.errors+json")
    assert str(status) in answer.code
