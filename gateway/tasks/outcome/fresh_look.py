"""Where a VM is, by a fresh look at every host it is booked on, and what that says of its record.

Nothing here asks a hypervisor to change anything. A host that does not answer is no evidence: what
may be there stays booked, and the VM is UNKNOWN unless it is seen running elsewhere.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drivers.contract import Driver
from drivers.facts import PowerState, Sighting
from drivers.faults import Fault
from gateway.lifecycle import VmState
from gateway.store import vm_record
from gateway.store.capacity import bookings
from gateway.store.db.pool import Connection
from gateway.store.vm_record import VmRecord
from gateway.tasks.task_journal import TaskRecord

LOOK_S = 2.5
_RUNS = (PowerState.ON, PowerState.PAUSED)
_BEFORE_POWER = (VmState.CONFIGURED, VmState.ALLOCATED)


@dataclass(frozen=True, slots=True)
class VmLook:
    """A look at one host the VM is booked on; `answered` without a sighting: it is not there."""

    host_id: int
    host: str
    sighting: Sighting | None = None
    answered: bool = True

    @property
    def lives(self) -> bool:
        """Whether the VM is seen there, as more than the half-made copy of a move."""
        return self.sighting is not None and not self.sighting.arriving


@dataclass(frozen=True, slots=True)
class FreshLook:
    """What the looks come to: the state to record, the host it is at, the hosts whose bookings go,
    where something may be left, that are silent, or that it may be on while it is UNKNOWN. No
    `state`: it is positively nowhere."""

    state: VmState | None
    at: VmLook | None
    free: tuple[VmLook, ...] = ()
    left: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    doubted: tuple[str, ...] = ()


async def look(record: TaskRecord, drivers: Mapping[str, Driver]) -> tuple[VmRecord, list[VmLook]]:
    """The VM's record, and a look at each of its hosts, begun after the record was read."""
    async with record.store.read() as c:
        vm = await vm_record.load(c, record.task.vm_id)
        places = await bookings.hosts_of(c, vm.id)
    looks = [_look(drivers.get(place.hypervisor), vm, place) for place in places]
    return vm, list(await asyncio.gather(*looks))


async def _look(driver: Driver | None, vm: VmRecord, place: bookings.BookedHost) -> VmLook:
    silent = VmLook(place.host_id, place.host, answered=False)
    if driver is None:
        return silent
    try:
        async with asyncio.timeout(LOOK_S):
            seen = await driver.look(vm.uuid, place.host)
    except (Fault, TimeoutError):
        return silent
    if seen is not None and seen.state is PowerState.UNKNOWN:
        return silent
    return VmLook(place.host_id, place.host, seen)


def read(vm: VmRecord, looks: Sequence[VmLook]) -> FreshLook:
    """What the looks at all its hosts say of a VM."""
    silent = tuple(one.host for one in looks if not one.answered)
    there = [one for one in looks if one.lives]
    runs = [one for one in there if _state(one) in _RUNS]
    one = _only(runs) or (_only(there) if not runs else None)
    if one is not None and (runs or not silent):
        others = tuple(each for each in looks if each is not one and each.answered)
        left = tuple(each.host for each in others if each.sighting is not None)
        return FreshLook(_recorded(vm, one), one, () if silent else others, left, silent)
    if not there and not silent:
        left = tuple(each.host for each in looks if each.sighting is not None)
        return FreshLook(None, None, (), left, ())
    left = tuple(each.host for each in there)
    return FreshLook(VmState.UNKNOWN, None, (), left, silent, tuple(each.host for each in looks))


def _only(looks: Sequence[VmLook]) -> VmLook | None:
    return looks[0] if len(looks) == 1 else None


def _state(one: VmLook) -> PowerState | None:
    return None if one.sighting is None else one.sighting.state


def _recorded(vm: VmRecord, at: VmLook) -> VmState:
    assert at.sighting is not None
    state = VmState(at.sighting.state.value)
    before_power = vm.known_state in _BEFORE_POWER
    return VmState.CONFIGURED if state is VmState.OFF and before_power else state


async def write(c: Connection, vm: VmRecord, found: FreshLook, by: Mapping[str, Any]) -> None:
    """Record it: the state that was seen, and one booking where all hosts answered. The caller has
    fenced the task, and handles a VM that is nowhere."""
    assert found.state is not None
    seen: dict[str, Any] = {"state": found.state.value, "host": vm.host, **by}
    if found.state is VmState.UNKNOWN:
        seen["state"] = "NOT_SEEN"
        if len(found.doubted) > 1:  # an observer looks at all of them before it says where it is
            seen["hosts"] = list(found.doubted)
    if found.at is not None:
        seen["host"] = found.at.host
    gone = found.at is not None and bool(found.at.sighting and found.at.sighting.deallocated)
    await vm_record.record_state(c, vm.id, found.state, seen, deallocated=gone)
    if found.at is None:
        return
    booked = {one.host_id: one for one in await bookings.of_vm(c, vm.id)}
    for each in found.free:
        await bookings.release(c, booked[each.host_id], lives_on=booked[found.at.host_id])
