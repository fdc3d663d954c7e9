"""Deploy places a VM, creates it powered off, and powers it on; undeploy goes the way back,
and forgets the VM where it was to be deleted."""

from collections.abc import Mapping
from typing import Any

from drivers.contract import Deploy, Order, Outcome, Power, PowerRequest, Remove
from gateway.lifecycle import VmState
from gateway.store import vm_record
from gateway.store.capacity import bookings
from gateway.store.db.pool import Connection
from gateway.tasks.outcome.forget_vm import DELETE, forget
from gateway.tasks.saga import begun, failure
from gateway.tasks.step_actions import (
    Behaviour,
    CallStep,
    ReserveStep,
    StepContext,
    StoreStep,
    place_of,
    record_seen,
    seen_by,
    spec_of,
)


def _create(at: StepContext) -> Order:
    return Deploy(spec_of(at.vm), place_of(at.vm))


def _remove(at: StepContext) -> Remove:
    return Remove(at.vm.uuid, place_of(at.vm), at.vm.volume)


def _power_on(at: StepContext) -> Order:
    return Power(at.vm.uuid, place_of(at.vm).host, PowerRequest.ON)


def _power_off(at: StepContext) -> Order:
    return Power(at.vm.uuid, place_of(at.vm).host, PowerRequest.OFF)


def _power_off_made(at: StepContext) -> Order | None:
    """Nothing is powered off that was not made yet: the record has its place only. Nor is what
    cannot be removed afterwards."""
    if at.vm.state is VmState.ALLOCATED:
        return None
    host = place_of(at.vm).host
    return Power(at.vm.uuid, host, PowerRequest.OFF, then=_remove(at))


def _power_back(at: StepContext) -> Order | None:
    """A VM that ran is powered on again: its removal was cancelled before it began, or refused."""
    failed = failure(at.journal)
    if failed is None or at.state_before("power") != VmState.ON:
        return None
    cancelled = bool(failed.detail.get("cancelled")) and not begun(at.journal, "remove")
    kept = failed.step == "remove" and not failed.detail.get("clean")
    return _power_on(at) if cancelled or (kept and at.vm.state is VmState.OFF) else None


async def _put_back(c: Connection, at: StepContext, outcome: Outcome) -> None:
    if outcome.sighting is not None:
        await record_seen(c, at, outcome, at.vm.state)


async def _created(c: Connection, at: StepContext, outcome: Outcome) -> None:
    await vm_record.record_state(c, at.vm.id, VmState.CONFIGURED, seen_by(at, outcome))


async def _running(c: Connection, at: StepContext, outcome: Outcome) -> None:
    await record_seen(c, at, outcome, VmState.ON)


async def _stopped(c: Connection, at: StepContext, outcome: Outcome) -> None:
    await record_seen(c, at, outcome, VmState.OFF)


async def _removed(c: Connection, at: StepContext, outcome: Outcome) -> None:
    await vm_record.record_state(c, at.vm.id, VmState.ALLOCATED, seen_by(at, outcome))


async def leave(c: Connection, at: StepContext) -> None:
    """Give back every booking of a VM that was seen to live nowhere."""
    await bookings.release_all(c, at.vm.id)
    await vm_record.record_place(c, at.vm.id, None, None, "")
    await vm_record.record_decision(c, at.vm.id, None)
    await vm_record.record_state(c, at.vm.id, VmState.NOT_ALLOCATED)


async def _release(c: Connection, at: StepContext) -> Mapping[str, Any]:
    await leave(c, at)
    if at.task.payload.get(DELETE):
        await forget(c, at)
    return {}


DEPLOY: Mapping[str, Behaviour] = {
    "reserve": ReserveStep(moving=False, undo=leave),
    "create": CallStep(_create, _created, undo=_remove, undo_effect=_removed),
    "power": CallStep(_power_on, _running, undo=_power_off, undo_effect=_stopped),
}
UNDEPLOY: Mapping[str, Behaviour] = {
    "power": CallStep(
        _power_off_made, _stopped, undo=_power_back, undo_effect=_put_back, look_first=True
    ),
    "remove": CallStep(_remove, _removed),
    "release": StoreStep(_release),
}
