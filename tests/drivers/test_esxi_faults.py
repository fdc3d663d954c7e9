"""What the driver of ESXi hosts promises when the vCenter fails: replies are lost, sessions end,
nobody answers, and still there is one VM, one move and no call without an end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from drivers.contract import Deploy, Permit, Power, PowerRequest, Relocate, Verdict
from drivers.faults import Busy, Indeterminate, Rejected, Unreachable
from tests.drivers.interrupted import settled
from tests.drivers.rigs import (
    Rig,
    closing,
    made_by,
    permitted,
    reported,
    surveyed,
    ticket,
    until,
)
from tests.drivers.vsphere_rig import VsphereRig


@pytest.fixture
async def rig(vsphere: VsphereRig) -> VsphereRig:
    await surveyed(vsphere.driver, vsphere.first)
    vsphere.vc.forget_calls()
    return vsphere


def new_vm(rig: Rig) -> tuple[Permit, Deploy]:
    """A VM to make on the first host."""
    permit = permitted()
    return permit, Deploy(made_by(permit.task, rig.spec()), rig.at(rig.first))


@asynccontextmanager
async def held(rig: VsphereRig, method: str, verb: Any) -> AsyncIterator["asyncio.Task[None]"]:
    """The verb, while the vCenter's task stays half way; it goes on afterwards."""
    rule = rig.vc.fault(method, "taskhold")
    task = asyncio.create_task(verb)
    await until(lambda: rule.hits() > 0)
    yield task
    rule.remove()
    await asyncio.wait({task})


async def test_a_clone_whose_reply_is_lost_is_one_vm(rig: VsphereRig) -> None:
    """Nobody knows whether it was begun; it is seen to run, then to be done, and a second deploy
    for the task makes nothing."""
    permit, order = new_vm(rig)
    rig.vc.fault("CloneVM_Task", "dropafter")
    with pytest.raises(Indeterminate):
        await rig.driver.deploy(permit, order)
    async with closing(rig.opened()) as fresh:
        assert (await fresh.settle(ticket(permit, order))).verdict is Verdict.RUNNING
        assert await settled(fresh, ticket(permit, order)) is Verdict.DONE
        await fresh.deploy(permit, order)
    assert rig.vc.calls()["CloneVM_Task"] == 1
    assert await rig.everything(rig.first) == {order.spec.vm}
    assert await rig.volumes(order.at) == {order.spec.disk.volume}


async def test_a_clone_that_was_not_begun_is_seen_not_to_be(rig: VsphereRig) -> None:
    permit, order = new_vm(rig)
    rig.vc.fault("CloneVM_Task", "drop")
    with pytest.raises(Indeterminate):
        await rig.driver.deploy(permit, order)
    assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.ABSENT
    await rig.driver.deploy(permit, order)
    assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.DONE


async def test_another_worker_sees_a_clone_run_by_its_vm_s_ticket(rig: VsphereRig) -> None:
    """Other clones of the template that this driver knows to be others' do not count."""
    permit, order = new_vm(rig)
    other, later = new_vm(rig)
    async with closing(rig.opened()) as fresh:
        async with held(rig, "CloneVM_Task", rig.driver.deploy(permit, order)):
            await until(lambda: bool(rig.driver._begun))
            assert (await fresh.settle(ticket(permit, order))).verdict is Verdict.RUNNING
            assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.RUNNING
            assert (await rig.driver.settle(ticket(other, later))).verdict is Verdict.ABSENT
        assert (await fresh.settle(ticket(permit, order))).verdict is Verdict.DONE


async def test_a_start_whose_reply_is_lost_is_one_start(rig: VsphereRig) -> None:
    spec = await rig.deployed()
    permit, order = permitted(), Power(spec.vm, rig.first, PowerRequest.ON)
    rig.vc.fault("PowerOnVM_Task", "dropafter")
    with pytest.raises(Indeterminate):
        await rig.driver.power(permit, order)
    assert await settled(rig.driver, ticket(permit, order)) is Verdict.DONE
    await rig.driver.power(permit, order)
    assert rig.vc.calls()["PowerOnVM_Task"] == 1
    assert rig.boots(spec.vm) == 1


