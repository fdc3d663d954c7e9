"""S5: credentials that lapse at once are looked up in one statement, each as fresh as if alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.api.auth.user_reader import UserReader
from gateway.store.db.pool import Connection, Store, StoreUnavailable
from tests.tasks.rig import seed


class Watched:
    """The store, whose reads are counted and wait for `go`."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.reads = 0
        self.begun, self.go = asyncio.Event(), asyncio.Event()
        self.away = False

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        self.reads += 1
        if self.away:
            raise StoreUnavailable("away")
        async with self.store.read() as c:
            yield c
            self.begun.set()
            await self.go.wait()


@pytest.fixture
async def watched(store: Store) -> Watched:
    await seed(store, hosts=1)
    return Watched(store)


async def test_those_who_ask_at_once_share_a_statement(watched: Watched) -> None:
    reader = UserReader(watched)  # type: ignore[arg-type]
    watched.go.set()
    found = await asyncio.gather(*(reader.get(n % 3 + 1) for n in range(64)))
    assert watched.reads == 1
    assert found[0] is not None
    assert found[0].id == 1
    assert found[1:3] == [None, None]


async def test_who_asks_while_it_reads_gets_a_later_answer(watched: Watched) -> None:
    """A user made inactive before the call is not admitted by a read that began earlier."""
    reader = UserReader(watched)  # type: ignore[arg-type]
    early = asyncio.create_task(reader.get(1))
    await watched.begun.wait()
    async with watched.store.transaction() as c:
        await c.execute("update app_user set active = false where id = 1")
    late = asyncio.create_task(reader.get(1))
    watched.go.set()
    before: Any = await early
    after: Any = await late
    assert (before.active, after.active, watched.reads) == (True, False, 2)


async def test_a_store_that_is_away_is_told_to_each(watched: Watched) -> None:
    reader = UserReader(watched)  # type: ignore[arg-type]
    watched.away = True
    found = await asyncio.gather(reader.get(1), reader.get(2), return_exceptions=True)
    assert [type(one) for one in found] == [StoreUnavailable, StoreUnavailable]
    watched.away = False
    watched.go.set()
    assert await reader.get(2) is None


async def test_a_caller_that_is_cancelled_takes_no_answer_away(watched: Watched) -> None:
    reader = UserReader(watched)  # type: ignore[arg-type]
    gone, stays = asyncio.create_task(reader.get(1)), asyncio.create_task(reader.get(1))
    await watched.begun.wait()
    gone.cancel()
    watched.go.set()
    assert (await stays) is not None
    with pytest.raises(asyncio.CancelledError):
        await gone
