"""A failure of our own inside a task is counted in its row, tried again after growing pauses, and
in the end left to an administrator: no bug holds a VM for ever (faults L1).

Only the type of the exception is kept: its text may hold anything.
"""

import logging

from drivers.contract import LeaseLost
from gateway.store.db.pool import StoreConflict, StoreUnavailable
from gateway.store.tasks import tasks
from gateway.tasks import fault_policy
from gateway.tasks.task_journal import TaskRecord

_log = logging.getLogger(__name__)
LAPSES_MAX = 20
"""Leases that may run out over one task, its processes dead, before it is taken for the cause."""


def killed(record: TaskRecord) -> str:
    """Why the task is stuck when processes died over it too often; empty when they did not."""
    lapses = record.task.lapses
    return f"{lapses} processes ended while they ran it" if lapses > LAPSES_MAX else ""


async def count(record: TaskRecord, limits: fault_policy.Limits, bug: Exception) -> None:
    """Count one failure; the task goes back to the queue, or is stuck after `failures_max`.

    Raises LeaseLost when the task is no longer ours, StoreUnavailable and StoreConflict.
    """
    why = f"unforeseen failure: {type(bug).__name__}"
    try:
        await _count(record, limits, why)
    except (StoreUnavailable, StoreConflict, LeaseLost):
        raise
    except Exception:
        _log.exception("task %s: its failure could not be told", record.task.id)
        async with record.store.transaction() as c:
            await tasks.fence(c, record.task.id, record.task.epoch)
            await tasks.mark_stuck(c, record.task.id, why)


async def _count(record: TaskRecord, limits: fault_policy.Limits, why: str) -> None:
    async with record.fenced() as page:
        failures = await tasks.count_failure(page.c, record.task.id)
        if failures >= limits.failures_max:
            await page.get_stuck(f"{why} ({failures} times)")
        else:
            await page.postpone(fault_policy.wait_s(failures), why)
