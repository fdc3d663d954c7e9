"""Faults L4 through the API: DRS, partially automated, places a VM at power on. Whoever is seen on
another host of the block has been powered on: the VM is booked there, and nothing of it is lost."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from gateway.store.db.pool import Store
from tests.acceptance.gateway import Gateway, gateways, href_of, until
from tests.acceptance.test_real_faults import host_of, state
from tests.acceptance.test_vcenter_drs import moved, planned
from tests.acceptance.vcenter_hosts import SHAPE, on_vcenter
from tests.drivers.vsphere_rig import Admin
from tests.lab.vcenter import VCenter, missing, vcenter

HOSTS = {"esxi-1-1", "esxi-1-2"}


@pytest.fixture
def vc(tmp_path: Path) -> Iterator[VCenter]:
    if missing():
        pytest.skip(missing())
    shape = replace(SHAPE, drs=True, drs_mode="partiallyAutomated")
    with vcenter(tmp_path / "vsphere", shape) as running:
        yield running


async def placed(gateway: Gateway, vm: str, admin: Admin) -> tuple[str, str]:
    """The host on which DRS has started it, once the API shows the VM there; and its uuid."""
    uuid = (await gateway.get(vm))["uuid"]
    there = str((await asyncio.to_thread(admin.vm, UUID(uuid))).runtime.host.name)

    async def shown() -> bool:
        return (await host_of(gateway, vm), await state(gateway, vm)) == (there, "ON")

    await until(shown)
    return there, uuid


async def test_a_vm_that_starts_on_another_host_is_followed_there(
    vc: VCenter, store: Store, database_url: str, tmp_path: Path
) -> None:
    """Deployed and started again: both times DRS chooses the other host, both tasks succeed, the
    VM was started once each time, and what is asked of it afterwards works."""
    admin = Admin(vc, vc.home)
    async with gateways(on_vcenter(vc, tmp_path / "place", database_url)) as (gateway,):
        appliance = await gateway.appliance()
        vm = await gateway.make(appliance)
        placing = await gateway.make(appliance)
        await gateway.run("POST", f"{placing}/action/deploy")
        busy, _ = await placed(gateway, placing, admin)  # DRS will choose the other host
        await gateway.run("PUT", f"{placing}/state", {"state": "OFF"})
        await asyncio.to_thread(admin.foreign, busy)
        await gateway.run("POST", f"{vm}/action/deploy")
        there, uuid = await placed(gateway, vm, admin)
        assert admin.boots(UUID(uuid)) == 1
        machine = href_of(await gateway.get(vm), "machine")
        assert (await gateway.get(machine))["movedBy"] == "DRS at power on"
        assert await booked(store) == {vm: there, placing: busy}
        there = await _other_way(gateway, vm, admin, there)
        assert await booked(store) == {vm: there, placing: busy}
        for each in (vm, placing):
            await gateway.run("POST", f"{each}/action/undeploy")
        left = await asyncio.to_thread(admin.vms)
        assert [each.name.startswith("foreign") for each in left] == [True] * len(left)
        assert await booked(store) == {}
    admin.close()


async def booked(store: Store) -> dict[str, str]:
    """The host that each VM is booked on, by the VM's path; with foreign VMs the ledger says more
    than that."""
    async with store.read() as c:
        rows = await c.fetch(
            """select v.id, v.virtualappliance_id app, a.virtualdatacenter_id vdc, h.name
               from booking b join vm v on v.id = b.vm_id join host h on h.id = b.host_id
               join virtualappliance a on a.id = v.virtualappliance_id"""
        )
    path = "cloud/virtualdatacenters/{}/virtualappliances/{}/virtualmachines/{}"
    found = {path.format(row["vdc"], row["app"], row["id"]): row["name"] for row in rows}
    assert len(found) == len(rows)
    return found


async def _other_way(gateway: Gateway, vm: str, admin: Admin, there: str) -> str:
    """Stopped, with its host the busier one now, it starts on the other: its name."""
    await gateway.run("PUT", f"{vm}/state", {"state": "OFF"})
    for _ in range(3):
        await asyncio.to_thread(admin.foreign, there)
    await gateway.run("PUT", f"{vm}/state", {"state": "ON"})
    again, uuid = await placed(gateway, vm, admin)
    assert {there, again} == HOSTS
    assert admin.kinds(UUID(uuid)).count("powerOn") == 2
    return again


async def test_plans_may_use_hosts_where_drs_only_places(
    vc: VCenter, database_url: str, tmp_path: Path
) -> None:
    """It moves no VM that runs, so balancing is nobody else's work; who moves one that is off is
    told that it may start elsewhere."""
    async with gateways(on_vcenter(vc, tmp_path / "place", database_url)) as (gateway,):
        vm = await gateway.make(await gateway.appliance())
        await gateway.run("POST", f"{vm}/action/deploy")
        machine: Any = await gateway.get(href_of(await gateway.get(vm), "machine"))
        plan = await planned(gateway, "rebalance", "datacenter", href_of(machine, "datacenter"))
        assert plan["movedByOthers"] == []
        assert await moved(gateway, vm) == ""
        await gateway.run("PUT", f"{vm}/state", {"state": "OFF"})
        assert "DRS at power on" in await moved(gateway, vm)
        await gateway.run("POST", f"{vm}/action/undeploy")
