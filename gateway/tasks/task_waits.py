"""What a task waits for, in its row while it waits, and in one event of severity WARN.

A question, a lock or a quota of the hypervisor's comes from its driver, as Progress.detail or the
reason of a RUNNING outcome; a host that does not answer from the task's own pauses (faults L10).
"""

from gateway.events.event import Event, Severity, emit
from gateway.store.db.pool import Connection
from gateway.store.tasks import task_waits
from gateway.tasks.task_journal import SAID_MAX, TaskRecord, TaskTransaction

TOLD = "It waits for the hypervisor; administrators see what for"
SILENT_S = 3.0
"""A pause that ends sooner is no news; what a driver says that a call waits for always is."""


async def show(page: TaskTransaction, text: str) -> None:
    """Show, in a fenced transaction, what a task that pauses waits for."""
    await _show(page.c, page.record, text, SILENT_S)


async def show_running(record: TaskRecord, text: str) -> None:
    """Show what a running call waits for, empty when it goes on; written when it changes."""
    said = text[:SAID_MAX]
    if said == record.waits_for:
        return
    async with record.store.transaction() as c:
        await _show(c, record, said, 0.0)


async def _show(c: Connection, record: TaskRecord, text: str, tell_after_s: float) -> None:
    task = record.task
    row = await task_waits.show(c, task.id, task.epoch, text[:SAID_MAX], tell_after_s)
    record.waits_for = text[:SAID_MAX]
    if row is None or not row["now"]:
        return
    await emit(
        c,
        Event(
            "VIRTUAL_MACHINE",
            "TASK_WAITS",
            task.vm_id,
            message=f"The task waits: {text[:SAID_MAX]}",
            told=TOLD,
            severity=Severity.WARN,
            enterprise_id=task.enterprise_id,
            user_id=task.user_id,
            user=str(task.payload.get("nick", "")),
            entity_name=task.vm_name,
            task_id=str(task.id),
        ),
    )
