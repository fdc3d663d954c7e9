"""I2: however many ask at once, of however many processes, exactly those that fit are placed.

The feed that is read meanwhile has no hole and keeps its order (I7).
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.store.db.pool import Store
from tests.acceptance.gateway import Gateway, gateways, pause, place
from tests.sampling import exhaustive
from tests.tasks.rig import books_balance

pytestmark = pytest.mark.long
AT_ONCE = 64
ROUNDS = 2
ROUNDS_EXHAUSTIVE = 20
ROOM = 10


@pytest.fixture
def count(pytestconfig: pytest.Config) -> int:
    """How often the room is filled and emptied."""
    return ROUNDS_EXHAUSTIVE if exhaustive(pytestconfig) else ROUNDS


async def full_house(some: list[Gateway], vms: list[str]) -> tuple[list[str], list[dict[str, Any]]]:
    """Deploy all at once over all gateways: those placed, and the tasks of those refused."""

    async def deploy(n: int, vm: str) -> tuple[str, dict[str, Any]]:
        gateway = some[n % len(some)]
        return vm, await gateway.end(await gateway.accept("POST", f"{vm}/action/deploy"))

    ended = await asyncio.gather(*(deploy(n, vm) for n, vm in enumerate(vms)))
    placed = [vm for vm, task in ended if task["state"] == "FINISHED_SUCCESSFULLY"]
    return placed, [task for _, task in ended if task["state"] != "FINISHED_SUCCESSFULLY"]


async def watch_feed(store: Store, stop: asyncio.Event) -> int:
    """Read the feed as it grows; its last position, after checking each.

    Changes of the inventory that the first checkpoint holds may be gone from its beginning.
    """
    async with store.read() as c:
        last: int = await c.fetchval("select trimmed from feed_head")
    while True:
        ending = stop.is_set()
        async with store.read() as c:
            rows = await c.fetch(
                "select position from feed where position > $1 order by position", last
            )
        for row in rows:
            assert row["position"] == last + 1, "a hole in the feed"
            last = row["position"]
        if ending and not rows:
            return last
        await pause()


async def rounds(count: int, store: Store, some: list[Gateway], reason: str) -> None:
    """64 ask, `ROOM` fit, `count` times over."""
    gateway = some[0]
    appliance = await gateway.appliance()
    vms = await asyncio.gather(*(gateway.make(appliance) for _ in range(AT_ONCE)))
    stop = asyncio.Event()
    watching = asyncio.create_task(watch_feed(store, stop))
    for _ in range(count):
        placed, refused = await full_house(some, vms)
        assert len(placed) == ROOM
        assert len(refused) == AT_ONCE - ROOM
        assert all(reason in task["error"] for task in refused), refused[0]["error"]
        await books_balance(store)
        await asyncio.gather(*(gateway.run("POST", f"{vm}/action/undeploy") for vm in placed))
    stop.set()
    assert await watching > 0
    async with store.read() as c:
        assert await c.fetchval("select count(*) from booking") == 0
        assert await c.fetchval("select count(*) from task where state <> 'done'") == 0


@pytest.mark.parametrize("processes", [1, 2])
async def test_room_on_hosts(
    store: Store, database_url: str, tmp_path: Path, count: int, processes: int
) -> None:
    """Five hosts of two CPUs take ten VMs of one."""
    at = place(tmp_path, database_url, hosts=5, cpus=2)
    async with gateways(at, processes) as some:
        await rounds(count, store, some, "CPU")


async def test_room_on_one_shared_datastore(
    store: Store, database_url: str, tmp_path: Path, count: int
) -> None:
    """A datastore of ten and a half GiB takes ten disks of one."""
    at = place(tmp_path, database_url, datastore_bytes=ROOM * 2**30 + 2**29)
    async with gateways(at, 2) as some:
        await rounds(count, store, some, "datastore")


async def test_room_under_one_aggregated_rack_rule(
    store: Store, database_url: str, tmp_path: Path, count: int
) -> None:
    """Half of twenty CPUs in the rack are ten VMs of one."""
    at = place(tmp_path, database_url, hosts=4, cpus=5)
    async with gateways(at, 2) as some:
        body = {
            "cpuLoadPercentage": 50,
            "ramLoadPercentage": 100,
            "aggregated": True,
            "links": [{"rel": "rack", "href": f"{some[0].base}/admin/datacenters/1/racks/1"}],
        }
        status, made = await some[0].call("POST", "admin/rules/machineLoadLevel", body)
        assert status == 201, made
        await rounds(count, store, some, "CPU")
