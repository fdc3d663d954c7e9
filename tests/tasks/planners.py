"""Planners that place and free VMs against one store, without drivers: only decisions matter."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from gateway.events.sequencer import Sequencer
from gateway.lifecycle import Operation, VmState
from gateway.placement.claim_batcher import ClaimBatcher
from gateway.placement.fleet_mirror import FleetMirror
from gateway.store import vm_record
from gateway.store.capacity import ledger
from gateway.store.capacity.ledger import Row
from gateway.store.db.pool import Store
from gateway.store.tasks import tasks
from gateway.tasks.operations.deploy import leave
from gateway.tasks.operations.reserve_step import Reserver
from gateway.tasks.saga import SAGAS
from gateway.tasks.step_actions import StepContext, StepFailed
from gateway.tasks.submission import Order, submit
from gateway.tasks.task_journal import TaskRecord
from scheduler.model.host_partition import HostPartition
from tests.tasks.rig import CALLER


class Counting(FleetMirror):
    """A planner that counts its conflicts."""

    conflicts = 0

    async def refresh(self, rows: tuple[Row, ...], rules: int) -> None:
        self.conflicts += 1
        await super().refresh(rows, rules)


@dataclass(slots=True)
class Desk:
    """One process's worth of placing."""

    store: Store
    sequencer: Sequencer
    planner: Counting
    reserver: Reserver
    writes: Store
    refused: list[int] = field(default_factory=list)
    loops: list[asyncio.Task[None]] = field(default_factory=list)

    async def deploy(self, vm: int) -> dict[str, Any] | None:
        """Place a VM as the executor does; None when it was refused, which is on record."""
        await submit(self.store, Order(Operation.DEPLOY, vm, {}), CALLER)
        placed = await self.place(vm)
        if placed is not None:
            async with self.store.transaction() as c:
                await vm_record.record_state(c, vm, VmState.ON)
        return placed

    async def place(self, vm: int, *, moving: bool = False) -> dict[str, Any] | None:
        """Run the reserve step of the VM's open task, which this desk takes over."""
        async with self.store.transaction() as c:
            await c.execute(
                "update task set state = 'running', epoch = 1, started = true where vm_id = $1 "
                "and state = 'queued'",
                vm,
            )
            row = await c.fetchrow("select * from task where vm_id = $1 and state = 'running'", vm)
        assert row is not None
        task = tasks.Claimed(
            row["id"], Operation(row["kind"]), vm, row["vm_name"], row["user_id"],
            row["enterprise_id"], row["payload"], 1, 0, True,
        )  # fmt: skip
        record = TaskRecord(self.writes, task, "desk", [])
        async with self.store.read() as c:
            at = StepContext(task, await vm_record.load(c, vm), ())
        try:
            return await self.reserver.reserve(at, "reserve", moving=moving)
        except StepFailed as failed:
            self.refused.append(vm)
            async with record.fenced() as page:
                await page.refuse(SAGAS[task.operation].steps[0], failed)
            return None
        finally:
            self.sequencer.poke()
            await self._close(task.id)

    async def _close(self, task: UUID) -> None:
        async with self.store.transaction() as c:
            await c.execute(
                "update task set state = 'done', result = 'success' where id = $1", task
            )

    async def free(self, vm: int) -> None:
        """Give a VM's booking back."""
        async with self.store.transaction() as c:
            record = await vm_record.load(c, vm)
            task: Any = None
            await leave(c, StepContext(task, record, ()))
        self.sequencer.poke()


@asynccontextmanager
async def desk(store: Store, share: HostPartition | None = None) -> AsyncIterator[Desk]:
    """A planner that follows the feed while inside."""
    sequencer = Sequencer(store)
    planner = Counting(store, sequencer)
    await planner.load()
    planner.take_share(share)
    made = Desk(store, sequencer, planner, Reserver(store, planner, ClaimBatcher(store)), store)
    made.loops = [asyncio.create_task(each.run()) for each in (sequencer, planner)]
    try:
        yield made
    finally:
        for loop in made.loops:
            loop.cancel()
            with suppress(asyncio.CancelledError):
                await loop


async def seen(store: Store, cpus: int) -> None:
    """Every host was surveyed and has so many CPUs."""
    async with store.transaction() as c:
        await c.execute("update host set cpus = $1, memory_mib = 65536, reachable = true", cpus)
        await ledger.refresh_limits(c)
