"""I1 on Azure: kill -9 on both sides of commits and driver calls, first of all once Azure has
accepted a call and before that is kept; each change is made once all the same.

`--exhaustive` dies at each of them, else at a sample.
"""

import asyncio
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from drivers.simulated.world import World
from gateway.lifecycle import Operation
from gateway.store.capacity import ledger
from gateway.store.db.pool import Store
from tests.drivers.azure_rig import QUICK, SIZES, AzureRig
from tests.lab.azure.simulator import GROUP, Simulator
from tests.postgres import create_database, execute
from tests.sampling import crash_points
from tests.tasks.dying import Doom, run_to_death, taking_over
from tests.tasks.rig import books_balance, ended, records_balance, seed, vm_row

pytestmark = pytest.mark.long
PLACES = """
update host set address = case id when 1 then 'eastus/1' else 'westus' end,
  type = 'azurecompute-arm', networks = jsonb_build_object('default', $1::text)
"""
ON_AZURE = f"""
update template set source = '{AzureRig.template}', types = '{{azurecompute-arm}}';
update virtualdatacenter set type = 'azurecompute-arm';
update vm set type = 'azurecompute-arm';
update nic set address = address + 9;
"""
SUBSCRIPTION = "00000000-0000-4000-8000-000000000001"


@dataclass(frozen=True)
class Story:
    """One operation to be killed in, the one call of it that must not be made again, and how the
    VM is in the end; `was` is how it was before. With `elsewhere`, the VM's hardware has no other
    size, and where `refused` is a code, Azure begins changes of size and they fail with it."""

    operation: Operation
    call: str
    power: str
    before: tuple[Operation, ...] = ()
    payload: dict[str, Any] = field(default_factory=dict)
    results: frozenset[str] = frozenset({"success"})
    was: str = "running"
    size: str = "Standard_B1s"
    elsewhere: bool = False
    refused: str = ""

    def weather(self, arm: Simulator) -> None:
        """Before anything is asked."""
        for size in TWO if self.elsewhere else ():
            arm.sizes.elsewhere.add(size)
        for size in TWO if self.refused else ():
            arm.faults.add("fail", "PATCH vm", code=self.refused, size=size, times=0)


TWO = ("Standard_B2s", "Standard_D2s_v3")
DEPLOYED = (Operation.DEPLOY,)
STOPPED = (Operation.DEPLOY, Operation.SHUTDOWN)
BIGGER = {"cpu": 2, "ram_mib": 2048}
STORIES = {
    "deploy": Story(Operation.DEPLOY, "PUT vm", "running"),
    "deallocate": Story(
        Operation.POWER_OFF, "POST deallocate", "deallocated", DEPLOYED, {"release": True}
    ),
    "reset": Story(
        Operation.RESET,
        "POST restart",
        "running",
        DEPLOYED,
        results=frozenset({"success", "failure"}),
    ),
    "resize": Story(
        Operation.RECONFIGURE, "PATCH vm", "stopped", STOPPED, BIGGER, was="stopped", size=TWO[0]
    ),
    "resize that fails": Story(
        Operation.RECONFIGURE,
        "POST deallocate",
        "deallocated",
        STOPPED,
        BIGGER,
        results=frozenset({"failure"}),
        was="stopped",
        elsewhere=True,
        refused="InternalExecutionError",
    ),
}


@pytest.fixture
async def seeded_url(database_url: str, store: Store) -> str:
    """A database to copy, of two places of a subscription, and nobody connected."""
    await seed(store, hosts=2, vms=1)
    async with Simulator.start(subscription=SUBSCRIPTION) as arm:
        subnet = arm.subnet
    async with store.transaction() as c:
        await c.execute(PLACES, subnet)
        await c.execute(ON_AZURE)
        await ledger.refresh_limits(c)
    await store._pool.close()
    return database_url


@pytest.mark.parametrize("name", STORIES)
async def test_a_kill_anywhere_asks_azure_for_nothing_twice(
    postgres_server: Any,
    seeded_url: str,
    tmp_path: Path,
    pytestconfig: pytest.Config,
    name: str,
) -> None:
    story = STORIES[name]
    template = urlsplit(seeded_url).path.strip("/")
    (tmp_path / "token").write_text("a token")
    begun = set()
    for point in chain((0,), crash_points(pytestconfig, name, list(STORIES))):
        copy = f"{template}_{point}"
        url = await create_database(postgres_server, copy, template)
        async with Simulator.start(subscription=SUBSCRIPTION) as arm:
            story.weather(arm)
            doom = Doom(
                url,
                str(tmp_path / f"world-{point}"),
                story.operation,
                story.payload,
                story.before,
                point=point,
                unkept=point == 0,
                azure=options_of(arm, tmp_path / "token"),
            )
            code = await asyncio.to_thread(run_to_death, doom)
            assert code in ((0, -9) if point else (-9,)), f"at point {point}"
            begun.add(sum(arm.done(story.call).values()))
            await survives(story, doom, arm)
        await execute(postgres_server, f"drop database {copy} with (force)")
        if code == 0:
            break
    assert begun == {0, 1}, "it was killed before its call, and after it"
    assert point > 8, "the operation has more points than that"


def options_of(arm: Simulator, token: Path) -> dict[str, Any]:
    """Those of a driver of it."""
    return {
        "subscription": arm.subscription,
        "resource_group": GROUP,
        "sizes": SIZES,
        "base_url": arm.base_url,
        "ca_file": str(arm.ca_file),
        "credential": "token_file",
        "token_file": str(token),
        **QUICK,
    }


async def survives(story: Story, doom: Doom, arm: Simulator) -> None:
    """Another process takes over, and Azure was asked once, or not at all where nothing was
    accepted and where nobody could know."""
    world = World(":memory:")
    async with taking_over(doom, world) as store:
        async with store.read() as c:
            tasks = await c.fetch("select id, kind from task order by n")
        ends = [await ended(store, task["id"]) for task in tasks]
        accepted = len(ends) > len(story.before)
        calls = sum(arm.done(story.call).values())
        if accepted:
            assert ends[-1]["result"] in story.results, ends[-1]
            assert calls == 1 or (calls == 0 and ends[-1]["result"] == "failure")
        else:
            assert calls == 0
        row = await vm_row(store, 1)
        there = {name: arm.vm(name).power for name in arm.vms()}
        wanted = story.power if accepted else story.was if story.before else None
        assert there == ({f"vmgate-{row['uuid']}": wanted} if wanted else {})
        assert row["deallocated"] == (wanted == "deallocated")
        sizes = {arm.vm(name).size for name in there}
        assert sizes <= {story.size if accepted else "Standard_B1s"}
        await books_balance(store)
        await records_balance(store)
    world.close()
