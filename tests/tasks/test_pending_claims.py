"""What is promised counts once: from the promise on, and until the ledger's numbers hold it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.lifecycle import Operation
from gateway.placement.claim_batcher import ClaimBatcher
from gateway.placement.demand import demand_of
from gateway.store import vm_record
from gateway.store.db.pool import Connection, Store, StoreConflict
from gateway.tasks.operations.reserve_step import Reserver
from gateway.tasks.submission import Order, submit
from scheduler.model.placement import Placement
from tests.tasks.planners import Desk, desk, seen
from tests.tasks.rig import CALLER, seed


async def promised(at: Desk, vm: int) -> None:
    """The desk promises a VM a place and does not book it yet."""
    async with at.store.read() as c:
        demand = demand_of(await vm_record.load(c, vm), moving=False)
    answer = at.planner.place(demand)
    assert isinstance(answer, Placement)
    at.planner.promise(answer, demand)


def use(at: Desk) -> int:
    """The CPUs that are in use on all hosts, as far as the desk's fleet knows."""
    hosts = (at.planner.host(id) for id in (1, 2))
    return sum(host.cpu_used for host in hosts if host is not None)


async def test_what_others_book_does_not_free_what_is_promised_here(store):
    """I2: the numbers that the feed tells do not count a claim that is on its way."""
    await seed(store, hosts=1, vms=3)
    await seen(store, 4)
    async with desk(store) as one, desk(store) as other:
        await promised(one, 1)
        assert await other.deploy(2) is not None
        await one.planner.catch_up_to_head()
        assert use(one) == 2
        assert await other.deploy(3) is not None
        await one.planner.catch_up_to_head()
        assert use(one) == 3


async def test_all_that_is_told_of_the_host_leaves_the_promise(store):
    """A host that changed otherwise comes as a whole row."""
    await seed(store, hosts=1, vms=1)
    await seen(store, 4)
    async with desk(store) as at:
        await promised(at, 1)
        await seen(store, 5)
        await at.planner.catch_up_to_head()
        assert use(at) == 1


class _TellsFirst:
    """A store whose commits are heard of by the feed before they return."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.at: Desk | None = None
        self.counted: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        async with self._store.transaction() as c:
            yield c
        assert self.at is not None
        await self.at.planner.catch_up_to_head()
        self.counted.append(use(self.at))


async def test_a_booking_counts_once_however_early_the_feed_tells_of_it(store):
    """I17: room that is counted twice would be refused to somebody."""
    await seed(store, hosts=1, vms=2)
    await seen(store, 4)
    early: Any = _TellsFirst(store)
    async with desk(store) as at:
        early.at = at
        at.reserver = Reserver(store, at.planner, ClaimBatcher(early))
        assert await at.deploy(1) is not None
        assert await at.deploy(2) is not None
        assert early.counted == [1, 2]
        await at.free(1)
        await at.planner.catch_up_to_head()
        assert use(at) == 1


class _NeverCommits:
    """A store whose transactions fail, before they did anything or after all of it."""

    def __init__(self, store: Store, *, late: bool) -> None:
        self._store = store
        self._late = late

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        async with self._store.transaction() as c:
            if self._late:
                yield c
            raise StoreConflict("planned by the test")


@pytest.mark.parametrize("late", [False, True])
async def test_a_booking_that_did_not_commit_counts_no_more(store, late):
    """Neither at once nor when the feed tells of the host again."""
    await seed(store, hosts=1, vms=2)
    await seen(store, 4)
    broken: Any = _NeverCommits(store, late=late)
    async with desk(store) as at, desk(store) as other:
        at.reserver = Reserver(store, at.planner, ClaimBatcher(broken))
        with pytest.raises(StoreConflict):
            await at.deploy(1)
        assert use(at) == 0
        assert await other.deploy(2) is not None
        await at.planner.catch_up_to_head()
        assert use(at) == 1


class _Slow:
    """A store that answers a reader when it is let."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.asked, self.let = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        self.asked.set()
        await self.let.wait()
        async with self._store.read() as c:
            yield c


async def test_a_move_is_promised_its_place_before_more_is_read_for_it(store):
    """I2: whoever decides meanwhile knows of it."""
    await seed(store, hosts=2, vms=3)
    await seen(store, 2)
    slow: Any = _Slow(store)
    async with desk(store) as at:
        assert [
            placed and placed["host_id"] for placed in [await at.deploy(vm) for vm in (1, 2, 3)]
        ] == [1, 1, 2]
        for vm in (1, 2):
            await submit(store, Order(Operation.RELOCATE, vm, {"host_id": None}), CALLER)
        quick, at.reserver = at.reserver, Reserver(slow, at.planner, at.reserver.granter)
        first = asyncio.create_task(at.place(1, moving=True))
        await slow.asked.wait()
        at.reserver = quick
        assert await at.place(2, moving=True) is None
        slow.let.set()
        placed = await first
        assert placed is not None
        assert placed["host_id"] == 2
        assert at.planner.conflicts == 0
