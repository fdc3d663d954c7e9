"""What a worker writes of a VM that is not where its task left it: followed, or lost sight of.

All of it is one transaction with the journal's line, so whoever takes over finds all or nothing.
"""

from typing import Any

import msgspec

from drivers.contract import Clear, Deploy, Location, Order, Power, PowerRequest, Relocate, Remove
from drivers.facts import PowerState, Sighting
from gateway.events.event import Severity
from gateway.lifecycle import Operation, VmState
from gateway.store import vm_record
from gateway.store.capacity import adopted_vms
from gateway.store.capacity.external_moves import VmPlace
from gateway.store.tasks import leftovers
from gateway.store.tasks.leftovers import NewLeftover
from gateway.store.vm_record import VmRecord
from gateway.tasks.outcome.ruling import Fate, Ruling
from gateway.tasks.outcome.whereabouts import Word
from gateway.tasks.saga import JournalEvent, NextAction, tries
from gateway.tasks.task_journal import TaskTransaction

HOPS_MAX = 5
"""Hosts that one step follows a VM to."""
_BEFORE_POWER = (VmState.CONFIGURED, VmState.ALLOCATED)
_WANTED = {
    PowerRequest.ON: PowerState.ON,
    PowerRequest.RESUME: PowerState.ON,
    PowerRequest.OFF: PowerState.OFF,
    PowerRequest.SHUTDOWN: PowerState.OFF,
    PowerRequest.PAUSE: PowerState.PAUSED,
}


async def write(page: TaskTransaction, move: NextAction, order: Order, ruling: Ruling) -> None:
    """Write that the VM was followed, or lost, and what that makes of the step."""
    if ruling.fate is Fate.FOLLOW:
        await _follow(page, move, order, ruling)
    else:
        await _lose(page, move, order, ruling)


async def leave(page: TaskTransaction, order: Order, said: str) -> None:
    """Put on record, and tell, what could not be deleted."""
    if not isinstance(order, Clear | Remove):
        return
    at = await page.situation()
    vm = at.vm
    await leftovers.put(
        page.c,
        NewLeftover(
            vm.uuid,
            vm.name,
            vm.enterprise_id,
            at.task.id,
            vm.hypervisor or "",
            order.at.host,
            order.at.datastore,
            order.volume,
            msgspec.to_builtins(order),
            said,
        ),
    )
    what = f"volume {order.volume} in {order.at.datastore}" if order.volume else "a definition"
    message = f"{vm.name}: {what} on {order.at.host} could not be deleted and is left: {said}"
    told = f"{vm.name}: parts of it could not be deleted; administrators can see which"
    details = {"host": order.at.host, "datastore": order.at.datastore, "volume": order.volume}
    await page.tell("LEFTOVER", (message, told), Severity.WARN, details)


async def _follow(page: TaskTransaction, move: NextAction, order: Order, ruling: Ruling) -> None:
    at, seen = await page.situation(), ruling.reading.sighting
    assert seen is not None
    home = _home(at.vm)
    place = VmPlace(seen.host, seen.datastores, seen.volumes)
    if not await adopted_vms.adopt(page.c, at.vm, place, _volume(page, at.vm, seen.host)):
        said = f"it is on {seen.host}, where it cannot be booked: no host or datastore of ours"
        await _unknown(page, at.vm, {"state": seen.state.value, "host": seen.host})
        await _over(page, move, (said, "It is where it cannot be booked"), success=False)
        return
    await _leave_idle(page, at.vm, home, ruling)
    if seen.host != at.vm.host:
        await _tell(page, at.vm, seen.host)
    await _state(page, at.vm, seen)
    await _go_on(page, move, order, (ruling, seen))


async def _go_on(
    page: TaskTransaction, move: NextAction, order: Order, found: tuple[Ruling, Sighting]
) -> None:
    """What following makes of the step: done where it is as was asked, else to be asked there."""
    ruling, seen = found
    operation = page.record.task.operation
    here = (f"it is on {seen.host} now", "It is on another machine now")
    if operation is Operation.RELOCATE:
        target = at_reserve(page).get("target", {}).get("host")
        await _over(page, move, _after(ruling.said, here), success=seen.host == target)
    elif operation is Operation.DEPLOY and move.undoing and seen.state is not PowerState.OFF:
        await _over(page, move, here, success=True)
    elif move.step.blind:
        await _fail(page, move, _after(ruling.said, here))
    elif _is_so(order, seen):
        await page.write(move.step, JournalEvent.UNDONE if move.undoing else JournalEvent.DONE, {})
    elif tries(page.lines, move.step.name) >= HOPS_MAX and not move.undoing:
        await _fail(page, move, _after(ruling.said, here))
    else:
        await page.write(
            move.step, JournalEvent.UNDO_ABSENT if move.undoing else JournalEvent.ABSENT, {}
        )


