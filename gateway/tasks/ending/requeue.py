"""How a run of a task ends before the task does: it goes back to the queue, or to a person.

A cancelled task is tried again quickly, for a short while; then it ends with what is known.
"""

from typing import NoReturn

from drivers.faults import Fault
from gateway.tasks import fault_policy, task_waits
from gateway.tasks.ending.cancellation import GivenUp
from gateway.tasks.task_journal import TaskRecord

CANCELLED_WAIT_S = 0.3


class Parked(Exception):
    """The task went back to the queue or is stuck: this run is over."""


async def park(record: TaskRecord, why: str, attempts: int | None = None) -> NoReturn:
    """Try again later; the wait grows with `attempts`, by default with the task's own."""
    wait = fault_policy.wait_s(record.task.attempts if attempts is None else attempts)
    async with record.fenced() as page:
        if record.cancel.requested:
            _give_up(record, why)
            wait = min(wait, CANCELLED_WAIT_S)
        await task_waits.show(page, why)
        await page.postpone(wait, why)
    raise Parked


async def look_later(record: TaskRecord, limits: fault_policy.Limits, unclear: Fault) -> NoReturn:
    """Look again later; once that went on for too long, only a person can help."""
    async with record.fenced() as page:
        if record.cancel.requested:
            _give_up(record, unclear.message)
            await page.postpone(CANCELLED_WAIT_S, unclear.message)
        elif await page.undecided_for_s() >= limits.settle_for_s:
            await page.get_stuck(unclear.message)
        else:
            await page.postpone(fault_policy.wait_s(record.task.attempts), unclear.message)
    raise Parked


async def get_stuck(record: TaskRecord, why: str) -> NoReturn:
    """Leave the task to an administrator; one that is cancelled ends."""
    async with record.fenced() as page:
        if record.cancel.requested:
            raise GivenUp(why)
        await page.get_stuck(why)
    raise Parked


def _give_up(record: TaskRecord, why: str) -> None:
    if record.cancel.expired:
        raise GivenUp(why)
