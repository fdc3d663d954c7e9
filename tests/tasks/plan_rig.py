"""What tests of plans share: proposals, runners of several processes, and waiting for the end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any
from uuid import UUID

from gateway.plans.approve import save
from gateway.plans.propose import PlanQuestion, propose
from gateway.plans.runner import PlanRunner
from gateway.store import plans
from gateway.store.db.pool import Store
from gateway.store.feed import feed
from scheduler.plan.move_schedule import Capacities
from tests.tasks.rig import CALLER, Rig

DRAIN = PlanQuestion("drain", 1, 1)


async def on(store: Store, host: int) -> list[int]:
    """The VMs on a host."""
    async with store.read() as c:
        rows = await c.fetch("select id from vm where host_id = $1 order by id", host)
    return [row["id"] for row in rows]


async def proposed(rig: Rig, question: PlanQuestion = DRAIN) -> UUID:
    return await save(rig.store, question, await propose(rig.store, question), CALLER)


@asynccontextmanager
async def runners(rig: Rig, count: int = 1, **units: int) -> AsyncIterator[None]:
    """So many processes' plan runners."""

    def committed() -> None:
        rig.sequencer.poke()
        rig.worker.poke()

    tasks = [
        asyncio.create_task(
            PlanRunner(rig.store, rig.planner, Capacities(**units), committed).run()
        )
        for _ in range(count)
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def plan_row(store: Store, id: UUID) -> plans.StoredPlan:
    async with store.read() as c:
        row = await plans.get(c, id)
    assert row is not None
    return row


async def moves_of(store: Store, id: UUID) -> list[plans.StoredMove]:
    async with store.read() as c:
        return await plans.moves(c, id)


async def until(store: Store, seen: Any, within_s: float = 30.0) -> None:
    """Look at each change of the feed until `await seen()` is true."""
    async with asyncio.timeout(within_s), aclosing(store.listen(feed.FEED_CHANNEL)) as woken:
        async for _ in woken:
            if await seen():
                return


async def ended(store: Store, id: UUID) -> plans.StoredPlan:
    """The plan once it has ended, and none of its moves runs."""

    async def seen() -> bool:
        running_ = any(move.state == "RUNNING" for move in await moves_of(store, id))
        return (await plan_row(store, id)).state not in ("PROPOSED", "RUNNING") and not running_

    await until(store, seen)
    return await plan_row(store, id)


async def relocations(store: Store) -> int:
    async with store.read() as c:
        count: int = await c.fetchval("select count(*) from task where kind = 'RELOCATE'")
    return count
