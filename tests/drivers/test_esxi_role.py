"""The role of the docs is enough for every verb, and what is missing is named."""

import asyncio

import pytest

from drivers.contract import Power, PowerRequest, Reconfigure, Remove, Reset, Verdict
from drivers.esxi.role import DO, PRIVILEGES
from drivers.faults import Indeterminate, Rejected
from tests.drivers.creating import resized
from tests.drivers.interrupted import settled
from tests.drivers.rigs import closing, permitted, ticket, until
from tests.drivers.vsphere_rig import VsphereRig

POWERS = (
    PowerRequest.ON,
    PowerRequest.PAUSE,
    PowerRequest.RESUME,
    PowerRequest.SHUTDOWN,
    PowerRequest.ON,
)


async def every_verb(rig: VsphereRig) -> None:
    """A VM's whole life: made, resized, started, moved with its disk and without, and removed."""
    spec = await rig.deployed(rig.at(rig.first, shared=False))
    await rig.driver.reconfigure(permitted(), Reconfigure(resized(spec), rig.first))
    permit, cold = rig.relocation(spec, shared=False)
    await rig.driver.relocate(permit, cold)
    for request in POWERS:
        await rig.power(spec, request, rig.second)
    await rig.driver.reset(permitted(), Reset(spec.vm, rig.second))
    back = permitted()
    live = type(cold)(spec, cold.target, cold.source, cold.spec.disk.volume)
    await rig.driver.relocate(back, live)
    assert (await rig.driver.settle(ticket(back, live))).verdict is Verdict.DONE
    await rig.driver.power(permitted(), Power(spec.vm, rig.first, PowerRequest.OFF))
    at = rig.at(rig.first, shared=False)
    await rig.driver.remove(permitted(), Remove(spec.vm, at, spec.disk.volume))


async def test_the_role_is_enough(vsphere: VsphereRig) -> None:
    vsphere.vc.privileges(PRIVILEGES)
    try:
        await every_verb(vsphere)
        remarks = await vsphere.driver.examine()
    finally:
        vsphere.vc.privileges(None)
    assert any("has all privileges" in each.said for each in remarks)
    assert await vsphere.everything(vsphere.first) == set()


@pytest.mark.parametrize(
    "missing",
    [
        "VirtualMachine.Provisioning.DeployTemplate",
        "VirtualMachine.Config.CPUCount",
        "VirtualMachine.Config.AdvancedConfig",
        "VirtualMachine.Interact.PowerOn",
        "VirtualMachine.Interact.PowerOff",
        "VirtualMachine.Interact.Suspend",
        "VirtualMachine.Interact.Reset",
        "VirtualMachine.Inventory.Delete",
        "Resource.ColdMigrate",
        "Resource.HotMigrate",
        "Datastore.AllocateSpace",
        "Network.Assign",
    ],
)
async def test_a_privilege_that_is_missing_is_named(vsphere: VsphereRig, missing: str) -> None:
    """By the verb that needs it, and by the examination before."""
    assert missing in DO
    vsphere.vc.privileges(set(PRIVILEGES) - {missing})
    try:
        remarks = await vsphere.driver.examine()
        with pytest.raises(Rejected, match=f"privilege {missing} is missing"):
            await every_verb(vsphere)
    finally:
        vsphere.vc.privileges(None)
    assert any(each.said.endswith(f"lacks {missing}") for each in remarks if not each.well)


@pytest.mark.parametrize("held", [True, False], ids=["with the role", "without the privilege"])
async def test_cancelling_takes_a_privilege_that_the_role_has(
    vsphere: VsphereRig, held: bool
) -> None:
    """Also of our own task, as the API reference has it. Without it the move goes on: it is refused
    by name, and a move that takes too long is not said to have ended."""
    spec = await vsphere.started()
    permit, order = vsphere.relocation(spec)
    vsphere.vc.privileges(PRIVILEGES if held else set(PRIVILEGES) - {"Global.CancelTask"})
    rule = vsphere.vc.fault("RelocateVM_Task", "taskhold")
    try:
        async with closing(vsphere.opened(relocation_timeout_s=2)) as driver:
            moving = asyncio.create_task(driver.relocate(permit, order))
            await until(lambda: rule.hits() > 0)
            if held:
                await driver.cancel(permit, ticket(permit, order))
            else:
                with pytest.raises(Rejected, match=r"privilege Global\.CancelTask is missing"):
                    await driver.cancel(permit, ticket(permit, order))
            await asyncio.wait({moving})
            assert isinstance(moving.exception(), Rejected if held else Indeterminate)
            verdict = (await driver.settle(ticket(permit, order))).verdict
            assert verdict is (Verdict.ABSENT if held else Verdict.RUNNING)
            rule.remove()
            ends = Verdict.ABSENT if held else Verdict.DONE
            assert await settled(driver, ticket(permit, order)) is ends
    finally:
        vsphere.vc.privileges(None)
        vsphere.vc.clear()
