"""Anti-affinity layers over HTTP: made of two VMs, joined where no machine is shared, and ended."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.store.capacity.ledger import refresh_limits
from gateway.store.db.pool import Store
from tests.api import vm_world
from tests.api.vm_client import Answer, Api, number, serving

APP = "cloud/virtualdatacenters/1/virtualappliances/1"
LAYERS = f"{APP}/layers"


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world."""
    async with serving(store) as opened:
        yield opened


@pytest.fixture
async def vms(api: Api) -> list[str]:
    """Four VMs."""
    return [await api.make(label=f"vm{n}") for n in range(4)]


def of(*vms: str, **fields: Any) -> dict[str, Any]:
    """A layer of these VMs."""
    return {
        "links": [{"rel": "virtualmachine", "href": f"http://x/api/{vm}"} for vm in vms],
        **fields,
    }


def members(answer: Answer) -> list[int]:
    """The VMs a layer links."""
    rows = answer.body["links"]
    return [int(one["href"].rpartition("/")[2]) for one in rows if one["rel"] == "virtualmachine"]


def into(name: str) -> dict[str, Any]:
    """A VM's body that joins a layer."""
    return {"links": [{"rel": "layer", "href": f"http://x/api/{LAYERS}/{name}"}]}


async def settle(api: Api, vm: str, host: int) -> None:
    """Let a VM live on a host, booked as a claim does."""
    await api.put(vm, "OFF", host)
    async with api.store.transaction() as c:
        await c.execute(
            """insert into booking (vm_id, host_id, datastore_id, task_id, cpu, ram_mib, disk_bytes)
               values ($1, $2, 1, gen_random_uuid(), 2, 256, 1)""",
            number(vm),
            host,
        )
        await refresh_limits(c)


async def test_a_layer_is_made_renamed_and_ended(api: Api, vms: list[str]) -> None:
    """LAYER-4: it ends with one VM left, which stays as it is."""
    made = await api.call("POST", LAYERS, of(*vms[:2], name="web"))
    assert (made.status, made.body["name"]) == (201, "web")
    assert members(made) == [number(vm) for vm in vms[:2]]
    assert (await api.call("GET", f"{LAYERS}/web")).body == made.body
    assert (await api.call("GET", LAYERS)).body["collection"] == [made.body]
    vm = await api.call("GET", vms[0])
    assert vm.link("layer")["href"].endswith(f"{LAYERS}/web")
    assert (await api.call("PUT", vms[0], vm.body)).status == 204
    assert (await api.call("GET", vms[0])).body == vm.body
    renamed = await api.call("PUT", f"{LAYERS}/web", {**made.body, "name": "front"})
    assert (renamed.status, renamed.body["name"]) == (200, "front")
    assert members(renamed) == members(made)
    assert (await api.call("GET", f"{LAYERS}/web")).code == "VAPP-16"
    refused = await api.call("DELETE", f"{LAYERS}/front")
    assert (refused.status, refused.code) == (409, "LAYER-4")
    left = await api.call("PUT", f"{LAYERS}/front", of(vms[1]))
    assert members(left) == [number(vms[1])]
    assert (await api.call("GET", vms[0])).link("layer") is None
    assert (await api.call("DELETE", f"{LAYERS}/front")).status == 204
    assert (await api.call("GET", f"{LAYERS}/front")).status == 404
    assert (await api.call("GET", vms[1])).link("layer") is None
    await api.sequence()
    events = (await api.call("GET", "events?entity=VIRTUAL_APPLIANCE&asc=true")).body["collection"]
    told = [one for one in events if "Layer" in one["message"]]
    assert len(told) == 4


@pytest.mark.parametrize("name", ["web & db", "50 %", "a?b=c#d", "ünï", "a+b", "%2F", "a;b"])
async def test_a_layer_may_be_called_anything(api: Api, vms: list[str], name: str) -> None:
    made = await api.call("POST", LAYERS, of(*vms[:2], name=name))
    assert made.status == 201
    for answer in (made, await api.call("GET", vms[0])):
        found = answer.link("layer" if answer is not made else "edit")
        address = found["href"].removeprefix("http://gateway.test")
        shown = await api.raw("GET", address)
        assert (shown.status, shown.body["name"]) == (200, name)
    assert (await api.call("PUT", vms[2], {"links": [found]})).status == 204
    assert len(members(await api.raw("GET", address))) == 3


