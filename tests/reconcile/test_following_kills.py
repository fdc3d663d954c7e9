"""I1: kill -9 of who follows a VM, before and after each of its commits: it is booked once."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing import get_context, set_forkserver_preload
from pathlib import Path
from typing import Any

import pytest

from drivers.capabilities import HypervisorType
from drivers.simulated.driver import SimulatedDriver
from drivers.simulated.options import SimulatedOptions
from drivers.simulated.world import World
from gateway.lifecycle import Operation
from gateway.reconcile.observer import ObservedEndpoint, Observer, SurveyIntervals
from gateway.store.db.pool import Store, StoreSettings
from tests.tasks.rig import attach, books_balance, running, seed, vm_row

set_forkserver_preload(["tests.tasks.dying"])
ROUNDS = SurveyIntervals(period_s=60, unknown_after_s=5, lease_s=0.05, spacing_s=0)
POINTS = 4
"""Both sides of the commits of a round: of its lease, and of what it saw."""


@dataclass(frozen=True, slots=True)
class Doom:
    """Where to look, and the point to die at."""

    database_url: str
    world: str
    point: int


class _DoomedStore:
    """Dies on the chosen side of a commit."""

    def __init__(self, store: Store, point: int) -> None:
        self._store = store
        self._left = point

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def _pass_by(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        async with self._store.transaction() as c:
            yield c
            self._pass_by()
        self._pass_by()


@asynccontextmanager
async def looking(doom: Doom, owner: str) -> AsyncIterator[Observer]:
    """The observer of host-2 in a process that may be doomed."""
    settings = StoreSettings(home=Path(doom.world).parent, database_url=doom.database_url)
    world = World(doom.world)
    driver = SimulatedDriver("sim", HypervisorType.KVM, SimulatedOptions(), world)
    async with Store.open(settings) as store:
        await attach(store, driver)
        doomed: Any = _DoomedStore(store, doom.point)
        at = ObservedEndpoint("sim", "host-2", owner)
        yield Observer(doomed, driver, at, ROUNDS, lambda: None)
    await driver.aclose()
    world.close()


async def _round(doom: Doom) -> None:
    async with looking(doom, "doomed") as observer:
        await observer.round()


def _child(doom: Doom) -> None:
    asyncio.run(_round(doom))


def look_to_death(doom: Doom) -> int:
    """One round in a process of its own; its exit code, -9 when it was killed."""
    child = get_context("forkserver").Process(target=_child, args=(doom,))
    child.start()
    child.join(60)
    assert child.exitcode is not None, "the doomed process hangs"
    return child.exitcode


@pytest.mark.parametrize("point", range(1, POINTS + 2))
async def test_a_kill_leaves_all_of_it_or_nothing(
    store: Store, database_url: str, tmp_path: Path, point: int
) -> None:
    world = World(str(tmp_path / "world"))
    await seed(store, hosts=2, vms=1)
    async with running(store, world) as rig:
        await rig.run(1, Operation.DEPLOY)
        if (await vm_row(store, 1))["host_id"] != 1:
            await rig.run(1, Operation.RELOCATE, host_id=1)
    async with store.transaction() as c:
        await c.execute("delete from observer")
    world.rows("update vm set host = 'host-2'")
    doom = Doom(database_url, world.path, point)
    code = await asyncio.to_thread(look_to_death, doom)
    assert code == (-9 if point <= POINTS else 0)
    at, booked, told = await on_record(store)
    assert at == booked == (2 if point >= POINTS else 1)
    assert told == (1 if at == 2 else 0)
    async with looking(Doom(database_url, world.path, 0), "next") as observer:
        async with asyncio.timeout(30):
            while (await on_record(store))[0] != 2:
                await observer.round()
        await observer.round()
    assert await on_record(store) == (2, 2, 1)
    await books_balance(store)
    world.close()


async def on_record(store: Store) -> tuple[int, int, int]:
    """The host of the record, of the booking, and how many moves were told."""
    async with store.read() as c:
        row = await c.fetchrow(
            """select v.host_id, b.host_id booked, (select count(*) from (
                 select payload from outbox union all select payload from feed) e
                 where payload->>'action' = 'VSM_MOVED') told
               from vm v join booking b on b.vm_id = v.id"""
        )
    assert row is not None
    return row["host_id"], row["booked"], row["told"]
