"""Bare commits: what the same PostgreSQL does when nothing else is asked of it.

One row, one statement, one commit, by as many writers as there are clients, over as many
sessions as a service has.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

import asyncpg

from bench.clients import CONNECTIONS, Result
from bench.service import BenchFailed
from gateway.config.model import StoreSection
from gateway.store.db.pool import Store

_SESSIONS = StoreSection().connections_max
_PAYLOAD = '{"nick": "admin"}'


@dataclass(frozen=True, slots=True)
class Writers:
    """Sessions of our own, and a table of our own."""

    pool: "asyncpg.Pool[asyncpg.Record]"

    async def commit(self, rows: int) -> Result:
        """So many rows, each committed on its own."""
        latencies_s: list[float] = []
        left = iter(range(rows))
        began_s = time.monotonic()
        await asyncio.gather(*(self._write(left, latencies_s) for _ in range(CONNECTIONS)))
        return Result(began_s, time.monotonic() - began_s, latencies_s, rows)

    async def _write(self, left: Iterator[int], latencies_s: list[float]) -> None:
        for _ in left:
            began_s = time.perf_counter()
            await self.pool.execute("insert into bench_commit values ($1, $2)", uuid4(), _PAYLOAD)
            latencies_s.append(time.perf_counter() - began_s)


@asynccontextmanager
async def writers(store: Store) -> AsyncIterator[Writers]:
    """Writers on this store's server; BenchFailed where a commit is not kept on disk."""
    async with asyncpg.create_pool(store.url, min_size=_SESSIONS, max_size=_SESSIONS) as pool:
        for setting in ("fsync", "synchronous_commit"):
            if await pool.fetchval(f"show {setting}") != "on":
                raise BenchFailed(f"{setting} is not on")
        await pool.execute("create table bench_commit (id uuid primary key, payload jsonb)")
        yield Writers(pool)
