"""The executor runs one claimed task, from whatever its journal says, to its end.

It may die on any line: everything it knows is in the journal, and every side effect has its
intent there before it begins.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any, NoReturn

import msgspec

from drivers.contract import Driver, LeaseLost, Outcome, Ticket, Verdict
from drivers.faults import Fault
from gateway.store import vm_record
from gateway.store.db.pool import StoreConflict, StoreUnavailable
from gateway.tasks import fault_policy
from gateway.tasks.driver_calls import Keeping
from gateway.tasks.ending import resolution
from gateway.tasks.ending.abandon import abandon
from gateway.tasks.ending.cancellation import (
    GivenUp,
    Stopper,
    Withdrawn,
    because,
    must_turn,
    turned,
)
from gateway.tasks.ending.requeue import Parked, get_stuck, park
from gateway.tasks.executor_deps import ExecutorDeps
from gateway.tasks.lease import Lease
from gateway.tasks.operations.reserve_step import Contended
from gateway.tasks.operations.saga_table import BEHAVIOURS
from gateway.tasks.outcome import follow_vm
from gateway.tasks.outcome.aftermath import forbidden, rule
from gateway.tasks.outcome.ruling import Fate, Ruling, RulingContext
from gateway.tasks.outcome.settle_call import carry_out
from gateway.tasks.outcome.whereabouts import Word
from gateway.tasks.saga import (
    ABSENT,
    ActionKind,
    JournalEvent,
    NextAction,
    SagaEnd,
    SagaStep,
    next_action,
    tries,
)
from gateway.tasks.step_actions import Behaviour, CallStep, ReserveStep, StepFailed, StoreStep
from gateway.tasks.task_journal import TaskRecord, TaskTransaction

_log = logging.getLogger(__name__)
Pending = tuple[NextAction, Ticket]


@dataclass(slots=True)
class Executor:
    """Runs one task under one lease."""

    record: TaskRecord
    lease: Lease
    tools: ExecutorDeps
    _pending: Pending | None = field(default=None)
    _hypervisor: str | None = field(default=None)

    async def run(self) -> None:
        """Return when the task is done, parked, or no longer ours; a store that is away is
        waited for while the lease may still be renewed."""
        waits = 0
        while not self.lease.lost:
            try:
                self._pending = None
                await self.record.reload()
                await self._run()
                return
            except LeaseLost as lost:
                _log.warning("task %s: %s", self.record.task.id, lost)
                return
            except (StoreUnavailable, StoreConflict) as away:
                _log.warning("task %s waits for the store: %s", self.record.task.id, away)
                await asyncio.sleep(fault_policy.wait_s(waits))
                waits += 1

    async def _run(self) -> None:
        move: NextAction | SagaEnd = next_action(self.record.saga, self.record.lines)
        if isinstance(move, SagaEnd):
            async with self.record.fenced() as page:
                await page.finish(move.success, move.reason)
        try:
            move = await resolution.asked_for(self.record, self.tools.drivers, move)
            while isinstance(move, NextAction):
                move = await (self._turn(move) if must_turn(self.record, move) else self._act(move))
        except Parked:
            return
        except GivenUp as unclear:
            await abandon(self.record, self.tools.drivers, str(unclear))
            move = SagaEnd(success=False)
        finally:
            self.tools.committed()
        if not move.success:
            self.tools.look_at(self.record.task.vm_id)

    async def _turn(self, move: NextAction) -> NextAction | SagaEnd:
        """The task is cancelled: journal that in place of the move."""
        async with self.record.fenced() as page:
            return await self._next(page)

    def _behaviour(self, step: SagaStep) -> Behaviour:
        return BEHAVIOURS[self.record.task.operation][step.name]

    async def _act(self, move: NextAction) -> NextAction | SagaEnd:
        behaviour = self._behaviour(move.step)
        match move.act, behaviour:
            case ((ActionKind.SETTLE | ActionKind.SETTLE_UNDO), CallStep()):
                return await self._settle(move, msgspec.convert(move.ticket, Ticket))
            case ((ActionKind.BEGIN | ActionKind.UNDO), CallStep()):
                return await self._call(move)
            case ActionKind.BEGIN, ReserveStep(moving=moving):
                return await self._reserve(move.step, moving=moving)
            case ActionKind.BEGIN, StoreStep():
                return await self._write(move.step, behaviour)
            case ActionKind.UNDO, (StoreStep() | ReserveStep()):
                return await self._unwrite(move.step, behaviour)
            case ActionKind.AGAIN, _:
                async with self.record.fenced() as page:
                    await page.begin_again(move.step)
                    return await self._next(page)
            case _:
                raise AssertionError(f"{move} does not suit its behaviour")

    async def _reserve(self, step: SagaStep, *, moving: bool) -> NextAction | SagaEnd:
        async with self.record.store.read() as c:
            situation = await TaskTransaction(self.record, c, list(self.record.lines)).situation()
        try:
            await self.tools.reserver.reserve(situation, step.name, moving=moving)
        except StepFailed as failed:
            return await self._refused(step, failed)
        except Contended as contended:
            await park(self.record, str(contended))
        await self.record.reload()
        return next_action(self.record.saga, self.record.lines)

    async def _refused(self, step: SagaStep, failed: StepFailed) -> NextAction | SagaEnd:
        async with self.record.fenced() as page:
            await page.refuse(step, failed)
            return await self._next(page)

    async def _write(self, step: SagaStep, behaviour: StoreStep) -> NextAction | SagaEnd:
        try:
            async with self.record.fenced() as page:
                detail = await behaviour.do(page.c, await page.situation())
                await page.write(step, JournalEvent.DONE, detail)
                return await self._next(page)
        except StepFailed as failed:
            return await self._refused(step, await self.tools.reserver.advised(failed))

    async def _unwrite(
        self, step: SagaStep, behaviour: StoreStep | ReserveStep
    ) -> NextAction | SagaEnd:
        async with self.record.fenced() as page:
            if behaviour.undo is not None:
                await behaviour.undo(page.c, await page.situation())
            await page.write(step, JournalEvent.UNDONE, {})
            return await self._next(page)

    async def _next(self, page: TaskTransaction) -> NextAction | SagaEnd:
        """What follows the page's lines; an intent or the end is written with them at once."""
        move = next_action(self.record.saga, page.lines)
        if self.record.cancel.requested:
            move = await turned(page, move)
        if isinstance(move, SagaEnd):
            await page.finish(move.success, move.reason)
            return move
        behaviour = self._behaviour(move.step)
        if (
            move.act is ActionKind.BEGIN
            and isinstance(behaviour, CallStep)
            and not behaviour.look_first
        ):
            ticket = await self._intend(page, move, behaviour)
            if ticket is not None:
                self._pending = (move, ticket)
        return move

    async def _intend(
        self, page: TaskTransaction, move: NextAction, behaviour: CallStep
    ) -> Ticket | None:
        situation = await page.situation()
        self._hypervisor = situation.vm.hypervisor
        derive = behaviour.undo if move.undoing else behaviour.order
        order = derive(situation) if derive is not None else None
        if order is None:
            return None
        ticket = Ticket(self.record.task.id, move.step.name, order)
        await page.intend(move, ticket, situation.vm.known_state)
        return ticket

    async def _call(self, move: NextAction) -> NextAction | SagaEnd:
        behaviour = self._behaviour(move.step)
        assert isinstance(behaviour, CallStep)
        pending, self._pending = self._pending, None
        if pending is not None and pending[0] == move:
            ticket: Ticket | None = pending[1]
        else:
            async with self.record.fenced() as page:
                ticket = await self._intend(page, move, behaviour)
        if ticket is None:
            return await self._done(move, Outcome(Verdict.DONE))
        if behaviour.look_first or move.act is ActionKind.UNDO:
            ruling = await forbidden(await self._scene(move), move, ticket)
            ruling = ruling or await rule(await self._scene(move), move, ticket, called=False)
            if ruling.fate is not Fate.ABSENT:
                return await self._ruled(move, ticket, ruling)
        return await self._begin(move, ticket)

    async def _begin(self, move: NextAction, ticket: Ticket) -> NextAction | SagaEnd:
        """Make the call under the lease, and settle it."""
        stopper = await self._stopper(move)
        keeping = Keeping(self.record, move, ticket)
        try:
            await carry_out(stopper, keeping)
        except Withdrawn:
            return await self._settle(move, keeping.ticket)
        except Fault as fault:
            return await self._settle(move, keeping.ticket, fault)
        if move.step.blind:
            return await self._done(move, Outcome(Verdict.DONE))
        return await self._settle(move, keeping.ticket)

    async def _settle(
        self, move: NextAction, ticket: Ticket, fault: Fault | None = None
    ) -> NextAction | SagaEnd:
        """Whatever an error is called, what is seen decides."""
        ruling = await rule(await self._scene(move), move, ticket, fault)
        return await self._ruled(move, ticket, ruling)

    async def _ruled(
        self, move: NextAction, ticket: Ticket, ruling: Ruling
    ) -> NextAction | SagaEnd:
        vain = tries(self.record.lines, move.step.name)
        match ruling.fate:
            case Fate.DONE:
                return await self._done(move, ruling.outcome)
            case Fate.LEFT:
                return await self._done(move, ruling.outcome, (ticket, ruling.said))
            case Fate.FOLLOW | Fate.LOST:
                async with self.record.fenced() as page:
                    await follow_vm.write(page, move, ticket.order, ruling)
                    then = await self._next(page)
                self.tools.look_at(self.record.task.vm_id)
                return then
            case Fate.FAILED:
                said = ruling.said, ruling.told
                return await self._fail(move, said, clean=ruling.clean, full=ruling.full)
            case Fate.AGAIN:
                await self._absent(move, gone=_is_gone(move, ruling))
                await park(self.record, ruling.said, vain)
            case Fate.ABSENT:
                await self._absent(move, gone=_is_gone(move, ruling))
                if fault_policy.is_exhausted(move, vain + 1, self.tools.limits):
                    effect = fault_policy.without_effect(vain + 1, ruling.outcome.sighting)
                    reason = ruling.said or effect
                    return await self._fail(move, (reason, fault_policy.IN_VAIN), clean=True)
        return next_action(self.record.saga, self.record.lines)

    async def _scene(self, move: NextAction) -> RulingContext:
        async with self.record.store.read() as c:
            vm = await vm_record.load(c, self.record.task.vm_id)
        return RulingContext(self.record, vm, await self._stopper(move))

    async def _done(
        self, move: NextAction, outcome: Outcome, left: tuple[Ticket, str] | None = None
    ) -> NextAction | SagaEnd:
        behaviour = self._behaviour(move.step)
        assert isinstance(behaviour, CallStep)
        async with self.record.fenced() as page:
            effect = behaviour.undo_effect if move.undoing else behaviour.effect
            if left is not None:
                await follow_vm.leave(page, left[0].order, left[1])
            await effect(page.c, await page.situation(), outcome)
            gone = move.step.name == "power" and outcome.sighting is None
            entry = JournalEvent.UNDONE if move.undoing else JournalEvent.DONE
            await page.write(move.step, entry, {ABSENT: True} if gone else {})
            return await self._next(page)

    async def _absent(self, move: NextAction, *, gone: bool = False) -> None:
        entry = JournalEvent.UNDO_ABSENT if move.undoing else JournalEvent.ABSENT
        async with self.record.fenced() as page:
            await page.write(move.step, entry, {"gone": True} if gone else {})

    async def _fail(
        self, move: NextAction, said: tuple[str, str], *, clean: bool, full: bool = False
    ) -> NextAction | SagaEnd:
        """A step that cannot be done, as is `said` to administrators and to who may not know of
        hosts, turns the saga back; a final or undoing one cannot turn. `full`: for want of
        capacity, so another host may be tried."""
        if fault_policy.cannot_roll_back(move):
            await self._persist(move, said[0])
        async with self.record.fenced() as page:
            detail: dict[str, Any] = {"reason": said[0], "told": said[1], "clean": clean}
            if self.record.cancel.requested:
                detail |= {**because(self.record, said[0]), "clean": False}
            elif full:
                detail |= await page.refusal(said[0], self.tools.limits)
            await page.write(move.step, JournalEvent.FAILED, detail)
            return await self._next(page)

    async def _persist(self, move: NextAction, reason: str) -> NoReturn:
        """What must be done and was refused is tried again for long, then left to a person. The
        journal says that it was not done, so that a person's resolve has it called again."""
        vain = tries(self.record.lines, move.step.name)
        await self._absent(move)
        if vain < self.tools.limits.attempts_max * 2:
            await park(self.record, reason, vain)
        await get_stuck(self.record, reason)

    async def _stopper(self, move: NextAction) -> Stopper:
        driver = await self._driver()
        return Stopper(self.record, self.lease, self.tools.limits, driver, move)

    async def _driver(self) -> Driver:
        if self._hypervisor is None:
            async with self.record.store.read() as c:
                vm = await vm_record.load(c, self.record.task.vm_id)
            self._hypervisor = vm.hypervisor
        driver = self.tools.drivers.get(self._hypervisor or "")
        if driver is None:
            await park(self.record, f"this process has no driver called {self._hypervisor}")
        return driver


def _is_gone(move: NextAction, ruling: Ruling) -> bool:
    """Whether a step past which nothing can be taken back was seen to have taken the VM away."""
    seen = ruling.fate is Fate.ABSENT and ruling.outcome.sighting is None
    return move.step.commits and (seen or ruling.reading.word is Word.NOWHERE)
