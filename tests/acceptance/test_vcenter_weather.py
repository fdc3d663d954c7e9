"""I1 on a vCenter in bad weather: it answers 503 for a while, or the gateway is killed at random
moments; every task ends well, nothing is done twice, and VMs live where the record says."""

import asyncio
import random
from pathlib import Path
from typing import Any
from uuid import UUID

from gateway.store.db.pool import Store
from tests.acceptance.gateway import Gateway, gateways
from tests.acceptance.test_real_faults import host_of
from tests.acceptance.test_real_kills import killed_at_random, recorded
from tests.acceptance.vcenter_hosts import on_vcenter
from tests.drivers.vsphere_rig import Admin
from tests.lab.vcenter import VCenter
from tests.tasks.rig import books_balance

SEED = 23
SHOWER = {
    "FindByUuid": 3,
    "CreateContainerView": 3,
    "CloneVM_Task": 1,
    "RelocateVM_Task": 1,
}
"""How many calls are answered 503: fewer than a task tries."""
POWER = {"ON": "poweredOn", "OFF": "poweredOff", "PAUSED": "suspended"}
CALLS = {
    "DEPLOY": "CloneVM_Task",
    "RELOCATE": "RelocateVM_Task",
    "UNDEPLOY": "Destroy_Task",
}


async def lives_where_recorded(gateway: Gateway, vm: str, admin: Admin) -> None:
    """The record and the vCenter agree."""
    shown = await gateway.get(vm)
    seen = await asyncio.to_thread(admin.vm, UUID(shown["uuid"]))
    if shown["state"] == "NOT_ALLOCATED":
        assert seen is None
        return
    power, host = seen.runtime.powerState, seen.runtime.host.name
    assert (power, host) == (POWER[shown["state"]], await host_of(gateway, vm))


async def test_killed_at_ten_random_moments(
    vc: VCenter, store: Store, database_url: str, tmp_path: Path
) -> None:
    """Each task made its one change in the vCenter, whoever carried it on."""
    rng = random.Random(SEED)
    admin = Admin(vc, vc.home)
    async with gateways(on_vcenter(vc, tmp_path, database_url)) as (gateway,):
        vc.forget_calls()
        appliance = await gateway.appliance()
        vms = [await gateway.make(appliance) for _ in range(4)]
        await asyncio.gather(*(gateway.run("POST", f"{vm}/action/deploy") for vm in vms))
        await killed_at_random(gateway, vms, rng)
        async with store.read() as c:
            rows = await c.fetch("select kind, result, error from task")
        assert all(row["result"] == "success" for row in rows), rows
        calls = vc.calls()
        for kind, method in CALLS.items():
            assert calls.get(method, 0) == sum(row["kind"] == kind for row in rows), method
        assert calls["RelocateVM_Task"], "no move was among them"
        for vm in vms:
            await recorded(gateway, vm)
            await lives_where_recorded(gateway, vm, admin)
        await books_balance(store, disks_measured=True)
        for vm in vms:
            if (await gateway.get(vm))["state"] != "NOT_ALLOCATED":
                await gateway.run("POST", f"{vm}/action/undeploy")
        assert await asyncio.to_thread(admin.vms) == []
    admin.close()


async def two(gateway: Gateway) -> tuple[str, str]:
    """A VM that runs, and one that is not made yet."""
    appliance = await gateway.appliance()
    moving, made = [await gateway.make(appliance) for _ in range(2)]
    await gateway.run("POST", f"{moving}/action/deploy")
    return moving, made


async def asked(gateway: Gateway, moving: str, made: str) -> list[dict[str, Any]]:
    """Both their tasks, once they have ended."""
    tasks = [
        await gateway.accept("POST", f"{made}/action/deploy"),
        await gateway.accept("POST", f"{moving}/action/relocate?target=any"),
    ]
    return [await gateway.end(task) for task in tasks]


async def test_a_shower_of_503_costs_the_client_time_only(
    vc: VCenter, store: Store, database_url: str, tmp_path: Path
) -> None:
    """Looks, surveys and the changes themselves are refused; what was asked is done once."""
    async with gateways(on_vcenter(vc, tmp_path, database_url)) as (gateway,):
        moving, made = await two(gateway)
        before = await host_of(gateway, moving)
        vc.forget_calls()
        for method, times in SHOWER.items():
            vc.fault(method, "status", times=times, status=503)
        ended = await asked(gateway, moving, made)
        assert [task["state"] for task in ended] == ["FINISHED_SUCCESSFULLY"] * 2, ended
        calls = vc.calls()  # the first of each was not done
        assert (calls["CloneVM_Task"], calls["RelocateVM_Task"]) == (2, 2)
        assert await host_of(gateway, moving) != before
        assert len(vc.named("VirtualMachine")) == 3
        await books_balance(store, disks_measured=True)
        for vm in (made, moving):
            await gateway.run("POST", f"{vm}/action/undeploy")


async def test_a_storm_of_503_leaves_everything_where_it_was(
    vc: VCenter, store: Store, database_url: str, tmp_path: Path
) -> None:
    """M-032: tasks that are refused too often fail, and nothing of them is left."""
    at = on_vcenter(vc, tmp_path, database_url, unknown_after_s=60)
    async with gateways(at) as (gateway,):
        moving, made = await two(gateway)
        before = await host_of(gateway, moving)
        vc.forget_calls()
        rule = vc.fault("*", "status", times=0, status=503)
        ended = await asked(gateway, moving, made)
        assert [task["state"] for task in ended] == ["FINISHED_UNSUCCESSFULLY"] * 2, ended
        assert vc.calls().keys().isdisjoint(CALLS.values())
        rule.remove()
        assert (await gateway.get(made))["state"] == "NOT_ALLOCATED"
        assert (await gateway.get(moving))["state"] == "ON"
        assert await host_of(gateway, moving) == before
        await books_balance(store, disks_measured=True)
        await gateway.run("POST", f"{moving}/action/undeploy")
        assert vc.named("VirtualMachine").keys() == {"template-1"}