def _is_so(order: Order, seen: Sighting) -> bool:
    match order:
        case Power(request=request, release=release):
            return seen.state is _WANTED[request] and seen.deallocated >= release
        case Deploy():
            return True
        case _:
            return False


async def _lose(page: TaskTransaction, move: NextAction, order: Order, ruling: Ruling) -> None:
    """Nobody knows where it is: UNKNOWN, booked at its home alone once the task has ended."""
    at, reading = await page.situation(), ruling.reading
    evidence: dict[str, Any] = {"state": "NOT_SEEN", "host": at.vm.host}
    if reading.word is Word.DOUBLED:
        evidence |= {"state": "SEEN_TWICE", "hosts": list(reading.hosts)}
    deploying = at.task.operation is Operation.DEPLOY
    if not deploying or reading.word is Word.DOUBLED:
        await _unknown(page, at.vm, evidence)
    said = (ruling.said, ruling.told)
    if deploying and reading.word is Word.DOUBLED:
        await _over(page, move, said, success=False)
    elif isinstance(order, Clear):
        await leave(page, order, ruling.said)
        await page.write(move.step, JournalEvent.UNDONE if move.undoing else JournalEvent.DONE, {})
    elif move.undoing:
        await page.write(move.step, JournalEvent.UNDONE, {})
    else:
        await _leave_half(page, at.vm, order, ruling.said)
        await _fail(page, move, said, clean=not deploying)


async def _leave_half(page: TaskTransaction, vm: VmRecord, order: Order, said: str) -> None:
    """The disk that a move made at its target, which may be the one that counts."""
    if isinstance(order, Relocate) and order.volume != order.spec.disk.volume:
        left = Clear(vm.uuid, order.target, order.source.host, order.spec.disk.volume)
        await leave(page, left, said)


async def _leave_idle(
    page: TaskTransaction, vm: VmRecord, home: Location | None, ruling: Ruling
) -> None:
    """Definitions that do not run, on hosts that the VM left."""
    seen = ruling.reading.sighting
    assert seen is not None
    for host in ruling.reading.idle:
        if home is not None:
            left = Clear(vm.uuid, replace_host(home, host), seen.host)
            await leave(page, left, f"the VM lives on {seen.host}")


def replace_host(at: Location, host: str) -> Location:
    """The same datastore as another host sees it."""
    return msgspec.structs.replace(at, host=host)


async def _state(page: TaskTransaction, vm: VmRecord, seen: Sighting) -> None:
    state = VmState(seen.state.value)
    if state is VmState.OFF and vm.known_state in _BEFORE_POWER:
        state = VmState.CONFIGURED
    evidence = {
        "state": seen.state.value,
        "host": seen.host,
        "by": page.record.observer,
        "task": str(page.record.task.id),
    }
    off = state is VmState.OFF and seen.deallocated
    await vm_record.record_state(page.c, vm.id, state, evidence, deallocated=off)


async def _unknown(page: TaskTransaction, vm: VmRecord, evidence: dict[str, Any]) -> None:
    seen = evidence | {"by": page.record.observer, "task": str(page.record.task.id)}
    await vm_record.record_state(page.c, vm.id, VmState.UNKNOWN, seen)


async def _tell(page: TaskTransaction, vm: VmRecord, to: str) -> None:
    message = f"{vm.name} was seen on {to} and no longer on {vm.host}: it is booked on {to}"
    told = f"{vm.name} was moved to another machine from outside"
    details = {"from": vm.host, "to": to}
    await page.tell("VSM_MOVED", (message, told), Severity.WARN, details)


async def _over(
    page: TaskTransaction, move: NextAction, said: tuple[str, str], *, success: bool
) -> None:
    detail = {"success": success, "reason": said[0], "told": said[1]}
    await page.write(move.step, JournalEvent.OVER, detail)


async def _fail(
    page: TaskTransaction, move: NextAction, said: tuple[str, str], *, clean: bool = True
) -> None:
    detail = {"reason": said[0], "told": said[1], "clean": clean}
    await page.write(move.step, JournalEvent.FAILED, detail)


def _after(said: str, here: tuple[str, str]) -> tuple[str, str]:
    return (f"{said}; {here[0]}" if said else here[0], here[1])


def at_reserve(page: TaskTransaction) -> dict[str, Any]:
    """What the step that reserved has journalled."""
    for line in reversed(page.lines):
        if line.step == "reserve" and line.entry is JournalEvent.DONE:
            return dict(line.detail)
    return {}


def _volume(page: TaskTransaction, vm: VmRecord, host: str) -> str:
    """What the VM's disk is called on that host."""
    reserved = at_reserve(page)
    at_target = reserved.get("target", {}).get("host") == host
    return str(reserved["target_volume"]) if at_target else vm.volume


def _home(vm: VmRecord) -> Location | None:
    placed = vm.host is not None and vm.pool is not None
    return Location(vm.host or "", vm.pool or "", bool(vm.shared)) if placed else None
