"""VMs over HTTP: made, read with all links, edited, deleted, listed."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.store.db.pool import Store
from tests.api import vm_world
from tests.api.vm_client import Api, link, number, serving

FIELDS: dict[str, type | tuple[type, ...]] = {
    "id": int,
    "uuid": str,
    "name": str,
    "label": str,
    "description": str,
    "cpu": int,
    "coresPerSocket": int,
    "ram": int,
    "state": str,
    "idState": int,
    "type": str,
    "idType": int,
    "highDisponibility": int,
    "monitored": bool,
    "protected": bool,
    "deallocated": bool,
    "variables": dict,
    "backuppolicies": list,
    "natrules": list,
    "usageStatistics": list,
    "lastSynchronize": int,
    "creationTimestamp": int,
    "generateGuestInitialPassword": bool,
    "vdrpEnabled": bool,
    "vdrpPort": int,
    "password": str,
}
RELS = {
    "edit",
    "state",
    "tasks",
    "nics",
    "harddisks",
    "volumes",
    "metadata",
    "tags",
    "nic0",
    "location",
    "enterprise",
    "user",
    "virtualdatacenter",
    "virtualappliance",
    "virtualmachinetemplate",
    "hypervisortype",
    "deploy",
    "undeploy",
    "reset",
    "protect",
    "unprotect",
    "relocate",
    "relocatecandidates",
    "events",
}


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world."""
    async with serving(store) as opened:
        yield opened


async def test_a_new_vm_has_every_field_and_link(api: Api) -> None:
    """M-101, M-103, M-104, M-106, M-060."""
    answer = await api.call("GET", await api.make(label="web", description="a\nb"))
    body = answer.body
    assert answer.headers["Content-Type"].startswith("application/vnd.abiquo.virtualmachine+json")
    assert {name for name, kind in FIELDS.items() if not isinstance(body[name], kind)} == set()
    assert body["name"] == f"ABQ_{body['uuid']}"
    assert (body["label"], body["description"]) == ("web", "a\nb")
    assert (body["cpu"], body["ram"]) == (2, 256)
    assert (body["state"], body["idState"]) == ("NOT_ALLOCATED", 1)
    assert {one["rel"] for one in body["links"]} == RELS
    assert all(one["type"] and one["href"].startswith("http") for one in body["links"])
    state = answer.link("state")
    assert state is not None
    assert state["title"] == body["state"]


@pytest.mark.parametrize("size", [1, 2**31 - 1])
async def test_any_size_can_be_made(api: Api, size: int) -> None:
    body = (await api.call("GET", await api.make(cpu=size, ram=size))).body
    assert (body["cpu"], body["ram"]) == (size, size)


@pytest.mark.parametrize("field", ["cpu", "ram"])
@pytest.mark.parametrize("value", [0, -1, 2**31, 10**30, 1.5, "two", True, [], {}])
async def test_an_impossible_size_is_refused_by_its_name(
    api: Api, field: str, value: object
) -> None:
    body = {field: value, "links": [vm_world.TEMPLATE_LINK]}
    answer = await api.call("POST", vm_world.VMS, body)
    assert answer.status == 400
    assert field in answer.message


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"label": "a\x00b"}, "label"),
        ({"label": " "}, "label"),
        ({"label": "x" * 256}, "label"),
        ({"label": 5}, "label"),
        ({"description": "\x07"}, "description"),
        ({"variables": []}, "variables"),
        ({"variables": {"a": 1}}, "variables"),
        ({"coresPerSocket": 2}, "coresPerSocket"),
        ({"links": 5}, "links"),
        ({"links": [5]}, "links[0]"),
        ({"links": [{"href": "x"}]}, "links[0].rel"),
        ({"links": []}, "virtualmachinetemplate"),
        ({"links": [{"rel": "virtualmachinetemplate", "href": "nonsense"}]}, "template"),
        ({"links": [{"rel": "virtualmachinetemplate", "href": "http://[x"}]}, "template"),
    ],
)
async def test_a_wrong_field_is_refused_by_its_name(
    api: Api, fields: dict[str, Any], named: str
) -> None:
    body = {"links": [vm_world.TEMPLATE_LINK], **fields}
    answer = await api.call("POST", vm_world.VMS, body)
    assert answer.status == 400
    assert named in answer.message


@pytest.mark.parametrize("rel", ["nic0", "disk0", "hardwareprofile", "datastoretier0"])
async def test_hardware_of_ones_own_choice_is_refused(api: Api, rel: str) -> None:
    links = [vm_world.TEMPLATE_LINK, {"rel": rel, "href": "http://x/1"}]
    answer = await api.call("POST", vm_world.VMS, {"links": links})
    assert answer.status == 400
    assert f"links[{rel}]" in answer.message


@pytest.mark.parametrize(("template", "status"), [(2, 409), (3, 409), (4, 404), (999, 404)])
async def test_a_template_must_suit_the_appliance(api: Api, template: int, status: int) -> None:
    href = f"{vm_world.ROOT}admin/x/virtualmachinetemplates/{template}"
    body = {"links": [{"rel": "virtualmachinetemplate", "href": href}]}
    assert (await api.call("POST", vm_world.VMS, body)).status == status
    assert await api.row("select count(*) from vm") == 0


