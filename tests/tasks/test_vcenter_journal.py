"""I1 on a vCenter: kill -9 after commits, and on both sides of driver calls, of a deploy and of a
relocation; whoever takes over finds the vCenter's task or its work and begins no other.

`--exhaustive` dies at each of them, else at a sample.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from drivers.simulated.world import World
from gateway.lifecycle import Operation
from gateway.store.capacity import ledger
from gateway.store.db.pool import Store
from tests.drivers.vsphere_rig import SHAPE, Admin
from tests.lab.vcenter import VCenter, missing, vcenter
from tests.postgres import create_database, execute
from tests.sampling import crash_points
from tests.tasks.dying import Doom, run_to_death, taking_over
from tests.tasks.rig import (
    books_balance,
    ended,
    records_balance,
    seed,
    vm_row,
)

pytestmark = pytest.mark.long
ON_VCENTER = f"""
update host set name = 'esxi-1-' || id, address = 'esxi-1-' || id, type = 'VMX_04',
  networks = '{{"default": "lan-1"}}';
update datastore set pool = 'shared-1-1';
update template set source = 'template-1', types = '{{VMX_04}}', disk_bytes = {2**30};
update virtualdatacenter set type = 'VMX_04';
update vm set type = 'VMX_04', disk_bytes = {2**30};
"""


@dataclass(frozen=True)
class Story:
    """One operation to be killed in, and the one call of it that must not be made again."""

    operation: Operation
    method: str
    before: tuple[Operation, ...] = ()
    payload: tuple[tuple[str, Any], ...] = ()


STORIES = {
    "deploy": Story(Operation.DEPLOY, "CloneVM_Task"),
    "relocate": Story(
        Operation.RELOCATE, "RelocateVM_Task", (Operation.DEPLOY,), (("host_id", 2),)
    ),
}


@pytest.fixture(scope="module")
def vc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VCenter]:
    if missing():
        pytest.skip(missing())
    with vcenter(tmp_path_factory.mktemp("vsphere") / "one", SHAPE) as running_one:
        yield running_one


@pytest.fixture
def options(vc: VCenter, tmp_path: Path) -> dict[str, Any]:
    """Those of a driver of it."""
    secret = tmp_path / "password"
    secret.write_text(vc.password)
    return {
        "server": f"{vc.host}:{vc.port}",
        "user": vc.user,
        "password_file": str(secret),
        "ca_file": str(vc.certificate),
        "datacenter": "lab",
        "poll_s": 0.1,
        "watch_s": 5,
    }


@pytest.fixture
async def seeded_url(database_url: str, store: Store) -> str:
    """A database to copy, of two hosts of the vCenter, and nobody connected."""
    await seed(store, hosts=2, vms=1)
    async with store.transaction() as c:
        await c.execute(ON_VCENTER)
        await ledger.refresh_limits(c)
    await store._pool.close()
    return database_url


@pytest.mark.parametrize("name", STORIES)
async def test_a_kill_anywhere_begins_nothing_again(
    vc: VCenter,
    options: dict[str, Any],
    postgres_server: Any,
    seeded_url: str,
    tmp_path: Path,
    pytestconfig: pytest.Config,
    name: str,
) -> None:
    story = STORIES[name]
    template = urlsplit(seeded_url).path.strip("/")
    admin = Admin(vc, vc.home)
    begun = []
    for point in crash_points(pytestconfig, name, list(STORIES)):
        copy = f"{template}_{point}"
        url = await create_database(postgres_server, copy, template)
        doom = Doom(
            url,
            str(tmp_path / f"world-{point}"),
            story.operation,
            dict(story.payload),
            story.before,
            point=point,
            vcenter=options,
        )
        vc.forget_calls()
        code = await asyncio.to_thread(run_to_death, doom)
        assert code in (0, -9), f"at point {point}"
        begun.append(vc.calls().get(story.method, 0))
        await survives(story, doom, vc, admin)
        await execute(postgres_server, f"drop database {copy} with (force)")
        await asyncio.to_thread(admin.sweep)
        if code == 0:
            break
    admin.close()
    assert {0, 1} <= set(begun), "it was killed before its call, and after it"
    assert point > 8, "the operation has more points than that"


async def survives(story: Story, doom: Doom, vc: VCenter, admin: Admin) -> None:
    """Another process takes over, and there is one VM, where the record says."""
    world = World(":memory:")
    async with taking_over(doom, world) as store:
        async with store.read() as c:
            tasks = await c.fetch("select id, kind from task order by n")
        ends = [await ended(store, task["id"]) for task in tasks]
        assert [end["error"] for end in ends if end["result"] != "success"] == []
        accepted = sum(task["kind"] == story.operation.value for task in tasks)
        assert vc.calls().get(story.method, 0) == accepted
        row = await vm_row(store, 1)
        there = await asyncio.to_thread(admin.vms)
        assert len(there) == (row["state"] == "ON")
        for vm in there:
            moved = story.operation is Operation.RELOCATE and accepted
            at = (vm.config.instanceUuid, vm.runtime.powerState, vm.runtime.host.name)
            assert at == (str(row["uuid"]), "poweredOn", "esxi-1-2" if moved else "esxi-1-1")
            assert row["host_id"] == (2 if moved else 1)
        await books_balance(store)
        await records_balance(store)
    world.close()
