"""The end of a cancelled task that cannot take back all it did, because a host does not answer or
refuses: the VM is what a fresh look shows, and nothing that may exist is lost sight of (faults L7).

A host that answers has its say at once. Of one that does not answer everything stays booked, the
VM is UNKNOWN unless it runs elsewhere, and the task is left open: when the hosts are seen again,
a task of its own takes up what is left (`gateway.tasks.ending.take_up`).
"""

from collections.abc import Mapping

from drivers.contract import Driver
from gateway.events.event import Severity
from gateway.lifecycle import Operation, VmState
from gateway.store import vm_record
from gateway.store.tasks import cancels, tasks
from gateway.tasks.ending.cancellation import because
from gateway.tasks.labels import TITLES
from gateway.tasks.operations.deploy import leave
from gateway.tasks.outcome import fresh_look
from gateway.tasks.outcome.fresh_look import FreshLook
from gateway.tasks.saga import JournalEvent, Mode, SagaStep, begun
from gateway.tasks.task_journal import TaskRecord, TaskTransaction


async def abandon(record: TaskRecord, drivers: Mapping[str, Driver], why: str) -> None:
    """End the task as cancelled, with the VM as it is seen now; raises as `fenced` does."""
    vm, looks = await fresh_look.look(record, drivers)
    found = fresh_look.read(vm, looks)
    async with record.fenced() as page:
        at = await page.situation()
        by = {"by": record.observer, "task": str(record.task.id)}
        if looks and found.state is not None:
            await fresh_look.write(page.c, at.vm, found, by)
            await _follow(page, found)
        elif looks and record.task.operation in (Operation.DEPLOY, Operation.UNDEPLOY):
            await leave(page.c, at)
        elif looks:
            await vm_record.record_state(
                page.c, vm.id, VmState.UNKNOWN, {"state": "NOT_SEEN", "host": vm.host, **by}
            )
        await _end(page, found, why)


async def _follow(page: TaskTransaction, found: FreshLook) -> None:
    """A move whose end was not recorded yet, and that is seen done, names the new place."""
    vm = (await page.situation()).vm
    if found.at is None or found.at.host_id == vm.host_id or found.silent:
        return
    moved = next(
        (line.detail for line in reversed(page.lines) if line.step == "reserve" and line.detail), {}
    )
    if moved.get("host_id") == found.at.host_id and "target_volume" in moved:
        await vm_record.record_place(
            page.c, vm.id, moved["host_id"], moved["datastore_id"], moved["target_volume"]
        )
        await vm_record.record_decision(page.c, vm.id, moved.get("decision"))


async def _end(page: TaskTransaction, found: FreshLook, why: str) -> None:
    record = page.record
    step = _last_step(page)
    places = sorted({*found.left, *found.silent})
    detail = {**because(record, why), "left": places, "silent": list(found.silent)}
    detail["told"] = (
        f"{detail['told']}; not everything could be rolled back; administrators can see where"
    )
    if places:
        detail["reason"] += f"; something of it may be left on {', '.join(places)}"
    await page.write(step, JournalEvent.ABANDONED, detail)
    await tasks.fail_rollbacks(page.c, record.task.id)
    await tasks.finish(page.c, record.task.id, "cancelled", detail["reason"])
    if found.silent and _has_begun(page):
        await cancels.leave_open(page.c, record.task.id)
    title = TITLES[record.task.operation]
    said = f"{title} {detail['reason']}", f"{title} {detail['told']}"
    await page.tell("CANCEL_TASK", said, Severity.WARN, {"left": places})


def _last_step(page: TaskTransaction) -> SagaStep:
    steps = {step.name: step for step in page.record.saga.steps}
    return steps[page.lines[-1].step] if page.lines else page.record.saga.steps[0]


def _has_begun(page: TaskTransaction) -> bool:
    """Whether there is a call to be looked at, or taken back, once its host answers."""
    saga = page.record.saga
    takes_back = any(step.undo is not None for step in saga.steps)
    calls = [step.name for step in saga.steps if step.mode is Mode.CALL]
    return takes_back and any(begun(page.lines, name) for name in calls)
