"""What is set over HTTP decides where the next deploy goes: each rule, on a running engine."""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from aiohttp.test_utils import TestClient, TestServer

from drivers.simulated.world import World
from gateway.api.routes import build_app
from gateway.api.services import AppServices
from gateway.store import users
from gateway.store.db.pool import Store
from tests.api.vm_client import CAPABILITIES, Api
from tests.tasks.rig import Rig, books_balance, ended, running, seed

DC = "admin/datacenters/1"
RACK = f"{DC}/racks/1"
APP = "cloud/virtualdatacenters/1/virtualappliances/1"
_MORE = f"""
update app_user set nick = 'admin', privileges = '{{ALL}}' where id = 1;
insert into enterprise (name) values ('other');
insert into virtualdatacenter (name, enterprise_id, datacenter_id, type)
  values ('theirs', 2, 1, 'KVM');
insert into network (virtualdatacenter_id, name, tag, address)
  values (2, 'default', 'default', '10.9.0.0/16');
insert into virtualappliance (virtualdatacenter_id, enterprise_id, name) values (2, 2, 'b');
update vm set enterprise_id = 2, virtualdatacenter_id = 2, virtualappliance_id = 2 where id > 4;
update nic set network_id = 2, address = '10.9.0.0'::inet + vm_id where vm_id > 4;
insert into datastore (datacenter_id, name, pool, shared, capacity_bytes, free_bytes)
  values (1, 'second', 'shared', true, {2**42}, {2**42});
insert into host_datastore select id, 2 from host;
"""


class Live:
    """The API with an engine behind it. VMs 1 to 4 are of the enterprise 1, 5 to 8 of 2."""

    def __init__(self, api: Api, rig: Rig) -> None:
        self.api = api
        self.rig = rig

    async def set(self, method: str, path: str, body: Any = None) -> Any:
        """A request that must be accepted; its body."""
        answer = await self.api.call(method, path, body)
        assert answer.status < 300, (path, answer.body)
        return answer.body

    async def deploy(self, vm: int) -> dict[str, Any]:
        """Deploy over HTTP; the VM's row once the task has ended, with the task's error."""
        app = 1 if vm <= 4 else 2
        path = f"cloud/virtualdatacenters/{app}/virtualappliances/{app}/virtualmachines/{vm}"
        accepted = await self.set("POST", f"{path}/action/deploy")
        task = UUID(accepted["links"][0]["href"].rpartition("/")[2])
        row = await ended(self.rig.store, task)
        assert row["state"] == "done"
        shown = await self.set("GET", path)
        host = next((one["href"] for one in shown["links"] if one["rel"] == "machine"), None)
        return {
            "error": row["error"],
            "result": row["result"],
            "host": host and int(host.rpartition("/")[2]),
            "datastore": await self.api.row("select datastore_id from vm where id = $1", vm),
        }


def to(path: str, rel: str) -> dict[str, str]:
    """A link."""
    return {"rel": rel, "href": f"http://x/api/{path}"}


def machines(*hosts: int) -> list[dict[str, str]]:
    """Links to machines."""
    return [to(f"{RACK}/machines/{n}", "machine") for n in hosts]


@contextlib.asynccontextmanager
async def serving_live(store: Store) -> AsyncIterator[Live]:
    """Four hosts of 16 CPUs that all see two datastores, two tenants with four VMs each."""
    await seed(store, hosts=4, vms=8)
    async with store.transaction() as c:
        await c.execute(_MORE)
        await c.execute("select setval(pg_get_serial_sequence('vm', 'id'), 100)")
        await users.keep_token(c, "token-of-admin", 1, 3600)
    async with running(store, World()) as rig:
        services = AppServices(
            store=store,
            planner=rig.planner,
            capabilities=CAPABILITIES,
            public_url="http://gateway.test",
            secret=b"secret of the tests, 32 bytes ok",
            wake=lambda: (rig.sequencer.poke(), rig.worker.poke()),
            hypervisors={"sim": "KVM"},
        )
        async with TestClient(TestServer(build_app(services))) as client:
            yield Live(Api(client, store, []), rig)