async def test_a_placed_vm_has_a_machine_link(api: Api) -> None:
    """M-034, M-060."""
    vm = await api.make()
    assert (await api.call("GET", vm)).link("machine") is None
    await api.put(vm, "ON", 1)
    machine = (await api.call("GET", vm)).link("machine")
    assert machine is not None
    assert machine["href"].endswith("/admin/datacenters/1/racks/1/machines/1")
    assert machine["title"] == "h1"


async def test_numbers_of_states(api: Api) -> None:
    """M-060..M-069."""
    vm = await api.make()
    names = ["NOT_ALLOCATED", "ALLOCATED", "CONFIGURED", "ON", "PAUSED", "OFF"]
    for number_, state in enumerate(names, 1):
        await api.put(vm, state, 1)
        assert (await api.call("GET", vm)).body["idState"] == number_
    await api.put(vm, "UNKNOWN", 1)
    body = (await api.call("GET", vm)).body
    assert (body["idState"], body["lastKnownState"]) == (8, "ON")


async def test_locked_tells_what_lies_below(api: Api) -> None:
    """M-066, M-027."""
    vm = await api.make()
    await api.put(vm, "ON", 1)
    task = await api.lock(vm, "RELOCATE", "running")
    async with api.store.transaction() as c:
        await c.execute("update job set state = 'STARTED', progress = 40")
    answer = await api.call("GET", vm)
    body = answer.body
    assert (body["state"], body["idState"], body["previousState"]) == ("LOCKED", 7, "ON")
    assert (body["displayState"], body["progress"]) == ("RELOCATING", 40)
    operation = answer.link("operation")
    assert operation is not None
    assert operation["href"].endswith(f"/tasks/{task}")


async def test_lists_hold_what_belongs_there(api: Api) -> None:
    one, two = await api.make(label="a"), await api.make(label="b")
    await api.put(two, "ON", 2)
    lists = {
        vm_world.VMS: [one, two],
        "cloud/virtualmachines": [one, two],
        "cloud/virtualmachines?vmlabel=b": [two],
        "cloud/virtualmachines?has=A": [one, two],
        "cloud/virtualdatacenters/1/action/virtualmachines": [one, two],
        "admin/enterprises/1/action/virtualmachines": [one, two],
        "admin/enterprises/1/users/1/action/virtualmachines": [one, two],
        "admin/enterprises/1/users/2/action/virtualmachines": [],
        "admin/datacenters/1/racks/1/machines/2/virtualmachines": [two],
    }
    for path, expected in lists.items():
        answer = await api.call("GET", path)
        assert answer.status == 200, path
        ids = {vm["id"] for vm in answer.body["collection"]}
        assert ids == {number(vm) for vm in expected}, path
        assert answer.body["totalSize"] == len(expected)


async def test_pages(api: Api) -> None:
    for n in range(5):
        await api.make(label=f"vm{n}")
    page = (await api.call("GET", f"{vm_world.VMS}?limit=2&startwith=1&by=label&asc=false")).body
    assert [vm["label"] for vm in page["collection"]] == ["vm3", "vm2"]
    assert page["totalSize"] == 5
    everything = (await api.call("GET", f"{vm_world.VMS}?limit=0")).body
    assert len(everything["collection"]) == 5


async def test_another_tenants_vm_does_not_exist(api: Api) -> None:
    """M-138."""
    vm = await api.make()
    for method in ("GET", "DELETE"):
        answer = await api.call(method, vm, user="stranger")
        assert (answer.status, answer.code) == (404, "VM-1")
    assert (await api.call("GET", vm_world.VMS, user="stranger")).code == "VAPP-0"
    assert (await api.call("GET", "cloud/virtualmachines", user="stranger")).body["totalSize"] == 0


async def test_the_interface_is_shown(api: Api) -> None:
    """M-105."""
    vm = await api.make()
    nics = (await api.call("GET", f"{vm}/network/nics")).body["collection"]
    assert [(nic["ip"], nic["mac"][:2]) for nic in nics] == [("10.1.0.2", "02")]
    nic0 = (await api.call("GET", vm)).link("nic0")
    assert nic0 is not None
    path = nic0["href"].removeprefix("http://gateway.test/api/")
    assert (await api.call("GET", path)).body == nics[0]
    assert link(nics[0], "virtualmachine") is not None


async def test_no_link_dangles(api: Api) -> None:
    """M-103, M-105: each rel that is read resolves."""
    vm = await api.make()
    await api.put(vm, "ON", 1)
    nics = (await api.call("GET", f"{vm}/network/nics")).body["collection"]
    links = [*(await api.call("GET", vm)).body["links"], *nics[0]["links"]]
    for one in links:
        if "/action/" in one["href"]:
            continue
        path = one["href"].removeprefix("http://gateway.test/api/")
        answer = await api.call("GET", path, headers={"Accept": one["type"]})
        assert answer.status == 200, one
        assert answer.headers["Content-Type"].startswith(one["type"]), one


@pytest.mark.parametrize("path", ["x", "99999999999999999999", "-1", "0", "%00", "1e3"])
async def test_a_strange_id_is_not_found(api: Api, path: str) -> None:
    assert (await api.call("GET", f"{vm_world.VMS}/{path}")).status == 404
