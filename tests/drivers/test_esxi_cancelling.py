"""Faults L8 on vSphere: every call is cancelled where the vCenter can cancel its task, also by a
worker that took it over; where it cannot, that is said, and the call ends by itself."""

import asyncio

import pytest

from drivers.contract import Deploy, Permit, Power, PowerRequest, Ticket, Verdict
from drivers.faults import Rejected
from tests.drivers.interrupted import settled
from tests.drivers.rigs import closing, made_by, permitted, ticket, until
from tests.drivers.vsphere_rig import VsphereRig


@pytest.fixture
async def rig(vsphere: VsphereRig) -> VsphereRig:
    return vsphere


@pytest.mark.parametrize("taken_over", [False, True], ids=["by who began it", "by another worker"])
async def test_a_clone_is_cancelled_and_leaves_nothing(rig: VsphereRig, taken_over: bool) -> None:
    """Another clone of the same template goes on: the task's own id was kept with the call."""
    kept: list[str] = []

    async def keep(text: str) -> None:
        kept.append(text)

    first = permitted()
    permit = Permit(first.task, first.step, first.check, keep)
    order = Deploy(made_by(permit.task, rig.spec()), rig.at(rig.first))
    other = permitted()
    beside = Deploy(made_by(other.task, rig.spec()), rig.at(rig.first))
    rule = rig.vc.fault("CloneVM_Task", "taskhold", times=0)
    async with closing(rig.opened()) as fresh:
        ours = asyncio.create_task(rig.driver.deploy(permit, order))
        theirs = asyncio.create_task(rig.driver.deploy(other, beside))
        await until(lambda: rule.hits() == 2 and bool(kept))
        asked = Ticket(permit.task, permit.step, order, kept[0])
        driver = fresh if taken_over else rig.driver
        assert (await driver.settle(asked)).verdict is Verdict.RUNNING
        assert (await driver.progress(asked)).percent is not None
        await driver.cancel(permit, asked)
        await asyncio.wait({ours})
        assert isinstance(ours.exception(), Rejected)
        assert await settled(driver, asked) is Verdict.ABSENT
        rule.remove()
        await theirs
    assert await rig.everything(rig.first) == {beside.spec.vm}
    assert rig.vc.calls()["CancelTask"] >= 1


async def test_what_cannot_be_cancelled_says_so_and_ends(rig: VsphereRig) -> None:
    """A power on: the vCenter says that its task is not cancelable, so it is not asked."""
    spec = await rig.deployed()
    permit, order = permitted(), Power(spec.vm, rig.first, PowerRequest.ON)
    rule = rig.vc.fault("PowerOnVM_Task", "taskhold")
    rig.vc.forget_calls()
    task = asyncio.create_task(rig.driver.power(permit, order))
    await until(lambda: rule.hits() > 0 and bool(rig.driver._begun))
    with pytest.raises(Rejected, match=r"cannot cancel VirtualMachine\.powerOn"):
        await rig.driver.cancel(permit, ticket(permit, order))
    assert "CancelTask" not in rig.vc.calls()
    rule.remove()
    await task
    assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.DONE


async def test_another_kind_of_task_on_the_vm_is_left_alone(rig: VsphereRig) -> None:
    """Somebody moves the VM: cancelling a power off that does not run stops no move."""
    spec = await rig.started()
    rule = rig.vc.fault("RelocateVM_Task", "taskhold")
    moving = asyncio.create_task(asyncio.to_thread(rig.admin.move, spec.vm, rig.second))
    await until(lambda: rule.hits() > 0)
    order = Power(spec.vm, rig.first, PowerRequest.OFF)
    await rig.driver.cancel(permitted(), ticket(permitted(), order))
    rule.remove()
    await moving
    assert await rig.everything(rig.second) == {spec.vm}
