"""What an earlier version left is taken over: its store, its open tasks, its decisions, its files.

The corpus was written in midst of work: tasks were queued, and others waited in a call of the
driver, before its effect and after it.
"""

import json
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path

import msgspec
import pytest

from drivers.simulated.world import World
from gateway.analysis.decision_replay import made_again
from gateway.config.reading import read_config
from gateway.store.db.migrate import migrate
from gateway.store.db.pool import Store, StoreSettings
from scheduler.decisions.decision import decode, record
from scheduler.snapshot.snapshot import from_mapping, to_mapping
from tests.compatibility import saved
from tests.compatibility.test_words import GENERATIONS
from tests.tasks.rig import PATIENT, books_balance, leases_run_out, records_balance, running
from tests.tasks.waits import until

pytestmark = pytest.mark.parametrize("generation", GENERATIONS, ids=lambda each: each.name)
_MIGRATIONS = Path(str(resources.files("gateway.store"))) / "migrations"
_NOTHING_OPEN = "select not exists (select from task where state in ('queued', 'running'))"
_ENDS = """
select vm.id::text, vm.state || ' ' || task.result from vm join task on task.vm_id = vm.id
where vm.id::text = any($1) and task.n = (select max(n) from task t where t.vm_id = vm.id)
"""


@asynccontextmanager
async def taken_over(generation: Path, url: str, folder: Path) -> AsyncIterator[Store]:
    """The store as that version left it, then migrated by this one."""
    known = json.loads((generation / "migrations.json").read_text())
    earlier = folder / "earlier"
    earlier.mkdir()
    for name in known:
        shutil.copy(_MIGRATIONS / f"{name}.sql", earlier)
    async with Store.open(StoreSettings(home=folder, database_url=url)) as store:
        await migrate(store, earlier)
        async with store.transaction() as c:
            await saved.put_back(c, saved.read(generation / "store.json"))
        await migrate(store)
        yield store


async def test_open_tasks_run_to_their_end(
    generation: Path, empty_database_url: str, tmp_path: Path
) -> None:
    """I1, I4: nothing queued is lost, and nothing that had begun is done twice."""
    ends = json.loads((generation / "ends.json").read_text())
    world = saved.world_of(saved.read(generation / "world.json"))
    begun = calls(world)
    async with taken_over(generation, empty_database_url, tmp_path) as store:
        await leases_run_out(store)
        async with running(store, world, **PATIENT):
            await until(store, _NOTHING_OPEN, within_s=60)
            async with store.read() as c:
                found = {row[0]: row[1] for row in await c.fetch(_ENDS, list(ends))}
        assert found == ends
        await books_balance(store)
        await records_balance(store)
    assert set(calls(world)) > set(begun)
    assert {call: n for call, n in calls(world).items() if n > begun.get(call, 1)} == {}


def calls(world: World) -> Counter[tuple[str, str]]:
    """How often each task asked a host for each thing, looks apart."""
    rows = world.rows("select task, verb from call where task <> ''")
    return Counter((row["task"], row["verb"]) for row in rows)


async def test_decisions_are_made_again_byte_for_byte(
    generation: Path, empty_database_url: str, tmp_path: Path
) -> None:
    """I13, also those of an earlier version."""
    async with taken_over(generation, empty_database_url, tmp_path) as store:
        async with store.read() as c:
            rows = await c.fetch("select id, kind, body from decision order by at")
        assert len(rows) >= 20
        assert [row["id"] for row in rows if record(decode(row["body"])) != row["body"]] == []
        replays = [await made_again(store, row["id"]) for row in rows if row["kind"] != "hold"]
    assert [one.why for one in replays if not one.identical] == []


def test_a_cluster_s_file_is_read_and_written_again_as_it_was(generation: Path) -> None:
    text = (generation / "cluster.json").read_text()
    again = to_mapping(from_mapping(json.loads(text)))
    assert json.loads(msgspec.json.encode(again)) == json.loads(text)


@pytest.mark.parametrize("name", ["production.toml", "demo.toml"])
def test_a_configuration_is_still_accepted(generation: Path, name: str) -> None:
    assert read_config(generation / name, {}).hypervisor
