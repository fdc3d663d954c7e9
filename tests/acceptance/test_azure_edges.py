"""What stands in the way in Azure, by HTTP: a lock of somebody else's (faults D7), a policy that
requires tags (D8), an interface that is reserved while another zone is tried (T6)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.store.db.pool import Store
from tests.acceptance.azure_places import on_azure
from tests.acceptance.gateway import Gateway, gateways
from tests.lab.azure.process import Apart
from tests.tasks.rig import books_balance

DISKS, NICS = "Microsoft.Compute/disks", "Microsoft.Network/networkInterfaces"
VMS = "Microsoft.Compute/virtualMachines"


@pytest.fixture
async def arm(tmp_path: Path) -> AsyncIterator[Apart]:
    async with Apart.start(tmp_path, strict=1) as running:
        yield running


async def failed(gateway: Gateway, vm: str, wish: str) -> str:
    """What an administrator reads of a task that failed."""
    task = await gateway.end(await gateway.accept("POST", f"{vm}/action/{wish}"))
    assert task["state"] == "FINISHED_UNSUCCESSFULLY", task
    return str(task)


@pytest.mark.parametrize("what", ["group", VMS, DISKS, NICS])
async def test_a_locked_vm_is_neither_stopped_nor_removed(
    arm: Apart, store: Store, database_url: str, tmp_path: Path, what: str
) -> None:
    """It runs on, as its owner sees; the task names the lock; without the lock it goes."""
    async with gateways(on_azure(arm, tmp_path, database_url)) as (gateway,):
        vm = await gateway.make(await gateway.appliance())
        await gateway.run("POST", f"{vm}/action/deploy")
        await arm.ask("lock", what=what, name="precious")
        await arm.ask("forget")
        assert "the lock precious (CanNotDelete)" in await failed(gateway, vm, "undeploy")
        assert all(of.startswith("GET") for of in await arm.ask("calls"))
        assert (await gateway.get(vm))["state"] == "ON"
        await arm.ask("unlock", name="precious")
        await gateway.run("POST", f"{vm}/action/undeploy")
        assert await arm.ask("left") == []
        await books_balance(store)


async def test_the_next_zone_is_tried_though_an_interface_is_reserved(
    arm: Apart, store: Store, database_url: str, tmp_path: Path
) -> None:
    """In the task that failed for want of room; of the first try nothing is left."""
    await arm.ask("pace", nic_reserved_s=2)
    rule = await arm.ask("fault", kind="fail", of="PUT vm", code="ZonalAllocationFailed", times=2)
    async with gateways(on_azure(arm, tmp_path, database_url)) as (gateway,):
        vm = await gateway.make(await gateway.appliance())
        task = await gateway.run("POST", f"{vm}/action/deploy")
        assert await arm.ask("hits", rule=rule) > 0
        assert "ZonalAllocationFailed" in str(await decisions(gateway, vm)), task
        left = await arm.ask("left")
        assert len(left) == 3, left
        assert [one["power"] for one in (await arm.ask("vms")).values()] == ["running"]
        await books_balance(store)


async def decisions(gateway: Gateway, vm: str) -> Any:
    """Everything that is on record of the VM."""
    return await gateway.get("events")


async def test_a_policy_is_named_and_the_option_tags_fulfils_it(
    arm: Apart, store: Store, database_url: str, tmp_path: Path
) -> None:
    """Nothing is left of what it forbade; with the tags the VM, its disk and interface are made."""
    await arm.ask("require", tag="CostCenter", name="Require a cost center")
    at = on_azure(arm, tmp_path, database_url)
    async with gateways(at) as (gateway,):
        vm = await gateway.make(await gateway.appliance())
        told = await failed(gateway, vm, "deploy")
        assert "RequestDisallowedByPolicy" in told
        assert "Require a cost center" in told
        assert await arm.ask("left") == []
    text = at.config.read_text()
    tags = '[hypervisor.azure.options.tags]\nCostCenter = "42 — Käse"\nowner = "ops"\n'
    at.config.write_text(text.replace("[[datacenters]]", f"{tags}[[datacenters]]", 1))
    async with gateways(at) as (gateway,):
        vm = await gateway.make(await gateway.appliance())
        await gateway.run("POST", f"{vm}/action/deploy")
        for kind in (VMS, DISKS, NICS):
            (found,) = await arm.ask("tags", what=kind)
            assert (found["CostCenter"], found["owner"]) == ("42 — Käse", "ops"), kind
            assert found["vmgate-vm"]
        await books_balance(store)
