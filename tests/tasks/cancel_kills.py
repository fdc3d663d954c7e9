"""The long form, for `make campaign`: each saga is cancelled at each of its points, and the process
is killed at each point from there on. `tests/tasks/test_cancel_kill.py` takes some of them.

Whoever takes over finds the cancellation in the task's row: the task ends, record and world agree,
and nothing is left on either host (faults L8; I1, I2, I4).
"""

import asyncio
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from drivers.simulated.world import World
from gateway.store.db.pool import Store
from tests.postgres import create_database, execute
from tests.tasks.dying import Doom, run_to_death, taking_over
from tests.tasks.rig import QUIET, books_balance, ended, leases_run_out, running, seed, vm_row
from tests.tasks.test_cancel import STORIES, Story

POINTS_MAX = 40


class Campaign:
    """One story, lived through up to its operation, to be copied for each death."""

    def __init__(self, server: str, url: str, folder: Path, story: Story) -> None:
        self._server = server
        self._template = urlsplit(url).path.strip("/")
        self._folder = folder
        self.story = story
        self.results = {"cancelled", "success", "failure"}

    async def prepare(self, store: Store) -> None:
        """What comes before the operation, once; nobody is connected afterwards."""
        await seed(store, hosts=3)
        world = World(str(self._folder / "world"))
        async with running(store, world, options=self.story.options, **QUIET) as rig:
            for operation in self.story.before:
                await rig.run(1, operation)
        await leases_run_out(store)
        world.close()
        await store._pool.close()

    async def dies(self, cancel: int, point: int) -> bool:
        """Cancel there and die so many points later; whether it lived long enough for that."""
        copy = f"{self._template}_{cancel}_{point}"
        url = await create_database(self._server, copy, self._template)
        world = shutil.copy(self._folder / "world", self._folder / f"world-{cancel}-{point}")
        story = self.story
        doom = Doom(
            url,
            str(world),
            story.operation,
            story.payload,
            faults=story.faults,
            point=point,
            options=story.options,
            cancel=cancel,
        )
        code = await asyncio.to_thread(run_to_death, doom)
        assert code in (0, -9)
        await survives(story, doom, self.results)
        await execute(self._server, f"drop database {copy} with (force)")
        return code == -9


async def survives(story: Story, doom: Doom, results: set[str]) -> None:
    """Another process takes over, and everything is as promised."""
    world = World(doom.world)
    async with taking_over(doom, world) as store:
        async with store.read() as c:
            task = await c.fetchval("select id from task order by n desc limit 1")
        end = await ended(store, task)
        about = (doom.cancel, doom.point, end["result"], end["error"])
        row = await vm_row(store, 1)
        assert (end["state"], end["result"] in results) == ("done", True), about
        assert not end["left_open"], about
        if end["cancel_at"] is not None and end["result"] == "cancelled":
            assert row["state"] == story.was, about
        elif end["result"] == "success":
            assert row["state"] == story.becomes, about
        there = world.rows("select * from vm")
        assert len(there) == len(world.rows("select * from volume")), about
        assert len(there) == (row["host_id"] is not None), about
        if there:
            state = "OFF" if there[0]["state"] == "DEALLOCATED" else there[0]["state"]
            assert (state, there[0]["arriving"]) == (row["state"], 0), about
            async with store.read() as c:
                host = await c.fetchval("select name from host where id = $1", row["host_id"])
            assert there[0]["host"] == host, about
        await books_balance(store)
    world.close()


@pytest.mark.parametrize("name", STORIES)
async def test_cancelled_and_killed_anywhere(
    name: str, postgres_server: str, database_url: str, store: Store, tmp_path: Path
) -> None:
    """Every pair of points."""
    campaign = Campaign(postgres_server, database_url, tmp_path, STORIES[name])
    await campaign.prepare(store)
    deaths = 0
    for cancel in range(1, POINTS_MAX):
        point = 1
        while await campaign.dies(cancel, point):
            point += 1
        deaths += point - 1
        if point == 1:
            break
    assert deaths > 4