@pytest.fixture
async def live(store: Store) -> AsyncIterator[Live]:
    """The API over a running engine."""
    async with serving_live(store) as made:
        yield made


async def test_a_reserved_machine_is_for_its_enterprise(live: Live) -> None:
    """M-042: others pass it by; a restricted enterprise uses nothing else."""
    for host in (1, 2, 3):
        body = {"links": machines(host)}
        await live.set("POST", "admin/enterprises/2/reservedmachines", body)
    assert (await live.deploy(1))["host"] == 4
    await live.set("PUT", "admin/enterprises/2", {"isReservationRestricted": True})
    assert (await live.deploy(5))["host"] in (1, 2, 3)
    for host in (1, 2, 3):
        path = f"admin/enterprises/2/reservedmachines/{host}"
        await live.set("DELETE", path)
    refused = await live.deploy(6)
    assert (refused["result"], refused["host"]) == ("failure", None)
    assert "not reserved to the enterprise" in refused["error"]
    await live.set("PUT", "admin/enterprises/2", {"isReservationRestricted": False})
    assert (await live.deploy(6))["result"] == "success"
    await books_balance(live.rig.store, disks_measured=True)


async def test_enterprises_kept_apart_share_no_machine(live: Live) -> None:
    """Who lives where counts at once, also for VMs that were there before the rule."""
    first = await live.deploy(1)
    links = [to(f"admin/enterprises/{n}", "enterprise") for n in (2, 1)]
    rule = await live.set("POST", "admin/rules/enterpriseExclusions", {"links": links})
    apart = await live.deploy(5)
    assert apart["host"] not in (None, first["host"])
    for host in {1, 2, 3, 4} - {apart["host"]}:
        await live.set("PUT", f"{RACK}/machines/{host}", {"state": "HALTED"})
    assert (await live.deploy(2))["result"] == "failure"
    await live.set("DELETE", f"admin/rules/enterpriseExclusions/{rule['id']}")
    assert (await live.deploy(2))["host"] == apart["host"]


async def test_vms_of_a_layer_go_to_different_machines(live: Live) -> None:
    """PROGRESSIVE would put them together; with no machine left the deploy says so."""
    vms = [to(f"{APP}/virtualmachines/{n}", "virtualmachine") for n in (1, 2)]
    layer = await live.set("POST", f"{APP}/layers", {"name": "web", "links": vms})
    await live.set(
        "PUT", f"{APP}/virtualmachines/3", {"links": [{**layer["links"][0], "rel": "layer"}]}
    )
    await live.set("PUT", f"{RACK}/machines/4", {"state": "HALTED"})
    await live.set("PUT", f"{RACK}/machines/3", {"state": "HALTED"})
    found = [await live.deploy(n) for n in (1, 2, 3)]
    assert {one["host"] for one in found} == {1, 2, None}
    assert found[2]["result"] == "failure"
    assert "layer" in found[2]["error"].lower()
    left = [to(f"{APP}/virtualmachines/{n}", "virtualmachine") for n in (1, 2)]
    await live.set("PUT", f"{APP}/layers/web", {"links": left})
    assert (await live.deploy(3))["result"] == "success"
    await live.set("PUT", f"{RACK}/machines/3", {"state": "MANAGED"})
    with_host = found[0]["host"]
    clash = await live.api.call(
        "PUT", f"{APP}/virtualmachines/3", {"links": [{**layer["links"][0], "rel": "layer"}]}
    )
    assert (clash.status, clash.code) == (409, "LAYER-8")
    assert with_host in (1, 2)


