"""I1: kill -9 at every commit and every driver call of every saga; what was accepted ends.

A killed gateway leaves the world as it is; another process takes over once the lease ran out.
Nothing is lost, nothing is done twice, no booking leaks, and no VM stays locked.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from multiprocessing import set_forkserver_preload
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from drivers.simulated.options import SimulatedOptions
from drivers.simulated.world import World
from gateway.lifecycle import Operation
from gateway.store.pool import Store, StoreSettings
from tests.postgres import create_database, execute
from tests.tasks.dying import Doom, run_to_death
from tests.tasks.rig import books_balance, ended, records_balance, running, seed, vm_row

set_forkserver_preload(["tests.tasks.dying"])
DEPLOY, OFF = Operation.DEPLOY, Operation.POWER_OFF


@dataclass(frozen=True)
class Story:
    """One operation to be killed in, and how it must end whenever that happens."""

    operation: Operation
    state: str
    before: tuple[Operation, ...] = (DEPLOY,)
    payload: dict[str, Any] = field(default_factory=dict)
    faults: tuple[tuple[str, str, str], ...] = ()
    results: frozenset[str] = frozenset({"success"})
    options: SimulatedOptions = field(default_factory=SimulatedOptions)


STORIES = {
    "deploy": Story(DEPLOY, "ON", before=()),
    "deploy, start refused": Story(
        DEPLOY,
        "NOT_ALLOCATED",
        before=(),
        faults=(("host-1", "power", "Rejected"),),
        results=frozenset({"failure", "success"}),
    ),
    "deploy, no capacity to make it": Story(
        DEPLOY, "ON", before=(), faults=(("host-1", "deploy", "NoCapacity"),)
    ),
    "deploy, no capacity to start it": Story(
        DEPLOY, "ON", before=(), faults=(("host-1", "power", "NoCapacity"),)
    ),
    "undeploy": Story(Operation.UNDEPLOY, "NOT_ALLOCATED"),
    "power off": Story(OFF, "OFF"),
    "deallocate": Story(
        OFF, "OFF", payload={"release": True}, options=SimulatedOptions(cloud=True)
    ),
    "power on": Story(Operation.POWER_ON, "ON", before=(DEPLOY, OFF)),
    "shutdown": Story(Operation.SHUTDOWN, "OFF"),
    "pause": Story(Operation.PAUSE, "PAUSED"),
    "resume": Story(Operation.RESUME, "ON", before=(DEPLOY, Operation.PAUSE)),
    "reset": Story(Operation.RESET, "ON", results=frozenset({"success", "failure"})),
    "reconfigure": Story(
        Operation.RECONFIGURE, "OFF", before=(DEPLOY, OFF), payload={"cpu": 2, "ram_mib": 2048}
    ),
    "relocate": Story(Operation.RELOCATE, "ON", payload={"host_id": 3}),
    "relocate, move refused": Story(
        Operation.RELOCATE,
        "ON",
        payload={"host_id": 3},
        faults=(("host-1", "relocate", "Rejected"),),
        results=frozenset({"failure", "success"}),
    ),
}


@pytest.fixture
async def seeded_url(postgres_server, database_url, store):
    """A database to copy: seeded, and nobody connected."""
    await seed(store)
    await store._pool.close()
    return database_url


@pytest.mark.parametrize("name", STORIES)
async def test_a_kill_anywhere_loses_nothing_and_repeats_nothing(
    name, postgres_server, seeded_url, tmp_path
):
    story = STORIES[name]
    template = urlsplit(seeded_url).path.strip("/")
    point = 0
    while True:
        point += 1
        copy = f"{template}_{point}"
        url = await create_database(postgres_server, copy, template)
        doom = Doom(
            url,
            str(tmp_path / f"world-{point}"),
            story.operation,
            story.payload,
            story.before,
            story.faults,
            point,
            story.options,
        )
        code = await asyncio.to_thread(run_to_death, doom)
        assert code in (0, -9)
        await survives(story, replace(doom, point=0))
        await execute(postgres_server, f"drop database {copy} with (force)")
        if code == 0:
            break
    assert point > 4, "the operation has more points than that"


async def survives(story: Story, doom: Doom) -> None:
    """Another process takes over, and everything is as promised."""
    world = World(doom.world)
    settings = StoreSettings(home=Path(doom.world).parent, database_url=doom.database_url)
    async with Store.open(settings) as store, running(store, world, options=doom.options):
        async with store.read() as c:
            tasks = await c.fetch("select id, kind from task order by n")
        ends = [await ended(store, task["id"]) for task in tasks]
        assert all(end["state"] == "done" for end in ends), ends
        if ends and ends[-1]["kind"] == story.operation.value and len(ends) > len(story.before):
            assert ends[-1]["result"] in story.results, ends[-1]
            row = await vm_row(store, 1)
            if ends[-1]["result"] == "success" or story.state == "NOT_ALLOCATED":
                expected = "ON" if ends[-1]["result"] == "success" and story.faults else story.state
                assert row["state"] == expected, (dict(row), ends[-1])
                assert row["deallocated"] is bool(story.payload.get("release"))
        await books_balance(store)
        await records_balance(store)
    calls = Counter(
        (row["verb"], row["host"], row["task"], row["vm"])
        for row in world.rows("select * from call")
    )
    assert all(count == 1 for count in calls.values()), calls
    world.close()
