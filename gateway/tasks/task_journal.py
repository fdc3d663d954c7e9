"""Everything a worker writes about a task, each time behind the fence of its epoch."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from drivers.contract import Ticket
from gateway.events.event import Event, Severity, emit
from gateway.store import vm_record
from gateway.store.capacity import decisions
from gateway.store.db.pool import Connection, Store
from gateway.store.tasks import journal, task_waits, tasks
from gateway.store.tasks.tasks import Claimed
from gateway.tasks.ending.cancel_signal import CancelSignal
from gateway.tasks.fault_policy import Limits, retry_elsewhere
from gateway.tasks.labels import ENDED, FAILED, TITLES, UNTOLD, although, protection
from gateway.tasks.saga import (
    SAGAS,
    JournalEntry,
    JournalEvent,
    NextAction,
    Saga,
    SagaStep,
    failure,
    refusals,
)
from gateway.tasks.step_actions import StepContext, StepFailed

SAID_MAX = 300
"""Characters kept of what a hypervisor said."""


@dataclass(slots=True)
class TaskRecord:
    """One claimed task's record. `lines` is the journal as committed; `waits_for` is what its row
    says that it waits for, `silent` that a host of its VM was seen not to answer."""

    store: Store
    task: Claimed
    observer: str
    lines: list[JournalEntry]
    cancel: CancelSignal = field(default_factory=CancelSignal)
    waits_for: str = ""
    silent: bool = False

    @property
    def saga(self) -> Saga:
        """The saga of the task's operation."""
        return SAGAS[self.task.operation]

    async def reload(self) -> None:
        """Read the journal anew, after a commit whose end is unknown."""
        async with self.store.read() as c:
            read = await journal.read(c, self.task.id)
        self.lines = [
            JournalEntry(step, JournalEvent(entry), detail) for step, entry, detail in read
        ]

    @asynccontextmanager
    async def fenced(self) -> AsyncIterator["TaskTransaction"]:
        """A transaction that holds the task; its lines count once it is committed.

        Raises LeaseLost when the task is no longer held under our epoch.
        """
        async with self.store.transaction() as c:
            self.cancel.learn(await tasks.fence(c, self.task.id, self.task.epoch))
            page = TaskTransaction(self, c, list(self.lines))
            yield page
        self.lines = page.lines