@pytest.mark.parametrize(
    ("count", "fields", "status", "code", "field"),
    [
        (0, {"name": "x"}, 400, "LAYER-2", "links[virtualmachine]"),
        (1, {"name": "x"}, 400, "LAYER-2", "links[virtualmachine]"),
        (3, {"name": "x"}, 400, "LAYER-2", "links[virtualmachine]"),
        (2, {}, 400, "400-BAD-REQUEST", "name"),
        (2, {"name": ""}, 400, "400-BAD-REQUEST", "name"),
        (2, {"name": "a/b"}, 400, "400-BAD-REQUEST", "name"),
        (2, {"name": ".."}, 400, "400-BAD-REQUEST", "name"),
        (2, {"name": 7}, 400, "400-BAD-REQUEST", "name"),
        (2, {"name": "a\nb"}, 400, "400-BAD-REQUEST", "name"),
        (2, {"name": "x" * 256}, 400, "VAPP-17", "name"),
    ],
)
async def test_a_wrong_layer_is_refused(
    api: Api,
    vms: list[str],
    count: int,
    fields: dict[str, Any],
    status: int,
    code: str,
    field: str,
) -> None:
    refused = await api.call("POST", LAYERS, of(*vms[:count], **fields))
    assert (refused.status, refused.code) == (status, code)
    assert refused.body["collection"][0]["field"] == field
    assert await api.row("select count(*) from layer") == 0


async def test_a_vm_is_in_one_layer_and_of_the_appliance(api: Api, vms: list[str]) -> None:
    await api.call("POST", LAYERS, of(*vms[:2], name="web"))
    for body, status, code in (
        (of(vms[1], vms[2], name="db"), 409, "LAYER-3"),
        (of(vms[2], vms[3], name="web"), 409, "LAYER-0"),
        (of(vms[2], "virtualmachines/999", name="db"), 400, "VM-68"),
        (of(vms[2], "x", name="db"), 400, "400-BAD-REQUEST"),
    ):
        refused = await api.call("POST", LAYERS, body)
        assert (refused.status, refused.code) == (status, code)
    assert await api.row("select count(*) from vm where layer_id is not null") == 2
    assert await api.row("select count(*) from layer") == 1


async def test_a_deployed_vm_joins_where_no_machine_is_shared(api: Api, vms: list[str]) -> None:
    """LAYER-8 names the field; the ledger's row of the host tells who is there."""
    await settle(api, vms[0], 1)
    await settle(api, vms[1], 1)
    together = await api.call("POST", LAYERS, of(vms[0], vms[1], name="web"))
    assert (together.status, together.code) == (409, "LAYER-8")
    assert together.body["collection"][0]["field"] == "links[virtualmachine]"
    assert await api.row("select count(*) from layer") == 0
    assert (await api.call("POST", LAYERS, of(vms[0], vms[2], name="web"))).status == 201
    refused = await api.call("PUT", vms[1], {**into("web"), "label": "changed"})
    assert (refused.status, refused.code) == (409, "LAYER-8")
    assert refused.body["collection"][0]["field"] == "links[layer]"
    assert await api.row("select label from vm where id = $1", number(vms[1])) == "vm1"
    assert (await api.call("PUT", f"{LAYERS}/web", of(*vms[:3]))).code == "LAYER-8"
    await settle(api, vms[3], 2)
    assert (await api.call("PUT", vms[3], into("web"))).status == 204
    layer = await api.row("select id from layer")
    for host in (1, 2):
        assert await api.row("select layers from ledger where kind = 'host' and id = $1", host) == [
            layer
        ]
    swapped = await api.call("PUT", f"{LAYERS}/web", of(vms[1], vms[2], vms[3]))
    assert members(swapped) == [number(vm) for vm in vms[1:]]


async def test_a_vm_moves_between_layers_while_it_lives_nowhere(api: Api, vms: list[str]) -> None:
    """LAYER-6, LAYER-7."""
    await api.call("POST", LAYERS, of(*vms[:2], name="web"))
    await api.call("POST", LAYERS, of(*vms[2:], name="db"))
    assert (await api.call("PUT", vms[0], into("db"))).status == 204
    assert members(await api.call("GET", f"{LAYERS}/db")) == [number(vms[n]) for n in (0, 2, 3)]
    last = await api.call("PUT", vms[1], into("db"))
    assert (last.status, last.code) == (409, "LAYER-7")
    await settle(api, vms[0], 1)
    for body in (into("web"), {**into("web"), "label": "x"}):
        refused = await api.call("PUT", vms[0], body)
        assert (refused.status, refused.code) == (409, "LAYER-6")
    assert (await api.call("PUT", f"{LAYERS}/web", of(*vms[:2]))).code == "LAYER-6"
    assert len(members(await api.call("GET", f"{LAYERS}/db"))) == 3