async def test_a_move_whose_reply_is_lost_is_one_move(rig: VsphereRig) -> None:
    """Begun again while it still runs it is refused for now; afterwards there is nothing to do."""
    spec = await rig.started()
    permit, order = rig.relocation(spec)
    rig.vc.fault("RelocateVM_Task", "dropafter")
    with pytest.raises(Indeterminate):
        await rig.driver.relocate(permit, order)
    with pytest.raises(Busy):
        await rig.driver.relocate(permit, order)
    async with closing(rig.opened()) as fresh:
        assert await settled(fresh, ticket(permit, order)) is Verdict.DONE
        await fresh.relocate(permit, order)
    assert rig.vc.calls()["RelocateVM_Task"] == 1
    assert await rig.everything(rig.second) == {spec.vm}
    assert rig.boots(spec.vm) == 1


async def test_a_session_that_ends_does_not_end_what_runs(rig: VsphereRig) -> None:
    """One login more, and the task is waited for as before."""
    spec = await rig.started()
    permit, order = rig.relocation(spec)
    async with held(rig, "RelocateVM_Task", rig.driver.relocate(permit, order)) as task:
        rig.vc.end_sessions()
    assert task.exception() is None
    assert rig.vc.calls()["RelocateVM_Task"] == 1
    assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.DONE


async def test_many_calls_of_an_ended_session_make_one_login(rig: VsphereRig) -> None:
    spec = await rig.deployed()
    async with closing(rig.opened()) as driver:
        await driver.look(spec.vm, rig.first)
        rig.vc.fault("WaitForUpdatesEx", "hold", times=0)
        rig.vc.end_sessions()
        rig.vc.forget_calls()
        looks = (driver.look(spec.vm, rig.first) for _ in range(12))
        assert {seen.vm for seen in await asyncio.gather(*looks) if seen} == {spec.vm}
        logins = rig.vc.calls()["Login"]
        rig.vc.clear()
    assert logins <= 2  # the other driver's watch may log in meanwhile


async def test_what_happens_between_two_sessions_is_reported(rig: VsphereRig) -> None:
    """A new login compares everything with what was known."""
    stopped, gone = await rig.started(), await rig.deployed()
    moid = rig.admin.vm(stopped.vm)._moId
    heard = rig.driver._watch._world._known
    await until(lambda: {stopped.vm, gone.vm} <= {each.vm for each in list(heard.values())})
    rig.vc.fault("Login", "delay", times=0, ms=700)
    wanted = ((rig.first, stopped.vm, "STOPPED"), (rig.first, gone.vm, "UNDEFINED"))
    async with reported(rig.driver, *wanted):
        removing = rig.admin.vm(gone.vm)
        removing.Destroy_Task()
        rig.vc.end_sessions()
        rig.vc.set("VirtualMachine", moid, {"runtime.powerState": "poweredOff"})
    rig.vc.clear()


async def test_a_vcenter_that_is_too_busy_did_nothing_that_is_not_seen(rig: VsphereRig) -> None:
    """503: a look may be made again; of a change nobody knows."""
    spec = await rig.deployed()
    order = Power(spec.vm, rig.first, PowerRequest.ON)
    rig.vc.fault("RetrievePropertiesEx", "status")
    with pytest.raises(Busy):
        await rig.driver.look(spec.vm, rig.first)
    rig.vc.fault("PowerOnVM_Task", "status")
    with pytest.raises(Indeterminate):
        await rig.driver.power(permitted(), order)
    assert (await rig.driver.settle(ticket(permitted(), order))).verdict is Verdict.ABSENT


