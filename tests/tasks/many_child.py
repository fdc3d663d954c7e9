"""One of many processes that run sagas against one store: all but the drivers is as in a gateway.

`python -m tests.tasks.many_child URL HOME SEED BATCH`. It takes tasks, also those of the dead,
resumes each from its journal, and ends when no task is open, or once anybody was refused in a
world that is only filled. A call to a driver counts as done at once.
"""

import asyncio
import os
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

from drivers.contract import LeaseLost, Outcome, Verdict
from gateway.events.sequencer import Sequencer
from gateway.lifecycle import Operation
from gateway.placement.claim_batcher import ClaimBatcher
from gateway.placement.fleet_mirror import FleetMirror
from gateway.placement.host_partitions import PartitionKeeper
from gateway.store import vm_record
from gateway.store.db.faults import StoreConflict, StoreUnavailable
from gateway.store.db.pool import Connection, Store, StoreSettings
from gateway.store.tasks import tasks
from gateway.store.tasks.tasks import Claimed
from gateway.tasks.operations.reserve_step import Contended, Reserver
from gateway.tasks.operations.saga_table import BEHAVIOURS
from gateway.tasks.saga import ActionKind, JournalEvent, NextAction, SagaEnd, next_action
from gateway.tasks.step_actions import CallStep, ReserveStep, StepContext, StepFailed, StoreStep
from gateway.tasks.task_journal import TaskRecord, TaskTransaction

LEASE_S = 4.0
PAUSE_S = 0.2
_TALLY = """insert into many_tally values ($1, $2, $3, $4) on conflict (name) do update set
  granted = excluded.granted, conflicts = excluded.conflicts, fenced = excluded.fenced"""
_REFUSED = """insert into many_refusal
  select count(*), coalesce(sum(cpu), 0), coalesce(sum(ram_mib), 0) from booking"""
_SEEN = Outcome(Verdict.DONE)


@dataclass(slots=True)
class Child:
    """The process."""

    name: str
    store: Store
    sequencer: Sequencer
    planner: FleetMirror
    granter: ClaimBatcher
    chance: Random

    async def turns(self, batch: int) -> None:
        """Until nothing is open."""
        while True:
            async with self.store.transaction() as c:
                claimed = await tasks.claim(c, self.name, LEASE_S, batch, lapsed=True)
            await asyncio.gather(*(self._run(task) for task in claimed))
            tally = self.granter.tally
            async with self.store.transaction() as c:
                await c.execute(_TALLY, self.name, tally.granted, tally.conflicts, tally.fenced)
                over = await c.fetchval(
                    """select not exists (select from task where state <> 'done')
                         or (select fill from many_world) and exists (select from many_refusal)"""
                )
            if over:
                return
            self.sequencer.poke()
            if not claimed:
                with suppress(TimeoutError):
                    async with asyncio.timeout(PAUSE_S):
                        await asyncio.Event().wait()

    async def _run(self, task: Claimed) -> None:
        record = TaskRecord(self.store, task, self.name, [])
        try:
            await record.reload()
            while not await self._go_on(record):
                pass
        except LeaseLost:
            return
        except (Contended, StoreConflict, StoreUnavailable) as again:
            with suppress(LeaseLost):
                async with record.fenced() as page:
                    await page.postpone(PAUSE_S, str(again))

    async def _go_on(self, record: TaskRecord) -> bool:
        """One commit's worth; whether the task has ended."""
        move = next_action(record.saga, record.lines)
        step = None if isinstance(move, SagaEnd) else move.step
        behaviour = step and BEHAVIOURS[record.task.operation][step.name]
        if step is not None and isinstance(behaviour, ReserveStep):
            async with self.store.read() as c:
                vm = await vm_record.load(c, record.task.vm_id)
            reserver = Reserver(self.store, self.planner, self.granter)
            try:
                at = StepContext(record.task, vm, tuple(record.lines), self.name)
                await reserver.reserve(at, step.name, moving=behaviour.moving)
            except StepFailed as failed:
                async with record.fenced() as page:
                    await page.c.execute(_REFUSED)
                    await page.refuse(step, failed)
            else:
                await record.reload()
            return False
        async with record.fenced() as page:
            while isinstance(move, NextAction):
                await self._step(page, move)
                move = next_action(record.saga, page.lines)
                if self.chance.random() < 0.25:
                    return False
            await page.finish(move.success, move.reason)
            await self._follow(page.c, record.task, placed=move.success)
            return True

    async def _step(self, page: TaskTransaction, move: NextAction) -> None:
        assert move.act is ActionKind.BEGIN
        at = await page.situation()
        detail: Any = {}
        match BEHAVIOURS[at.task.operation][move.step.name]:
            case CallStep() as call:
                await call.effect(page.c, at, _SEEN)
            case StoreStep() as write:
                detail = await write.do(page.c, at)
            case ReserveStep():
                raise AssertionError("reserving has transactions of its own")
        await page.write(move.step, JournalEvent.DONE, detail)

    async def _follow(self, c: Connection, ended: Claimed, *, placed: bool) -> None:
        """Queue the VM's next operation."""
        left = ended.payload["left"] - 1
        if left < 1:
            return
        kind = Operation.DEPLOY
        if ended.operation is not Operation.UNDEPLOY and (
            placed or ended.operation is not Operation.DEPLOY
        ):
            kinds = (Operation.RELOCATE, Operation.RESET, Operation.UNDEPLOY)
            (kind,) = self.chance.choices(kinds, (3, 2, 3))
        await tasks.insert(
            c,
            tasks.NewTask(
                uuid4(), kind, ended.vm_id, ended.vm_name, ended.user_id, ended.enterprise_id,
                {"left": left}, [("SCHEDULE", uuid4(), "")],
            ),
        )  # fmt: skip


async def live(url: str, home: str, seed: int, batch: int) -> None:
    """The process's life."""
    settings = replace(StoreSettings(Path(home), database_url=url), connections_max=8)
    async with Store.open(settings) as store:
        sequencer = Sequencer(store)
        planner = FleetMirror(store, sequencer)
        name = f"{os.getpid()}-{seed}"
        sharing = PartitionKeeper(store, name, LEASE_S, planner.take_share)
        await sharing.renew()
        await planner.load()
        child = Child(name, store, sequencer, planner, ClaimBatcher(store), Random(seed))
        loops = [asyncio.create_task(each.run()) for each in (sequencer, planner, sharing)]
        try:
            await child.turns(batch)
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(live(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
