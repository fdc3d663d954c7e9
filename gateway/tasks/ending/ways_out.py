"""What people may ask of a task that is not over: cancel it, or resolve it when it is stuck.

The request is in the task's row, with an event that names who made it, before anything is done.
"""

from uuid import UUID

from gateway.caller import Caller
from gateway.denial import ApiError, ErrorKind
from gateway.lifecycle import Operation
from gateway.store.db.pool import Connection, Store
from gateway.store.tasks import cancels, journal, tasks
from gateway.tasks.ending.resolution import NOT_DONE
from gateway.tasks.saga import SAGAS, JournalEntry, JournalEvent, next_action, returns
from gateway.tasks.saga import NextAction as NextMove
from gateway.tasks.submission import task_row, tell_of_task

ENDS_WITHIN_S = 10.0


async def cancel(store: Store, task: UUID, caller: Caller) -> None:
    """Cancel a task in any phase; again changes nothing.

    One that has not begun is over at once. Raises ApiError TASK-2 for one that ended without being
    cancelled, and for one that runs past the point of no return.
    """
    async with store.transaction() as c:
        row = await task_row(c, task)
        if row["state"] == "done":
            if row["result"] == "cancelled":
                return
            raise ApiError(
                ErrorKind.CONFLICT, "TASK-2", "The task has ended and cannot be cancelled"
            )
        if row["state"] == "queued" and not row["started"]:
            await tasks.finish(c, task, "cancelled", f"cancelled by {caller.nick}")
            await tell_of_task(c, row, "CANCEL_TASK", "Task cancelled", caller)
            return
        if row["cancel_at"] is not None:
            return
        if row["state"] == "running" and not row["waiting"]:
            await _may_return(c, task, Operation(row["kind"]))
        await cancels.request(c, task, caller.nick, ENDS_WITHIN_S)
        await tell_of_task(c, row, "CANCEL_TASK", "Cancellation requested", caller)
        await tasks.notify_work(c)


async def _may_return(c: Connection, task: UUID, operation: Operation) -> None:
    lines = [
        JournalEntry(step, JournalEvent(entry), detail)
        for step, entry, detail in await journal.read(c, task)
    ]
    move = next_action(SAGAS[operation], lines)
    if not isinstance(move, NextMove) or move.undoing:
        return
    if not returns(SAGAS[operation], lines, move.step):
        raise ApiError(
            ErrorKind.CONFLICT,
            "TASK-2",
            "The task is past the point of no return and goes on to its end; it can be cancelled "
            "again if it comes to wait for a host",
        )


async def resolve(store: Store, task: UUID, caller: Caller, outcome: str = "") -> None:
    """Have a stuck task looked at again: it goes on from what is then seen.

    With the `outcome` NOT_DONE it ends as not done, unless the look contradicts.
    """
    async with store.transaction() as c:
        row = await task_row(c, task)
        if row["state"] != "stuck":
            raise ApiError(ErrorKind.CONFLICT, "TASK-2", "Only a stuck task can be resolved")
        await cancels.resume(c, task, outcome)
        message = "A stuck task is looked at again"
        if outcome == NOT_DONE:
            message = "A stuck task is resolved as not done, if a look at its hosts agrees"
        await tell_of_task(c, row, "RESOLVE_TASK", message, caller)
        await tasks.notify_work(c)
