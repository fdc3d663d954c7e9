"""M-040 to M-046: the rules an administrator sets hold for whatever runs at the same time."""

import asyncio
from collections import Counter
from typing import Any

from drivers.simulated.world import World
from gateway.lifecycle import Operation
from gateway.store.capacity import bookings, inventory, ledger
from gateway.store.db.pool import Store
from scheduler.model.host_partition import HostPartition, partition_of
from tests.tasks.rig import Rig, books_balance, running, seed, vm_row

LAYER = """
insert into layer (virtualappliance_id, name) values (1, 'front');
update vm set layer_id = 1 where id <= 5;
"""
TIER = """
insert into tier (datacenter_id, name, enabled) values (1, 'gold', false);
update datastore set tier_id = 1;
update vm set tier_id = 1 where id = 1;
"""
APART = """
insert into enterprise (name) values ('rival');
update vm set enterprise_id = 2 where id = 2;
insert into rule (kind, level, element_id, other_id)
  values ('enterprise_exclusion', 'enterprise', 1, 2);
"""
OURS = """
insert into enterprise (name) values ('rival');
update host set reserved_for = 2 where id <> 3;
update enterprise set reservation_restricted = true where id = 2;
update vm set enterprise_id = 2 where id = 2;
"""


async def edit(rig: Rig, statement: str) -> None:
    async with rig.store.transaction() as c:
        await c.execute(statement)
        await ledger.refresh_limits(c)
    rig.sequencer.poke()


async def deploy(rig: Rig, *vms: int) -> list[dict[str, Any]]:
    return await asyncio.gather(*(rig.run(vm, Operation.DEPLOY) for vm in vms))


async def hosts_of(store: Store, *vms: int) -> list[int | None]:
    return [(await vm_row(store, vm))["host_id"] for vm in vms]


async def in_step(rig: Rig) -> None:
    """What the planner learnt from the feed is what the store would tell it now."""
    await rig.sequencer.flush()
    await rig.planner.catch_up()
    async with rig.store.read() as c:
        present = await inventory.hosts(c)
    assert [rig.planner.host(row.id) for row in present] == present


async def test_vms_of_a_layer_asked_for_at_once_live_apart(store: Store) -> None:
    """M-046: four hosts take four of them; the fifth is told why."""
    await seed(store, hosts=4, vms=6)
    async with running(store, World()) as rig:
        await edit(rig, LAYER)
        tasks = await deploy(rig, 1, 2, 3, 4, 5)
        results = Counter(task["result"] for task in tasks)
        (refused,) = [task["error"] for task in tasks if task["result"] == "failure"]
        assert results == {"success": 4, "failure": 1}
        assert "layer" in refused
        placed = [host for host in await hosts_of(store, 1, 2, 3, 4, 5) if host is not None]
        assert sorted(placed) == [1, 2, 3, 4]
        await in_step(rig)


async def test_what_leaves_a_host_makes_room_for_its_layer(store: Store) -> None:
    """I3: an undeployed VM is nobody's neighbour, and a moved one only where it went."""
    await seed(store, hosts=2, vms=6)
    async with running(store, World()) as rig:
        await edit(rig, LAYER)
        first, _ = await deploy(rig, 1, 2)
        assert first["result"] == "success"
        assert (await rig.run(1, Operation.RELOCATE, host_id=None))["result"] == "failure"
        await rig.run(2, Operation.UNDEPLOY)
        assert (await rig.run(1, Operation.RELOCATE, host_id=None))["result"] == "success"
        assert (await deploy(rig, 3))[0]["result"] == "success"
        one, three = await hosts_of(store, 1, 3)
        assert {one, three} == {1, 2}
        await in_step(rig)
        await books_balance(store)


async def test_a_tier_that_cannot_be_used_fails_the_schedule_step(store: Store) -> None:
    """M-043: the deploy is accepted and its SCHEDULE job says which tier."""
    await seed(store, hosts=2, vms=2)
    async with running(store, World()) as rig:
        await edit(rig, TIER)
        (task,) = await deploy(rig, 1)
        assert task["result"] == "failure"
        assert "without a datastore of the tier" in task["error"]
        async with store.read() as c:
            job = await c.fetchrow(
                "select type, state from job where task_id = $1 order by n limit 1", task["id"]
            )
            assert await c.fetchval("select count(*) from booking") == 0
        assert job is not None
        assert (job["type"], job["state"]) == ("SCHEDULE", "FAILED")
        await edit(rig, "update tier set enabled = true")
        assert (await deploy(rig, 1))[0]["result"] == "success"


async def test_excluded_enterprises_share_no_host(store: Store) -> None:
    """M-041: also when both ask at once."""
    await seed(store, hosts=1, vms=2)
    async with running(store, World()) as rig:
        await edit(rig, APART)
        tasks = await deploy(rig, 1, 2)
        assert Counter(task["result"] for task in tasks) == {"success": 1, "failure": 1}


async def test_reserved_hosts_and_restricted_enterprises(store: Store) -> None:
    """M-042: the restricted one goes to a host of its own, the other to the only free one."""
    await seed(store, hosts=4, vms=2)
    async with running(store, World()) as rig:
        await edit(rig, OURS)
        assert [task["result"] for task in await deploy(rig, 1, 2)] == ["success", "success"]
        ours, theirs = await hosts_of(store, 1, 2)
        assert ours == 3
        assert theirs != 3


async def test_rules_edited_all_the_while_stop_nobody(store: Store) -> None:
    """P9: a decision of before an edit is made again, not failed and not kept."""
    await seed(store, hosts=4, vms=24)
    async with running(store, World()) as rig:

        async def keep_editing() -> None:
            for n in range(40):
                await edit(rig, f"update enterprise set name = 'name {n}'")

        editing = asyncio.create_task(keep_editing())
        tasks = await deploy(rig, *range(1, 25))
        await editing
        assert {task["result"] for task in tasks} == {"success"}
        assert rig.planner.rules.version > 40
        await in_step(rig)
        await books_balance(store)


async def test_a_layer_joined_while_deployed_is_known_to_the_planner(store: Store) -> None:
    await seed(store, hosts=2, vms=2)
    async with running(store, World()) as rig:
        await edit(rig, "insert into layer (virtualappliance_id, name) values (1, 'front')")
        await deploy(rig, 1)
        async with store.transaction() as c:
            assert await bookings.join_layer(c, 1, 1) is None
            assert await bookings.join_layer(c, 2, 1) is None
        await in_step(rig)
        await deploy(rig, 2)
        one, two = await hosts_of(store, 1, 2)
        assert {one, two} == {1, 2}


async def test_a_share_is_tried_first_and_everything_before_a_refusal(store: Store) -> None:
    """M-120: of two processes each fills its own hosts, then those of the other."""
    await seed(store, hosts=4, vms=9, cpus=2)
    async with running(store, World()) as rig:
        ours = [host for host in range(1, 5) if partition_of(host, 2) == 1]
        assert 0 < len(ours) < 4
        rig.planner.take_share(HostPartition(1, 2))
        for vm in range(1, 2 * len(ours) + 1):
            await rig.run(vm, Operation.DEPLOY)
        placed = await hosts_of(store, *range(1, 2 * len(ours) + 1))
        assert sorted(each or 0 for each in placed) == sorted([*ours, *ours])
        tasks = await deploy(rig, *range(2 * len(ours) + 1, 10))
        assert Counter(task["result"] for task in tasks)["failure"] == 1