@pytest.mark.parametrize(
    ("link", "status", "code"),
    [
        ({"rel": "layer", "href": f"http://x/api/{LAYERS}/none"}, 409, "LAYER-1"),
        ({"rel": "layer", "href": "x"}, 400, "LAYER-5"),
        ({"rel": "layer", "href": ""}, 400, "LAYER-5"),
        ({"rel": "layer", "href": f"http://x/api/{LAYERS}/"}, 400, "LAYER-5"),
        ({"rel": "layer", "href": f"http://x/api/{LAYERS}/a/b"}, 400, "LAYER-5"),
        ({"rel": "layer0", "href": f"http://x/api/{LAYERS}/web"}, 400, "400-BAD-REQUEST"),
    ],
)
async def test_a_wrong_layer_of_a_vm_is_refused(
    api: Api, link: dict[str, str], status: int, code: str
) -> None:
    vm = await api.make()
    for answer in (
        await api.call("PUT", vm, {"links": [link]}),
        await api.call("POST", vm_world.VMS, {"links": [vm_world.TEMPLATE_LINK, link]}),
    ):
        assert (answer.status, answer.code) == (status, code)
        assert answer.body["collection"][0]["field"] == f"links[{link['rel']}]"
    assert await api.row("select count(*) from vm") == 1


async def test_a_new_vm_is_made_in_a_layer(api: Api, vms: list[str]) -> None:
    await api.call("POST", LAYERS, of(*vms[:2], name="web"))
    links = [vm_world.TEMPLATE_LINK, *into("web")["links"]]
    made = await api.call("POST", vm_world.VMS, {"links": links})
    assert made.link("layer")["title"] == "web"


async def test_a_vm_held_by_a_task_neither_joins_nor_leaves(api: Api, vms: list[str]) -> None:
    """Its claim may be under way: who is where is not known yet."""
    await api.call("POST", LAYERS, of(*vms[:2], name="web"))
    await api.lock(vms[2], "DEPLOY")
    await api.lock(vms[0], "DEPLOY")
    for method, path, body in (
        ("POST", LAYERS, of(vms[2], vms[3], name="db")),
        ("PUT", f"{LAYERS}/web", of(*vms[:3])),
        ("PUT", f"{LAYERS}/web", of(vms[1])),
        ("PUT", vms[2], into("web")),
    ):
        assert (await api.call(method, path, body)).code == "VM-2"
    assert await api.row("select count(*) from vm where layer_id is not null") == 2


async def test_a_deleted_vm_is_of_no_layer(api: Api, vms: list[str]) -> None:
    """A layer may end up with none, and is removed like one with a single VM."""
    await api.call("POST", LAYERS, of(*vms[:2], name="web"))
    for vm in vms[:2]:
        assert (await api.call("DELETE", vm)).status == 204
    assert members(await api.call("GET", f"{LAYERS}/web")) == []
    assert (await api.call("PUT", vms[2], into("web"))).status == 204
    assert (await api.call("DELETE", f"{LAYERS}/web")).status == 204


async def test_a_size_and_a_layer_are_changed_one_after_the_other(api: Api, vms: list[str]) -> None:
    await api.call("POST", LAYERS, of(*vms[:2], name="web"))
    await settle(api, vms[2], 3)
    refused = await api.call("PUT", vms[2], {**into("web"), "cpu": 4})
    assert refused.status == 400
    assert refused.body["collection"][0]["field"] == "links[layer]"
    assert await api.row("select count(*) from task") == 0
    assert await api.row("select count(*) from vm where layer_id is not null") == 2


async def test_layers_of_others_do_not_exist(api: Api, vms: list[str]) -> None:
    await api.call("POST", LAYERS, of(*vms[:2], name="web"))
    for method, path in (("GET", LAYERS), ("GET", f"{LAYERS}/web"), ("DELETE", f"{LAYERS}/web")):
        assert (await api.call(method, path, user="stranger")).code == "VAPP-0"
    assert (await api.call("POST", LAYERS, of(*vms, name="x"), user="reader")).status == 403
