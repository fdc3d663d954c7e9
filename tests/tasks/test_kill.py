"""I1: kill -9 at commits and driver calls of every saga, at each of them under `--exhaustive`; what
was accepted ends.

A killed gateway leaves the world as it is; another process takes over once the lease ran out.
Nothing is lost, nothing is done twice, no booking leaks, and no VM stays locked.
"""

import asyncio
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from drivers.simulated.options import SimulatedOptions
from drivers.simulated.world import World
from gateway.lifecycle import Operation
from gateway.store.db.pool import Store
from tests.postgres import create_database, execute
from tests.sampling import crash_points
from tests.tasks.dying import Doom, run_to_death, taking_over
from tests.tasks.rig import (
    QUIET,
    books_balance,
    ended,
    leases_run_out,
    records_balance,
    running,
    seed,
    seen_again,
    vm_row,
)

pytestmark = pytest.mark.long
DEPLOY, OFF = Operation.DEPLOY, Operation.POWER_OFF
GONE = "no record of the VM"


@dataclass(frozen=True)
class Story:
    """One operation to be killed in, and how it must end whenever that happens.

    With `busy_points` only so many first points are tried, of a process that also renews leases
    and looks at its hosts all the time: how many more there are is up to the computer.
    """

    operation: Operation
    state: str
    before: tuple[Operation, ...] = (DEPLOY,)
    payload: dict[str, Any] = field(default_factory=dict)
    faults: tuple[tuple[str, str, str], ...] = ()
    results: frozenset[str] = frozenset({"success"})
    options: SimulatedOptions = field(default_factory=SimulatedOptions)
    busy_points: int = 0
    ending: str = ""


def move(ending: str, *results: str, state: str = "ON") -> Story:
    """A move that was refused, in words, and after which the VM is where `ending` says."""
    return Story(
        Operation.RELOCATE,
        state,
        payload={"host_id": 3},
        faults=(("host-1", "relocate", "Rejected"),),
        results=frozenset(results),
        ending=ending,
    )


STORIES = {
    "deploy": Story(DEPLOY, "ON", before=()),
    "deploy, beside heartbeats and rounds": Story(DEPLOY, "ON", before=(), busy_points=24),
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
    "delete": Story(Operation.UNDEPLOY, GONE, payload={"delete": True}),
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
    "relocate, moved though refused": move("on:host-3,also:host-1", "success"),
    "relocate, refused and half made": move("on:host-1,also:host-3", "failure"),
    "relocate, on a third host": move("on:host-2", "failure"),
    "power on, on another host": Story(
        Operation.POWER_ON,
        "ON",
        before=(DEPLOY, OFF),
        faults=(("host-1", "power", "Rejected"),),
        ending="on:host-2",
    ),
    "undeploy, undefined though refused": Story(
        Operation.UNDEPLOY,
        "NOT_ALLOCATED",
        faults=(("host-1", "remove", "Rejected"),),
        ending="nowhere",
    ),
}


@pytest.fixture
async def seeded_url(postgres_server, database_url, store):
    """A database to copy: seeded, and nobody connected once it was `prepared`."""
    await seed(store, hosts=3)
    return database_url


async def prepared(story: Story, store: Store, path: Path) -> None:
    """What the story begins with, lived through once, in the database and in a world of that path:
    to be copied for each death."""
    world = World(str(path))
    async with running(store, world, options=story.options, **QUIET) as rig:
        for operation in story.before:
            await rig.run(1, operation)
    await leases_run_out(store)
    world.close()
    await store._pool.close()


@pytest.mark.parametrize("name", STORIES)
async def test_a_kill_anywhere_loses_nothing_and_repeats_nothing(
    name, postgres_server, seeded_url, store, tmp_path, pytestconfig
):
    story = STORIES[name]
    await prepared(story, store, tmp_path / "world")
    template = urlsplit(seeded_url).path.strip("/")
    for point in crash_points(pytestconfig, name, list(STORIES)):
        copy = f"{template}_{point}"
        url = await create_database(postgres_server, copy, template)
        doom = Doom(
            url,
            str(shutil.copy(tmp_path / "world", tmp_path / f"world-{point}")),
            story.operation,
            story.payload,
            faults=story.faults,
            point=point,
            options=story.options,
            busy=bool(story.busy_points),
            ending=story.ending,
        )
        code = await asyncio.to_thread(run_to_death, doom)
        assert code in (0, -9)
        await survives(story, doom)
        await execute(postgres_server, f"drop database {copy} with (force)")
        if code == 0 or 0 < story.busy_points <= point:
            break
    assert point > 4, "the operation has more points than that"


async def survives(story: Story, doom: Doom) -> None:
    """Another process takes over, and everything is as promised."""
    world = World(doom.world)
    async with taking_over(doom, world) as store:
        await ends_well(story, store)
        if story.ending:
            await seen_again(store)
        await books_balance(store)
        await records_balance(store)
    calls = Counter(
        (row["verb"], row["host"], row["task"], row["vm"])
        for row in world.rows("select * from call")
    )
    assert all(count == 1 for count in calls.values()), calls
    assert len(world.rows("select 1 from vm")) <= 1
    world.close()


async def ends_well(story: Story, store: Store) -> None:
    """Every task ends, and the last as the story says, unless it was killed before it was asked."""
    async with store.read() as c:
        tasks = await c.fetch("select id, kind from task order by n")
    ends = [await ended(store, task["id"]) for task in tasks]
    assert all(end["state"] == "done" for end in ends), ends
    if not ends or ends[-1]["kind"] != story.operation.value or len(ends) <= len(story.before):
        return
    assert ends[-1]["result"] in story.results, ends[-1]
    if story.state == GONE:
        await gone(store)
        return
    row = await vm_row(store, 1)
    if ends[-1]["result"] == "success" or story.ending or story.state == "NOT_ALLOCATED":
        placed = story.faults and not story.ending
        expected = "ON" if ends[-1]["result"] == "success" and placed else story.state
        assert row["state"] == expected, (dict(row), ends[-1])
        assert row["deallocated"] is bool(story.payload.get("release"))


async def gone(store: Store) -> None:
    """C1: the VM, its interfaces and its booking are no more, and the feed says so once."""
    async with store.read() as c:
        left = await c.fetchval(
            """select (select count(*) from vm where id = 1)
                 + (select count(*) from nic where vm_id = 1)
                 + (select count(*) from booking where vm_id = 1)"""
        )
        told = await c.fetchval(
            """select count(*) from (select payload from outbox union all select payload from feed)
               where payload->>'action' = 'DELETE'"""
        )
    assert (left, told) == (0, 1)