async def test_a_vm_s_disks_go_to_the_tier_it_asks_for(live: Live) -> None:
    tier = await live.set("POST", f"{DC}/datastoretiers", {"name": "gold"})
    path = f"{DC}/datastoretiers/{tier['id']}"
    links = [to(f"{DC}/datastores/2", "datastore")]
    await live.set("PUT", f"{path}/action/adddatastores", {"links": links})
    asked = [to(f"cloud/locations/1/datastoretiers/{tier['id']}", "datastoretier0")]
    for vm in (1, 2, 3, 4):
        await live.set("PUT", f"{APP}/virtualmachines/{vm}", {"links": asked})
    assert (await live.deploy(1))["datastore"] == 2
    assert (await live.deploy(5))["datastore"] == 1  # by far the roomier one
    for change in ({"enabled": False}, {"enabled": True, "defaultAllowed": False}):
        await live.set("PUT", path, change)
        refused = await live.deploy(2)
        assert (refused["result"], refused["datastore"]) == ("failure", None)
        assert "tier" in refused["error"]
    admitted = {"links": [to("admin/enterprises/1", "enterprise")]}
    await live.set("POST", f"{path}/enterprises", admitted)
    assert (await live.deploy(2))["datastore"] == 2
    link = [to(f"{DC}/datastoretiers/{tier['id']}", "datastoretier")]
    rule = {"storageLoadPercentage": 0, "links": link}
    await live.set("POST", "admin/rules/datastoreloadlevel", rule)
    assert (await live.deploy(3))["result"] == "failure"


async def test_the_default_tier_is_for_who_asks_for_none(live: Live) -> None:
    """And may use it; with the default disabled, any other datastore will do."""
    tier = await live.set("POST", f"{DC}/datastoretiers", {"name": "d"})
    path = f"{DC}/datastoretiers/{tier['id']}"
    links = [to(f"{DC}/datastores/2", "datastore")]
    await live.set("PUT", f"{path}/action/adddatastores", {"links": links})
    await live.set("PUT", path, {"defaultForDatacenter": True, "defaultAllowed": False})
    await live.set(
        "POST", f"{path}/enterprises", {"links": [to("admin/enterprises/1", "enterprise")]}
    )
    # Without the default the roomiest would be taken, which is each in turn.
    assert {(await live.deploy(n))["datastore"] for n in (1, 2, 3)} == {2}
    assert (await live.deploy(5))["datastore"] == 1  # it may not use the default
    await live.set("PUT", path, {"enabled": False})
    assert (await live.deploy(4))["datastore"] == 1


async def test_the_tier_of_who_asks_for_none_is_the_template_s_then_the_virtual_datacenter_s(
    live: Live,
) -> None:
    """Both set over HTTP, both before the datacenter's default."""
    tiers = []
    for name, datastore in (("silver", 1), ("gold", 2)):
        made = await live.set("POST", f"{DC}/datastoretiers", {"name": name})
        path = f"{DC}/datastoretiers/{made['id']}"
        links = [to(f"{DC}/datastores/{datastore}", "datastore")]
        await live.set("PUT", f"{path}/action/adddatastores", {"links": links})
        tiers.append(f"cloud/locations/1/datastoretiers/{made['id']}")
    silver, gold = tiers
    house = f"{DC}/datastoretiers/{silver.rpartition('/')[2]}"
    await live.set("PUT", house, {"defaultForDatacenter": True})
    assert (await live.deploy(1))["datastore"] == 1
    vdc = {"name": "v", "links": [to(gold, "defaultdatastoretier")]}
    await live.set("PUT", "cloud/virtualdatacenters/1", vdc)
    assert (await live.deploy(2))["datastore"] == 2
    assert (await live.deploy(5))["datastore"] == 1  # the other virtual datacenter has none
    template = "admin/enterprises/1/datacenterrepositories/1/virtualmachinetemplates/1"
    await live.set("PUT", template, {"links": [to(silver, "datastoretier0")]})
    assert (await live.deploy(3))["datastore"] == 1
    await live.set("PUT", template, {"links": []})
    assert (await live.deploy(4))["datastore"] == 2


