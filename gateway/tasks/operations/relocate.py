"""Relocate books a second place, moves the VM, clears the first and gives it back.

The journal of the reserve step names both places: the record changes when the move is seen
done, and what comes after must still know where the VM came from.
"""

from collections.abc import Mapping
from typing import Any

from drivers.contract import Clear, Location, Order, Outcome, Relocate
from gateway.store import vm_record
from gateway.store.capacity import bookings
from gateway.store.db.pool import Connection
from gateway.tasks.step_actions import (
    Behaviour,
    CallStep,
    ReserveStep,
    StepContext,
    StoreStep,
    record_seen,
    spec_of,
)


def _places(at: StepContext) -> tuple[Location, Location]:
    detail = at.detail("reserve")
    return Location(**detail["source"]), Location(**detail["target"])


def _same_disk(at: StepContext) -> bool:
    detail = at.detail("reserve")
    return bool(detail["source_volume"] == detail["target_volume"])


def _move(at: StepContext) -> Order:
    source, target = _places(at)
    detail = at.detail("reserve")
    return Relocate(
        spec_of(at.vm, detail["target_volume"]), source, target, detail["source_volume"]
    )


async def _moved(c: Connection, at: StepContext, outcome: Outcome) -> None:
    detail = at.detail("reserve")
    await vm_record.record_place(
        c, at.vm.id, detail["host_id"], detail["datastore_id"], detail["target_volume"]
    )
    await vm_record.record_decision(c, at.vm.id, detail.get("decision"))
    await record_seen(c, at, outcome, at.vm.known_state)


def _clear_target(at: StepContext) -> Order:
    source, target = _places(at)
    volume = "" if _same_disk(at) else at.detail("reserve")["target_volume"]
    return Clear(at.vm.uuid, target, source.host, volume)


def _clear_source(at: StepContext) -> Order:
    source, target = _places(at)
    volume = "" if _same_disk(at) else at.detail("reserve")["source_volume"]
    return Clear(at.vm.uuid, source, target.host, volume)


async def _give_back(c: Connection, at: StepContext, leaves: int, stays: int) -> None:
    booked = {one.host_id: one for one in await bookings.of_vm(c, at.vm.id)}
    await bookings.release(c, booked[leaves], lives_on=booked[stays])


async def _release_target(c: Connection, at: StepContext) -> None:
    detail = at.detail("reserve")
    await _give_back(c, at, leaves=detail["host_id"], stays=detail["source_host_id"])


async def _release_source(c: Connection, at: StepContext) -> Mapping[str, Any]:
    detail = at.detail("reserve")
    await _give_back(c, at, leaves=detail["source_host_id"], stays=detail["host_id"])
    return {}


RELOCATE: Mapping[str, Behaviour] = {
    "reserve": ReserveStep(moving=True, undo=_release_target),
    "move": CallStep(_move, _moved, undo=_clear_target),
    "clear": CallStep(_clear_source),
    "release": StoreStep(_release_source),
}
