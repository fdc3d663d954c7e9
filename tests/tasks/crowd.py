"""Two processes that place on few hosts with too little room, and what is on record of it."""

import asyncio
import random
from uuid import UUID

from gateway.analysis.decision_replay import made_again
from gateway.lifecycle import Operation
from gateway.store.capacity import checkpoints
from gateway.store.capacity.checkpoints import CheckpointPace
from gateway.store.db.pool import Store
from gateway.tasks.submission import Order, submit
from scheduler.decisions.replay import Replay
from scheduler.model.host_partition import HostPartition
from tests.tasks.planners import Desk, desk, seen
from tests.tasks.rig import CALLER, seed

SEED = 20261125
UNTOUCHED = 41  # the one VM that no process of the crowd ever asks for
NOW = CheckpointPace(changes=1, seconds=0)


async def ids(store: Store, where: str = "true") -> list[UUID]:
    """All decisions in order."""
    async with store.read() as c:
        rows = await c.fetch(f"select id from decision where {where} order by position, at")
    return [row["id"] for row in rows]


async def replays(store: Store) -> list[Replay]:
    """Every decision made again."""
    return [await made_again(store, id) for id in await ids(store)]


async def churn(at: Desk, vms: range, seed_of: int) -> None:
    """Deploy, relocate and free these VMs at random, several at once."""
    chance = random.Random(seed_of)
    async with at.store.read() as c:
        rows = await c.fetch("select id from vm where host_id is not null")
    placed = {row["id"] for row in rows} & set(vms)

    async def one(vm: int) -> None:
        if vm not in placed:
            if await at.deploy(vm) is not None:
                placed.add(vm)
        elif chance.random() < 0.3:
            await submit(at.store, Order(Operation.RELOCATE, vm, {"host_id": None}), CALLER)
            await at.place(vm, moving=True)
            await at.free(vm)
            placed.discard(vm)
        else:
            await at.free(vm)
            placed.discard(vm)

    for _ in range(8):
        await asyncio.gather(*(one(vm) for vm in chance.sample(vms, 8)))


async def crowd(store: Store, *, sharing: bool = False) -> tuple[int, int]:
    """Two processes at once on few hosts with too little room; (conflicts, refusals)."""
    shares = (HostPartition(0, 2), HostPartition(1, 2)) if sharing else (None, None)
    await seed(store, hosts=5, vms=UNTOUCHED)
    await seen(store, 4)
    async with desk(store, shares[0]) as one:
        await checkpoints.take(store, NOW, one.sequencer.flush)
        async with desk(store, shares[1]) as two:
            for turn in range(2):
                await asyncio.gather(
                    churn(one, range(1, 21), SEED + turn), churn(two, range(21, 41), SEED - turn)
                )
                await checkpoints.take(store, NOW, two.sequencer.flush)
        return one.planner.conflicts + two.planner.conflicts, len(one.refused) + len(two.refused)


async def count(store: Store, table: str) -> int:
    """How many rows a table has."""
    async with store.read() as c:
        return int(await c.fetchval(f"select count(*) from {table}"))