@dataclass(slots=True)
class TaskTransaction:
    """What one fenced transaction adds to a task's record."""

    record: TaskRecord
    c: Connection
    lines: list[JournalEntry]

    async def situation(self) -> StepContext:
        """The task with its VM as this transaction sees it."""
        task = self.record.task
        vm = await vm_record.load(self.c, task.vm_id)
        return StepContext(task, vm, tuple(self.lines), self.record.observer)

    async def write(self, step: SagaStep, entry: JournalEvent, detail: Mapping[str, Any]) -> None:
        """Journal one line, and show it on the step's job."""
        task = self.record.task
        await journal.append(self.c, task.id, task.epoch, (step.name, entry.value, detail))
        self.lines.append(JournalEntry(step.name, entry, detail))
        number = self.record.saga.job_number(step)
        shown = {
            JournalEvent.INTENT: "STARTED",
            JournalEvent.DONE: "DONE",
            JournalEvent.FAILED: "FAILED",
        }.get(entry)
        if number is not None and shown is not None:
            await tasks.set_job(self.c, task.id, number, shown)
        if self.record.waits_for:
            await task_waits.clear(self.c, task.id)
            self.record.waits_for = ""
        undone = {JournalEvent.UNDO_INTENT: "STARTED", JournalEvent.UNDONE: "DONE"}.get(entry)
        if number is not None and undone is not None:
            await tasks.set_rollback(self.c, task.id, number, undone)

    async def intend(self, move: NextAction, ticket: Ticket, was: str = "") -> None:
        """Journal an intent with its ticket and the state in which the VM `was` then."""
        detail = {"ticket": msgspec.to_builtins(ticket)} | ({"was": was} if was else {})
        await self.write(move.step, move.intent, detail)

    async def tell(
        self,
        action: str,
        said: tuple[str, str],
        severity: Severity = Severity.ERROR,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Put an event about the VM into the feed: what is `said` to administrators, and to who
        may not know of hosts."""
        task = self.record.task
        await emit(
            self.c,
            Event(
                "VIRTUAL_MACHINE",
                action,
                task.vm_id,
                message=said[0] + although(task.payload),
                told=said[1] + although(task.payload),
                severity=severity,
                enterprise_id=task.enterprise_id,
                user_id=task.user_id,
                user=str(task.payload.get("nick", "")),
                entity_name=task.vm_name,
                task_id=str(task.id),
                details={**protection(task.payload), **(details or {})},
            ),
        )

    async def refuse(self, step: SagaStep, failed: StepFailed) -> None:
        """Journal a step that cannot be done, say so, and put the refusal on record."""
        detail: dict[str, Any] = {"reason": failed.reason, "told": failed.told, "clean": True}
        if failed.decision is not None:
            await decisions.put_many(self.c, [failed.decision])
            detail["decision"] = str(failed.decision.id)
        await self.tell("SCHEDULE", (failed.reason, failed.told), details=failed.detail)
        await self.write(step, JournalEvent.FAILED, detail)

    async def refusal(self, said: str, limits: Limits) -> dict[str, Any]:
        """What to journal of a host that refused for want of capacity: that it did, and whether
        another is tried."""
        vm = (await self.situation()).vm
        count = len(refusals(self.lines)) + 1
        return {
            "refused": {"host_id": vm.host_id, "host": vm.host, "said": said[:SAID_MAX]},
            "again": retry_elsewhere(self.record.task.operation, count, limits),
        }

    async def begin_again(self, step: SagaStep) -> None:
        """Begin the saga anew at its first step, and say so: all was taken back."""
        refused = refusals(self.lines)[-1]
        await self.write(step, JournalEvent.AGAIN, {})
        for number in range(len(self.record.saga.jobs())):
            await tasks.set_job(self.c, self.record.task.id, number, "PENDING")
        said = f"{refused['host']} has no capacity; retrying on another host: {refused['said']}"
        told = "A hypervisor has no capacity; retrying on another host"
        await self.tell("SCHEDULE", (said, told), Severity.WARN)

    async def finish(self, success: bool, reason: str) -> None:
        """Close the task and say so."""
        task = self.record.task
        await tasks.finish(self.c, task.id, self._result(success), reason)
        title = TITLES[task.operation]
        if success:
            message = f"{title} finished"
            if self.record.cancel.requested:
                message += ": the cancellation came too late"
            await self.tell(ENDED[task.operation], (message, message), Severity.INFO)
            return
        failed = failure(self.lines)
        if failed is not None and failed.detail.get("cancelled"):
            await self._finish_cancelled(title)
            return
        told = UNTOLD if failed is None else failed.detail.get("told", UNTOLD)
        action = FAILED.get(task.operation, ENDED[task.operation])
        await self.tell(action, (f"{title} failed: {reason}", f"{title} failed: {told}"))

    def _result(self, success: bool) -> str:
        failed = failure(self.lines)
        if success or failed is None or not failed.detail.get("cancelled"):
            return "success" if success else "failure"
        return "cancelled"

    async def _finish_cancelled(self, title: str) -> None:
        """All was taken back: say so. Of a VM on a host that does not answer nothing is known."""
        message = f"{title} cancelled by {self.record.cancel.by}"
        await self.tell("CANCEL_TASK", (message, message), Severity.INFO)
        if self.record.silent:
            await vm_record.forget(self.c, self.record.task.vm_id, self.record.observer)

    async def postpone(self, wait_s: float, why: str) -> None:
        """Give the task back to the queue for a while."""
        task = self.record.task
        await tasks.postpone(self.c, task.id, wait_s, why, task.attempts + 1)

    async def get_stuck(self, why: str) -> None:
        """Leave the task to an administrator, and say so."""
        await tasks.mark_stuck(self.c, self.record.task.id, why)
        await tasks.fail_rollbacks(self.c, self.record.task.id)
        told = "The task is stuck and needs an administrator"
        await self.tell("TASK_STUCK", (f"The task is stuck: {why}", told))

    async def undecided_for_s(self) -> float:
        """Seconds since the journal's last line was written."""
        seconds = await self.c.fetchval(
            """select extract(epoch from clock_timestamp() - max(at))::float8
               from journal where task_id = $1""",
            self.record.task.id,
        )
        return float(seconds or 0.0)
