"""Faults T2: each state that vSphere can give a VM is one of four, and what is folded away is its
reason. The words come from the API's own enumerations, so that a new one is noticed."""

import pytest
from pyVmomi import vim

from drivers.contract import Power, PowerRequest, Verdict
from drivers.esxi.connection.paging import PropertyPage
from drivers.esxi.vms.operations import _FROM, ENDS
from drivers.esxi.vms.states import POWER, SUSPENDED, UNREAD, power_of, reason_of
from drivers.facts import PowerState
from drivers.faults import Rejected
from tests.drivers.rigs import permitted, surveyed, ticket, until
from tests.drivers.vsphere_rig import VsphereRig

CONNECTIONS = list(vim.VirtualMachine.ConnectionState.values)
POWERS = list(vim.VirtualMachine.PowerState.values)


@pytest.fixture
async def rig(vsphere: VsphereRig) -> VsphereRig:
    return vsphere


def vm_of(connection: str, power: str, **more: object) -> PropertyPage:
    """A VM in these states."""
    values = {"runtime.connectionState": connection, "runtime.powerState": power, **more}
    return PropertyPage("VirtualMachine", "vm-1", values)


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("connection", CONNECTIONS)
def test_every_state_of_the_api_is_told(connection: str, power: str) -> None:
    """Only on and off say it all; no state is taken for off because it is not known."""
    vm = vm_of(connection, power)
    state, reason = power_of(vm), reason_of(vm)
    if connection != "connected":
        assert state is PowerState.UNKNOWN
        assert reason == UNREAD[connection]
    elif power == "suspended":
        assert (state, reason) == (PowerState.PAUSED, SUSPENDED)
    else:
        assert (state, reason) == (POWER[power], "")


def test_states_that_are_not_known_are_unknown_and_named() -> None:
    assert power_of(vm_of("connected", "dreaming")) is PowerState.UNKNOWN
    assert reason_of(vm_of("connected", "dreaming")).endswith(": dreaming")
    assert reason_of(vm_of("adrift", "poweredOff")).endswith(": adrift")


def test_several_reasons_stand_together() -> None:
    more = {"runtime.consolidationNeeded": True, "runtime.question.text": "Copied or moved?"}
    said = reason_of(vm_of("connected", "suspended", **more))
    assert said == (
        "suspended to disk; its disks need consolidation; "
        "it waits for an answer to a question: Copied or moved?"
    )


@pytest.mark.parametrize("state", [PowerState.ON, PowerState.OFF, PowerState.PAUSED])
def test_each_known_state_has_an_action_that_leaves_it(state: PowerState) -> None:
    leaving = [request for request, sources in _FROM.items() if state in sources]
    assert any(ENDS[request] is not state for request in leaving)


@pytest.mark.parametrize("connection", [each for each in CONNECTIONS if each != "connected"])
async def test_a_vm_that_its_host_cannot_read_says_why(rig: VsphereRig, connection: str) -> None:
    """In the listing, in a look, and in the refusal of whatever is asked of it."""
    spec = await rig.started()
    moid = rig.admin.vm(spec.vm)._moId
    rig.vc.set("VirtualMachine", moid, {"runtime.connectionState": connection})
    try:
        (listed,) = (await surveyed(rig.driver, rig.first)).vms
        looked = await rig.driver.look(spec.vm, rig.first)
        for seen in (listed, looked):
            assert seen is not None
            assert (seen.state, seen.reason) == (PowerState.UNKNOWN, UNREAD[connection])
        order = Power(spec.vm, rig.first, PowerRequest.OFF)
        with pytest.raises(Rejected, match=UNREAD[connection]):
            await rig.driver.power(permitted(), order)
    finally:
        rig.vc.set("VirtualMachine", moid, {"runtime.connectionState": "connected"})


async def test_a_suspended_vm_says_so_and_resumes(rig: VsphereRig) -> None:
    spec = await rig.started()
    await rig.power(spec, PowerRequest.PAUSE)
    seen = await rig.driver.look(spec.vm, rig.first)
    assert seen is not None
    assert (seen.state, seen.reason) == (PowerState.PAUSED, SUSPENDED)
    await rig.power(spec, PowerRequest.RESUME)
    seen = await rig.driver.look(spec.vm, rig.first)
    assert seen is not None
    assert (seen.state, seen.reason) == (PowerState.ON, "")


async def test_a_pending_question_is_the_vm_s_reason_and_the_task_s(rig: VsphereRig) -> None:
    """Faults L10: told at once, in the listing, in the verdict and with the progress of the call;
    nobody answers it but a person."""
    spec = await rig.deployed()
    rule = rig.vc.fault("PowerOnVM_Task", "question", text="The datastore is full. Retry?")
    permit, order = permitted(), Power(spec.vm, rig.first, PowerRequest.ON)
    with pytest.raises(Exception, match=r"The datastore is full\. Retry\?"):
        await rig.driver.power(permit, order)
    said = "it waits for an answer to a question: The datastore is full. Retry?"
    outcome = await rig.driver.settle(ticket(permit, order))
    assert (outcome.verdict, outcome.reason) == (Verdict.RUNNING, said)
    assert (await rig.driver.progress(ticket(permit, order))).detail == said
    (listed,) = (await surveyed(rig.driver, rig.first)).vms
    assert (listed.state, listed.reason) == (PowerState.OFF, said)
    with pytest.raises(Rejected, match="powerOn"):  # it cannot be cancelled: it is answered
        await rig.driver.cancel(permit, ticket(permit, order))
    assert "AnswerVM" not in rig.vc.calls()
    rule.remove()
    vm = rig.admin.vm(spec.vm)
    vm.AnswerVM(vm.runtime.question.id, "0")
    await until(lambda: bool(rig.boots(spec.vm)))
    outcome = await rig.driver.settle(ticket(permit, order))
    assert (outcome.verdict, outcome.reason) == (Verdict.DONE, "")
    assert (await rig.driver.progress(ticket(permit, order))).detail == ""