async def test_a_cluster_s_rule_comes_before_the_machine_s(live: Live) -> None:
    """M-039; the rule is tuned and the next deploy sees it."""
    body = {"name": "blue", "links": machines(1, 2, 3, 4)}
    cluster = await live.set("POST", f"{RACK}/clusters", body)
    about = [to(f"{RACK}/clusters/{cluster['id']}", "cluster")]
    closed = {"cpuLoadPercentage": 0, "ramLoadPercentage": 100}
    rule = await live.set("POST", "admin/rules/machineLoadLevel", {**closed, "links": about})
    for host in machines(1, 2, 3, 4):
        own = {"cpuLoadPercentage": 300, "ramLoadPercentage": 100, "links": [host]}
        await live.set("POST", "admin/rules/machineLoadLevel", own)
    refused = await live.deploy(1)
    assert refused["result"] == "failure"
    (told,) = (await live.set("GET", "events?action=SCHEDULE"))["collection"]
    assert f"machineLoadLevel {rule['id']} (cluster" in json.dumps(told["details"])
    await live.set("PUT", f"admin/rules/machineLoadLevel/{rule['id']}", {"cpuLoadPercentage": 7})
    assert (await live.deploy(1))["result"] == "success"
    assert (await live.deploy(2))["result"] == "success"
    await live.set("PUT", f"{RACK}/clusters/{cluster['id']}", {"links": []})
    found = {(await live.deploy(n))["host"] for n in (3, 4)}
    assert len(found) == 1  # 300 % of one machine has room for both


async def test_an_aggregated_cluster_is_bounded_as_a_whole(live: Live) -> None:
    """M-040: three CPUs of the cluster's 32, wherever in it; the rest goes beside it."""
    body = {"name": "blue", "links": machines(1, 2)}
    cluster = await live.set("POST", f"{RACK}/clusters", body)
    about = [to(f"{RACK}/clusters/{cluster['id']}", "cluster")]
    rule = {"cpuLoadPercentage": 10, "ramLoadPercentage": 100, "aggregated": True, "links": about}
    await live.set("POST", "admin/rules/machineLoadLevel", rule)
    for host in (3, 4):
        await live.set("PUT", f"{RACK}/machines/{host}", {"state": "HALTED"})
    found = [await live.deploy(n) for n in (1, 2, 3, 5)]
    assert [one["result"] for one in found] == ["success"] * 3 + ["failure"]
    await live.set("PUT", f"{RACK}/machines/3", {"state": "MANAGED"})
    assert (await live.deploy(5))["host"] == 3


async def test_the_fit_policy_of_the_datacenter_decides(live: Live) -> None:
    """PERFORMANCE spreads, PROGRESSIVE fills, and PROGRESSIVE may ask for packing."""
    fit = "admin/rules/fitsPolicy"
    await live.set("POST", fit, {"fitPolicy": "PROGRESSIVE"})
    assert len({(await live.deploy(n))["host"] for n in (1, 2)}) == 1
    spread = {"fitPolicy": "PERFORMANCE", "links": [to(DC, "datacenter")]}
    rule = await live.set("POST", fit, spread)
    assert len({(await live.deploy(n))["host"] for n in (3, 4, 5)}) == 3
    packed = {"fitPolicy": "PROGRESSIVE", "packing": True}
    await live.set("PUT", f"{fit}/{rule['id']}", packed)
    assert (await live.deploy(6))["result"] == "success"


async def test_a_limit_below_use_touches_no_vm(live: Live) -> None:
    """It marks the machine and tells so; nothing more goes there."""
    first = await live.deploy(1)
    rule = {"cpuLoadPercentage": 0, "ramLoadPercentage": 0, "links": machines(first["host"])}
    await live.set("POST", "admin/rules/machineLoadLevel", rule)
    shown = await live.set("GET", f"{RACK}/machines/{first['host']}")
    assert shown["overLimit"] is True
    assert (await live.deploy(2))["host"] not in (None, first["host"])
    assert (await live.set("GET", f"{APP}/virtualmachines/1"))["state"] == "ON"
    events = await live.set("GET", "events?entity=RULES&limit=0")
    actions = {one["action"] for one in events["collection"]}
    assert {"LOADLEVEL_CPU_EXCEEDED", "LOADLEVEL_RAM_EXCEEDED"} <= actions
