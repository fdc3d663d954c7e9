"""A call to its end, and settling its ticket by looking for as long as it still runs."""

import asyncio
from contextlib import AsyncExitStack

from drivers.contract import Outcome, Permit, Ticket, Verdict
from gateway.tasks.driver_calls import Keeping, begin, progress_shown
from gateway.tasks.ending.cancellation import Stopper
from gateway.tasks.task_waits import show_running


async def carry_out(stopper: Stopper, keeping: Keeping) -> None:
    """Make the call of a journalled intent; raises as the call does, Withdrawn, and GivenUp."""
    record, move, ticket = stopper.record, stopper.move, keeping.ticket
    permit = Permit(record.task.id, move.step.name, stopper.check(), keeping.keep)
    async with progress_shown(record, stopper.driver, ticket, record.saga.job_number(move.step)):
        call = begin(stopper.driver, permit, ticket.order)
        await stopper.run(call, lambda: keeping.ticket)


async def settled(stopper: Stopper, ticket: Ticket) -> Outcome:
    """Return the driver's verdict once the call runs no more; raises the faults of `settle`."""
    async with AsyncExitStack() as while_running:
        outcome = await _once(stopper, ticket)
        if outcome.verdict is Verdict.RUNNING:
            number = stopper.record.saga.job_number(stopper.move.step)
            shown = progress_shown(stopper.record, stopper.driver, ticket, number)
            await while_running.enter_async_context(shown)
        while outcome.verdict is Verdict.RUNNING:
            if outcome.reason:
                await show_running(stopper.record, outcome.reason)
            await stopper.still_runs(ticket)
            await asyncio.sleep(stopper.limits.poll_s)
            outcome = await _once(stopper, ticket)
        return outcome


async def _once(stopper: Stopper, ticket: Ticket) -> Outcome:
    stopper.lease.check()
    return await stopper.driver.settle(ticket)