async def test_a_host_lost_during_a_move_leaves_the_vm_where_it_was(rig: VsphereRig) -> None:
    """Nobody knows, until the host is back."""
    spec = await rig.started()
    permit, order = rig.relocation(spec)
    async with held(rig, "RelocateVM_Task", rig.driver.relocate(permit, order)) as task:
        await rig.cut(rig.second)
    assert isinstance(task.exception(), Indeterminate)
    with pytest.raises(Unreachable):
        await rig.driver.settle(ticket(permit, order))
    await rig.mend(rig.second)
    assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.ABSENT
    assert await rig.everything(rig.first) == {spec.vm}
    assert rig.boots(spec.vm) == 1


@pytest.mark.parametrize("fault", ["NoDiskSpace", "InsufficientResourcesFault"])
async def test_a_place_without_room_is_a_refusal(rig: VsphereRig, fault: str) -> None:
    """Another place may do; nothing is left at this one."""
    permit, order = new_vm(rig)
    rig.vc.fault("CloneVM_Task", "taskfault", fault=fault)
    with pytest.raises(Rejected, match="no capacity"):
        await rig.driver.deploy(permit, order)
    assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.ABSENT
    assert await rig.everything(rig.first) == set()


async def test_a_datastore_that_is_full_is_a_refusal(rig: VsphereRig) -> None:
    moid = rig.vc.named("Datastore")[rig.at(rig.first).datastore]
    rig.vc.set("Datastore", moid, {"summary.freeSpace": 0})
    try:
        with pytest.raises(Rejected, match="no capacity"):
            await rig.driver.deploy(*new_vm(rig))
    finally:
        rig.vc.set("Datastore", moid, {"summary.freeSpace": 2**40})


async def test_a_vm_that_vanishes_from_a_listing_is_left_out(rig: VsphereRig) -> None:
    """The listing goes on; one that never ends well is no listing."""
    spec = await rig.deployed()
    rig.vc.fault("RetrievePropertiesEx", "fault", fault="ManagedObjectNotFound")
    facts = await surveyed(rig.driver, rig.first)
    assert [vm.vm for vm in facts.vms] == [spec.vm]
    rig.vc.fault("RetrievePropertiesEx", "fault", fault="ManagedObjectNotFound", times=0)
    with pytest.raises(Unreachable):
        await surveyed(rig.driver, rig.first)
    rig.vc.clear()


async def test_a_question_to_somebody_is_passed_on(rig: VsphereRig) -> None:
    spec = await rig.deployed()
    rule = rig.vc.fault("PowerOnVM_Task", "question", text="Copied or moved?")
    with pytest.raises(Indeterminate, match="Copied or moved"):
        await rig.driver.power(permitted(), Power(spec.vm, rig.first, PowerRequest.ON))
    rule.remove()
    vm = rig.admin.vm(spec.vm)
    vm.AnswerVM(vm.runtime.question.id, "0")
    await until(lambda: bool(rig.boots(spec.vm)))


async def test_a_move_that_takes_too_long_is_asked_to_stop(rig: VsphereRig) -> None:
    spec = await rig.started()
    permit, order = rig.relocation(spec)
    async with closing(rig.opened(relocation_timeout_s=0.5)) as driver:
        async with held(rig, "RelocateVM_Task", driver.relocate(permit, order)) as task:
            await asyncio.wait({task})
        assert isinstance(task.exception(), Indeterminate)
        assert await settled(driver, ticket(permit, order)) is Verdict.ABSENT
    assert rig.vc.calls()["CancelTask"] == 1


async def test_a_relocation_order_is_not_begun_without_its_vm(rig: VsphereRig) -> None:
    """A VM that somebody moved elsewhere meanwhile is not moved on."""
    spec = await rig.deployed(rig.at(rig.second))
    permit = permitted()
    order = Relocate(spec, rig.at(rig.first), rig.at(rig.second), spec.disk.volume)
    await rig.driver.relocate(permit, order)
    assert "RelocateVM_Task" not in rig.vc.calls()
    assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.DONE
