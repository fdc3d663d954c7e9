"""A person says that a stuck task's operation did not happen: it ends so, unless a fresh look
contradicts. Nothing is removed on a person's word: what is taken back then, is by looking, too.
"""

from collections.abc import Mapping
from typing import Any

from drivers.contract import Driver
from drivers.facts import PowerState
from gateway.lifecycle import Operation
from gateway.store.tasks import tasks
from gateway.store.vm_record import VmRecord
from gateway.tasks.ending import unforeseen
from gateway.tasks.ending.requeue import Parked, get_stuck
from gateway.tasks.labels import EXPECTED
from gateway.tasks.outcome import fresh_look
from gateway.tasks.outcome.fresh_look import FreshLook, VmLook
from gateway.tasks.saga import JournalEvent, NextAction, SagaEnd, current_attempt, next_action
from gateway.tasks.task_journal import TaskRecord, TaskTransaction

NOT_DONE = "NOT_DONE"


async def asked_for(
    record: TaskRecord, drivers: Mapping[str, Driver], move: NextAction | SagaEnd
) -> NextAction | SagaEnd:
    """The move to begin with: other than the journal's where processes died over the task too
    often, or a person said what became of it. Of a VM whose cancelled task waited for a host,
    whether that answers now is looked at first."""
    if why := unforeseen.killed(record):
        await get_stuck(record, why)
    if record.cancel.requested and record.waits_for:
        _, looks = await fresh_look.look(record, drivers)
        record.silent = not all(one.answered for one in looks)
    if isinstance(move, NextAction) and record.task.resolved_as:
        return await not_done(record, drivers, move)
    return move


async def not_done(
    record: TaskRecord, drivers: Mapping[str, Driver], move: NextAction
) -> NextAction | SagaEnd:
    """Turn the task back, or end it where it was turning back already; it is stuck again, with the
    reason, when a host does not answer or the look contradicts."""
    vm, looks = await fresh_look.look(record, drivers)
    found = fresh_look.read(vm, looks)
    async with record.fenced() as page:
        against = _contradicts(page, vm, looks, found)
        if not against:
            return await _turn(page, move, found)
        await page.get_stuck(f"not resolved as {NOT_DONE}: {against}")
    raise Parked


async def _turn(page: TaskTransaction, move: NextAction, found: FreshLook) -> NextAction | SagaEnd:
    said: dict[str, Any] = {
        "reason": "resolved as not done",
        "told": "resolved as not done",
        "clean": False,
    }
    await tasks.resolved(page.c, page.record.task.id)
    if not move.undoing:
        await page.write(move.step, JournalEvent.FAILED, said)
        return next_action(page.record.saga, page.lines)
    vm = (await page.situation()).vm
    if found.state is not None and found.at is not None:
        await fresh_look.write(page.c, vm, found, {"by": page.record.observer})
        await page.write(move.step, JournalEvent.ABANDONED, {**said, "left": list(found.left)})
        await page.finish(False, said["reason"])
        return SagaEnd(success=False, reason=str(said["reason"]))
    await page.write(move.step, JournalEvent.UNDONE, {})
    return next_action(page.record.saga, page.lines)


def _contradicts(page: TaskTransaction, vm: VmRecord, looks: list[VmLook], found: FreshLook) -> str:
    """Why the operation cannot be taken as not done, empty when nothing speaks against it."""
    silent = [one.host for one in looks if not one.answered]
    if silent:
        return f"there is no fresh look, for {', '.join(silent)} does not answer"
    operation = page.record.task.operation
    at = found.at
    match operation:
        case Operation.DEPLOY:
            there = [one.host for one in looks if one.sighting is not None]
            return f"the virtual machine is on {', '.join(there)}" if there else ""
        case Operation.RELOCATE:
            return _moved(page, looks, found)
        case Operation.RECONFIGURE:
            return _resized(page.record.task.payload, vm, at)
        case _ if not any(one.lives for one in looks):
            return "the virtual machine is on none of its hosts"
        case _ if operation in EXPECTED and found.state is EXPECTED[operation]:
            return f"the virtual machine is {found.state}"
    return ""


def _moved(page: TaskTransaction, looks: list[VmLook], found: FreshLook) -> str:
    reserved = next(
        (line.detail for line in reversed(current_attempt(page.lines)) if "target" in line.detail),
        None,
    )
    if reserved is None:
        return ""
    source = reserved["source_host_id"]
    if found.at is not None and found.at.host_id != source:
        return f"the virtual machine is {found.state} on {found.at.host}"
    if not any(one.lives for one in looks if one.host_id == source):
        return f"the virtual machine is not on {reserved['source']['host']}"
    running = [one.host for one in looks if one.host_id != source and _runs(one)]
    return f"the virtual machine runs on {', '.join(running)}" if running else ""


def _runs(one: VmLook) -> bool:
    return one.lives and one.sighting is not None and one.sighting.state is not PowerState.OFF


def _resized(payload: Mapping[str, Any], vm: VmRecord, at: VmLook | None) -> str:
    if at is None or at.sighting is None:
        return "the virtual machine is on none of its hosts"
    seen = at.sighting
    wanted = int(payload.get("cpu", vm.cpu)), int(payload.get("ram_mib", vm.ram_mib))
    if (seen.cpu, seen.ram_mib) == wanted != (vm.cpu, vm.ram_mib):
        return f"the virtual machine has {seen.cpu} CPU and {seen.ram_mib} MiB"
    return ""
