"""Faults L6 and T3 through the API: what people do in a vCenter behind the gateway's back ends in
no dead end, and the record follows it."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

from pyVmomi import vim

from gateway.store.db.pool import Store
from tests.acceptance.gateway import Gateway, gateways, until
from tests.acceptance.test_real_faults import host_of, state
from tests.acceptance.vcenter_hosts import on_vcenter
from tests.drivers.vsphere_rig import Admin, ended
from tests.lab.vcenter import VCenter
from tests.tasks.rig import books_balance

_POOL = "select d.pool from vm v join datastore d on d.id = v.datastore_id where v.uuid = $1"


async def deployed(gateway: Gateway, admin: Admin) -> tuple[str, Any]:
    """A VM that is off, by its path, and what the vCenter has of it."""
    vm = await gateway.make(await gateway.appliance())
    await gateway.run("POST", f"{vm}/action/deploy")
    await gateway.run("PUT", f"{vm}/state", {"state": "OFF"})
    uuid = UUID((await gateway.get(vm))["uuid"])
    return vm, await asyncio.to_thread(admin.vm, uuid)


async def test_a_vm_that_somebody_unregistered_is_undeployed_with_its_files(
    vc: VCenter, store: Store, database_url: str, tmp_path: Path
) -> None:
    """L6: positively absent counts as off and undefined; what is left in the datastore is deleted,
    the room comes free, and the VM can be deployed anew."""
    admin = Admin(vc, vc.home)
    async with gateways(on_vcenter(vc, tmp_path, database_url)) as (gateway,):
        vm, there = await deployed(gateway, admin)
        await asyncio.to_thread(there.UnregisterVM)

        async def unknown() -> bool:
            return await state(gateway, vm) == "UNKNOWN"

        await until(unknown)
        assert vc.files("shared-1-1")
        await gateway.run("POST", f"{vm}/action/undeploy")
        assert await state(gateway, vm) == "NOT_ALLOCATED"
        assert vc.files("shared-1-1") == set()
        await books_balance(store, disks_measured=True)
        await gateway.run("POST", f"{vm}/action/deploy")
        await gateway.run("POST", f"{vm}/action/undeploy")
    admin.close()


async def test_files_that_are_not_surely_its_own_are_on_record_and_stay(
    vc: VCenter, database_url: str, tmp_path: Path
) -> None:
    """L6: a second disk in the folder may be somebody's. The undeploy ends, and says what stays."""
    admin = Admin(vc, vc.home)
    async with gateways(on_vcenter(vc, tmp_path, database_url)) as (gateway,):
        vm, there = await deployed(gateway, admin)
        folder = vc.home / "shared-1-1" / there.name
        await asyncio.to_thread(there.UnregisterVM)
        (folder / "data.vmdk").touch()
        await gateway.run("POST", f"{vm}/action/undeploy")
        assert await state(gateway, vm) == "NOT_ALLOCATED"
        assert (folder / "data.vmdk").exists()
        left = (await gateway.get("admin/leftovers"))["collection"]
        assert any("it holds 2 disks" in str(each) for each in left)
        for each in folder.iterdir():
            each.unlink()
        folder.rmdir()
    admin.close()


async def test_a_disk_that_storage_drs_moved_is_booked_where_it_is(
    vc: VCenter, store: Store, database_url: str, tmp_path: Path
) -> None:
    """T3: on the same host its files are in another datastore, which no other host sees: the VM is
    followed, and no host is a candidate that cannot see its disk, but by moving it."""
    place = on_vcenter(vc, tmp_path, database_url)
    text = place.config.read_text()
    first = '[[datacenters.datastores]]\nname = "shared"'
    own_table = '[[datacenters.datastores]]\nname = "local-1-{n}"\n'
    text = text.replace(first, "".join(own_table.format(n=n) for n in (1, 2)) + first)
    for n in (1, 2):
        text = text.replace(
            f'address = "esxi-1-{n}"\ndatastores = ["shared"]',
            f'address = "esxi-1-{n}"\ndatastores = ["shared", "local-1-{n}"]',
        )
    place.config.write_text(text)
    admin = Admin(vc, vc.home)
    async with gateways(place) as (gateway,):
        vm, there = await deployed(gateway, admin)
        host = await host_of(gateway, vm)
        own = host.replace("esxi", "local")
        uuid = UUID(there.config.instanceUuid)
        target = vim.Datastore(vc.named("Datastore")[own], there._stub)
        spec = vim.vm.RelocateSpec(datastore=target)
        await asyncio.to_thread(ended, there.RelocateVM_Task(spec))

        async def followed() -> bool:
            async with store.read() as c:
                return bool(await c.fetchval(_POOL, uuid) == own)

        await until(followed)
        await books_balance(store, disks_measured=True)
        await gateway.run("PUT", f"{vm}/state", {"state": "ON"})
        await gateway.run("POST", f"{vm}/action/undeploy")
        assert vc.files(own) == set()
    admin.close()
