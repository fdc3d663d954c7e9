"""Moving: approved moves become relocations, a few at a time, until the first surprise.

A step is one transaction under the lock of the plan's row, whichever process takes it. The move
is marked in the transaction that submits its task: a runner that dies at any point leaves a
plan that another goes on with, and no move is made twice.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from uuid import UUID

from gateway.analysis.snapshot import resident
from gateway.caller import Caller
from gateway.denial import ApiError
from gateway.lifecycle import Operation
from gateway.placement.fleet_mirror import FleetMirror
from gateway.plans.approve import emit_plan_event
from gateway.store import plans
from gateway.store.capacity import residents
from gateway.store.db.pool import Connection, Store, StoreError
from gateway.store.plans import StoredMove, StoredPlan
from gateway.tasks.submission import Order, submit_in
from scheduler.plan.move_schedule import Capacities, Place
from scheduler.plan.moves import PlannedMove, from_mapping
from scheduler.plan.resident import Terms

_log = logging.getLogger(__name__)
TICK_S = 0.5


class _Surprise(Exception):
    """What ends the plan, in a sentence."""


class PlanRunner:
    """Runs the plans of a store until cancelled; any number of processes may have one."""

    def __init__(
        self,
        store: Store,
        planner: FleetMirror,
        capacities: Capacities,
        committed: Callable[[], None] = lambda: None,
    ) -> None:
        """`committed` is told that there is something for the feed and for workers."""
        self._store = store
        self._planner = planner
        self._capacities = capacities
        self._committed = committed

    async def run(self) -> None:
        """Step each plan again and again; a store that is away is asked again soon."""
        while True:
            try:
                await self.round()
            except StoreError as away:
                _log.warning("plans wait for the store: %s", away)
            await asyncio.sleep(TICK_S)

    async def round(self) -> None:
        """One step of each plan that has something to do."""
        after: UUID | None = None
        while True:
            async with self._store.read() as c:
                if not await c.fetchval(
                    """select exists (select from plan where state = 'RUNNING')
                       or exists (select from plan_move where state = 'RUNNING')"""
                ):
                    return
            await self._planner.catch_up_to_head()
            async with self._store.transaction() as c:
                row = await plans.due(c, after)
                if row is None:
                    return
                changed = await self._step(c, row)
            if changed:
                self._committed()
            after = row.id

    async def _step(self, c: Connection, row: StoredPlan) -> bool:
        """Record what ended, stop at a surprise, begin what may begin; whether anything was."""
        moves = await plans.moves(c, row.id)
        try:
            ended = await self._record(c, row, moves)
            if row.state != "RUNNING":
                return ended
            if ended:
                moves = await plans.moves(c, row.id)
            if not any(move.state in ("APPROVED", "RUNNING") for move in moves):
                await plans.set_state(c, row.id, "DONE")
                done = sum(move.state == "DONE" for move in moves)
                await emit_plan_event(c, row, "FINISH", f"Plan finished: {done} moves were made")
                return True
            return await self._begin(c, row, moves) or ended
        except _Surprise as surprise:
            if row.state == "RUNNING":
                await plans.set_state(c, row.id, "STOPPED", str(surprise))
                await emit_plan_event(c, row, "STOP", f"Plan stopped: {surprise}")
            return True

    async def _record(self, c: Connection, row: StoredPlan, moves: Sequence[StoredMove]) -> bool:
        """Write the end of moves whose task has one; raises _Surprise for the first failure."""
        failed: str | None = None
        ended = False
        for move in moves:
            if move.state != "RUNNING":
                continue
            told = f"{move.vm_name} from {move.source} to {move.target}"
            if move.task_state == "stuck" and row.state == "RUNNING":
                failed = failed or f"the move of {told} is stuck: {move.task_error}"
            if move.task_state != "done":
                continue
            ended = True
            if move.task_result == "success":
                await plans.set_moves(c, row.id, [move.n], "DONE")
                await emit_plan_event(c, row, "MOVE_FINISH", f"Moved {told}", _details(move))
            else:
                why = move.task_error or str(move.task_result)
                await plans.set_moves(c, row.id, [move.n], "FAILED", why)
                failed = failed or f"the move of {told} failed: {why}"
        if failed is not None:
            raise _Surprise(failed)
        return ended

    async def _begin(self, c: Connection, row: StoredPlan, moves: Sequence[StoredMove]) -> bool:
        """Begin every move that waits for none and overloads no place."""
        self._look_around(row)
        plan = from_mapping(row.told["plan"])
        used: Counter[Place] = Counter()
        for move in moves:
            if move.state == "RUNNING":
                used.update(self._capacities.taken(plan.moves[move.n]))
        done = {move.n for move in moves if move.state == "DONE"}
        begun = False
        for move in moves:
            if move.state != "APPROVED" or not set(move.after) <= done:
                continue
            units = self._capacities.taken(plan.moves[move.n])
            if any(used[at] + more > self._capacities.of(at) for at, more in units.items()):
                continue
            if await self._begin_one(c, row, move, plan.moves[move.n]):
                used.update(units)
                begun = True
        return begun

    def _look_around(self, row: StoredPlan) -> None:
        """Raise _Surprise when the rules or the hosts are not those of the approval."""
        if self._planner.rules.version != row.rule_set:
            raise _Surprise("the rules have changed")
        for id_, character in row.characters.items():
            host = self._planner.host(int(id_))
            if host is None:
                raise _Surprise(f"host {id_} is gone")
            if host.character != character:
                raise _Surprise(f"host {host.name} has changed: it is {host.state}")

    async def _begin_one(
        self, c: Connection, row: StoredPlan, move: StoredMove, planned: PlannedMove
    ) -> bool:
        """Submit one move if it is still what was planned; False while a task holds the VM."""
        vm = await residents.one(c, move.vm_id)
        if vm is None:
            raise _Surprise(f"{move.vm_name} lives nowhere any more")
        if vm.locked:
            return False
        if not vm.clear:
            raise _Surprise(f"{move.vm_name} cannot be moved: it is {vm.state}")
        wrong = self._planner.surprises(planned, resident(vm), Terms())
        if wrong:
            raise _Surprise(f"{move.vm_name} cannot move as planned: {', '.join(wrong)}")
        order = Order(
            Operation.RELOCATE, move.vm_id, {"host_id": move.target_id, "plan": str(row.id)}
        )
        caller = Caller(row.user_id, row.enterprise_id, row.nick)
        try:
            accepted = await submit_in(c, order, caller)
        except ApiError as denied:
            if denied.code == "VM-2":
                return False
            raise _Surprise(f"{move.vm_name} cannot move: {denied.message}") from denied
        await plans.begin_move(c, row.id, move.n, accepted.task)
        told = f"Moving {move.vm_name} from {move.source} to {move.target}"
        await emit_plan_event(c, row, "MOVE", told, _details(move) | {"task": str(accepted.task)})
        return True


def _details(move: StoredMove) -> dict[str, object]:
    return {
        "move": move.n,
        "virtualmachine": move.vm_id,
        "source": move.source_id,
        "target": move.target_id,
        "reason": move.reason,
    }
