"""A move that cannot be is refused before it begins, where the vCenter can say so beforehand."""

import pytest

from drivers.contract import Verdict
from drivers.faults import Rejected
from tests.drivers.rigs import closing, surveyed, ticket
from tests.drivers.vsphere_rig import VsphereRig

CHECK, MOVE = "CheckRelocate_Task", "RelocateVM_Task"


@pytest.fixture
async def rig(vsphere: VsphereRig) -> VsphereRig:
    await surveyed(vsphere.driver, vsphere.first)
    vsphere.vc.forget_calls()
    return vsphere


@pytest.mark.parametrize("shared", [True, False], ids=["host", "host and disk"])
async def test_what_the_vcenter_says_against_a_move_is_passed_on(
    rig: VsphereRig, shared: bool
) -> None:
    """Its words are the reason, the VM is where it was, and no task of a move was begun."""
    spec = await rig.started(rig.at(rig.first, shared=shared))
    permit, order = rig.relocation(spec, shared=shared)
    rig.vc.forget_calls()
    rig.vc.fault(CHECK, "taskfault", fault="CpuIncompatible")
    with pytest.raises(Rejected, match="CpuIncompatible"):
        await rig.driver.relocate(permit, order)
    assert {MOVE, "ReconfigVM_Task"}.isdisjoint(rig.vc.calls())
    assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.ABSENT
    assert await rig.everything(rig.first) == {spec.vm}


@pytest.mark.parametrize(
    "fault", ["NotSupported", "MethodNotFound", "ManagedObjectNotFound", "NoPermission"]
)
async def test_a_vcenter_that_cannot_say_is_not_in_the_way(rig: VsphereRig, fault: str) -> None:
    spec = await rig.deployed()
    permit, order = rig.relocation(spec)
    rig.vc.fault(CHECK, "fault", fault=fault)
    await rig.driver.relocate(permit, order)
    assert (rig.vc.calls()[CHECK], rig.vc.calls()[MOVE]) == (1, 1)
    assert await rig.everything(rig.second) == {spec.vm}


async def test_a_check_that_does_not_end_is_not_waited_for_for_ever(rig: VsphereRig) -> None:
    spec = await rig.deployed()
    permit, order = rig.relocation(spec)
    rig.vc.fault(CHECK, "taskhold")
    async with closing(rig.opened(call_timeout_s=2.0)) as driver:
        await driver.relocate(permit, order)
    assert await rig.everything(rig.second) == {spec.vm}


async def test_a_vm_that_is_there_already_needs_no_check(rig: VsphereRig) -> None:
    spec = await rig.deployed()
    permit, order = rig.relocation(spec)
    await rig.driver.relocate(permit, order)
    await rig.driver.relocate(permit, order)
    assert (rig.vc.calls()[CHECK], rig.vc.calls()[MOVE]) == (1, 1)
