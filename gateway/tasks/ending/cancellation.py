"""Cancelling a task that runs: the saga turns back where it still can, a running call is asked to
stop, and what does not answer is not waited for.

The request is in the task's row before anything here happens, so a process that dies on any line
leaves it to the next one. What has not begun never begins: the permit of a call ends with the
request. What has begun is looked at, as after any call; only then is it taken back.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from drivers.contract import Driver, LeaseLost, Permit, Power, PowerRequest, Ticket
from drivers.faults import Fault
from gateway.store.tasks import cancels
from gateway.tasks.fault_policy import Limits
from gateway.tasks.lease import Lease
from gateway.tasks.saga import (
    ActionKind,
    JournalEvent,
    NextAction,
    SagaEnd,
    next_action,
    returns,
    turning,
)
from gateway.tasks.task_journal import TaskRecord, TaskTransaction

_log = logging.getLogger(__name__)
STOP_S = 3.0
"""How long the hypervisor may take to be asked to stop a call."""
GOES_ON = "The cancellation came past the point of no return: the task goes on to its end"
RUNS_ON = "Cancelled: the hypervisor's call does not stop, and what it did is taken back at its end"


class Withdrawn(LeaseLost):
    """The task is cancelled: what has not begun at the hypervisor does not begin any more."""


class GivenUp(Exception):
    """A cancelled task that cannot look at everything ends with what is known now."""


def must_turn(record: TaskRecord, move: NextAction) -> bool:
    """Whether a cancellation has to be written in place of this move."""
    return record.cancel.requested and turning(record.saga, record.lines, move) is not None


async def turned(page: TaskTransaction, move: NextAction | SagaEnd) -> NextAction | SagaEnd:
    """The move to make instead, with the line that turns the saga back."""
    record = page.record
    line = turning(record.saga, page.lines, move)
    if line is None:
        return move
    step = next(each for each in record.saga.steps if each.name == line.step)
    if isinstance(move, NextAction) and move.act is ActionKind.AGAIN:
        await page.write(step, JournalEvent.AGAIN, {})
    await page.write(step, JournalEvent.FAILED, {**line.detail, **because(record)})
    return next_action(record.saga, page.lines)


def because(record: TaskRecord, said: str = "") -> dict[str, Any]:
    """What a line says that turns a cancelled task back, with what the hypervisor `said`."""
    told = f"cancelled by {record.cancel.by}"
    return {"reason": f"{told}: {said}" if said else told, "told": told, "cancelled": True}


@dataclass(slots=True)
class Stopper:
    """Stops one call, begun by this process or by one that died, once its task is cancelled."""

    record: TaskRecord
    lease: Lease
    limits: Limits
    driver: Driver
    move: NextAction
    _asked: bool = field(default=False)
    _since_s: float = field(default=0.0)

    @property
    def may_stop(self) -> bool:
        """Whether the call may be stopped: it goes forward, and the saga can still turn back."""
        record = self.record
        return not self.move.undoing and returns(record.saga, record.lines, self.move.step)

    def check(self) -> Callable[[], None]:
        """The check of a permit for the call, which fails once the task is cancelled."""
        may_stop, lease, cancel = self.may_stop, self.lease, self.record.cancel

        def check() -> None:
            lease.check()
            if may_stop and cancel.requested:
                raise Withdrawn("the task is cancelled")

        return check

    async def run(self, call: Coroutine[Any, Any, None], ticket: Callable[[], Ticket]) -> None:
        """The call to its end, or until it is given up; raises what it raises, and GivenUp."""
        running = asyncio.ensure_future(call)
        asked = asyncio.ensure_future(self.record.cancel.wait())
        try:
            await asyncio.wait({running, asked}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                await self._stop(running, ticket())
            await running
        finally:
            asked.cancel()
            running.cancel()
            await asyncio.gather(asked, running, return_exceptions=True)

    async def _stop(self, running: "asyncio.Future[None]", ticket: Ticket) -> None:
        await self.ask(ticket)
        if self.may_stop and _waits_for_guest(ticket):
            # The guest was asked already; nobody waits for it, nor pulls the plug after it.
            await asyncio.wait({running}, timeout=min(1.0, self.record.cancel.left_s))
            if not running.done():
                raise Withdrawn("the wait for the guest has ended")
            return
        await asyncio.wait({running}, timeout=self.record.cancel.left_s)
        while not running.done():
            await self.say_when()
            await asyncio.wait({running}, timeout=self.limits.settle_for_s)
            if self.may_stop and not running.done():
                raise GivenUp("the hypervisor did not end the call")

    async def ask(self, ticket: Ticket) -> None:
        """Ask the hypervisor, once, to stop the call; it may not be able to."""
        if self._asked or not self.may_stop:
            return
        self._asked = True
        permit = Permit(self.record.task.id, self.move.step.name, self.lease.check)
        try:
            async with asyncio.timeout(STOP_S):
                await self.driver.cancel(permit, ticket)
        except LeaseLost:
            raise
        except (Fault, TimeoutError) as unable:
            _log.info("task %s: its call does not stop: %s", self.record.task.id, unable)
        except Exception:
            _log.exception("task %s: a driver failed to stop a call", self.record.task.id)

    async def still_runs(self, ticket: Ticket) -> None:
        """The call was seen to run: have it stopped, and say by when the task ends; raises GivenUp
        once that has passed."""
        if not self.record.cancel.requested:
            return
        await self.ask(ticket)
        if not self.record.cancel.expired:
            return
        passed_s = self.record.cancel.for_s() - self._since_s
        if not self._since_s:
            self._since_s = self.record.cancel.for_s()
            await self.say_when()
        elif passed_s >= self.limits.settle_for_s and self.may_stop:
            raise GivenUp("the hypervisor did not end the call")

    async def say_when(self) -> None:
        """Have the task tell why it has not ended, and by when it does."""
        why = RUNS_ON if self.may_stop else GOES_ON
        task = self.record.task
        async with self.record.store.transaction() as c:
            await cancels.says_when(c, task.id, task.epoch, self.limits.settle_for_s, why)


def _waits_for_guest(ticket: Ticket) -> bool:
    order = ticket.order
    return isinstance(order, Power) and order.request is PowerRequest.SHUTDOWN
