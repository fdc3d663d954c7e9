"""P2, P3, B9: a VM that somebody else moved is booked where it was freshly seen, in one commit.

Never because it is missing somewhere, and never while it is on two hosts.
"""

import pytest

from drivers.simulated.world import World
from gateway.lifecycle import Operation
from gateway.store.capacity import ledger
from gateway.store.db.pool import Store
from tests.acceptance.gateway import until
from tests.reconcile.scene import both, scene
from tests.tasks.rig import books_balance, running, seed, vm_row


@both
async def test_a_vm_that_was_moved_is_booked_where_it_is(store: Store, whole: bool) -> None:
    """One commit: record, booking and ledger; the event names both hosts and the old decision."""
    async with scene(store, whole=whole) as at:
        placed = str((await vm_row(store, 1))["decision_id"])
        at.move("host-2")
        at.world.set_state(at.uuid, "PAUSED")
        await at.rounds()
        await at.rounds()
        assert await at.at() == ("PAUSED", "host-2")
        assert await at.used() == [0, 1]
        await books_balance(store)
        (event,) = await at.events("VSM_MOVED")
        assert event["message"].endswith("was moved from outside, from host-1 to host-2")
        assert "host" not in event["told"]
        details = event["details"]
        assert (details["from"], details["to"], details["decision"]) == ("host-1", "host-2", placed)
        assert (await vm_row(store, 1))["decision_id"] is None
        at.move("host-1")
        await at.rounds()
        await at.rounds()
        assert await at.at() == ("PAUSED", "host-1")
        assert await at.used() == [1, 0]
        assert len(await at.events("VSM_MOVED")) == 2


async def test_the_fleet_in_memory_follows_and_vms_go_on(store: Store) -> None:
    """By the feed alone; what is asked of the VM then is asked of the host it is on."""
    world = World("")
    await seed(store, hosts=2, vms=2)
    async with running(store, world) as rig:
        await rig.run(1, Operation.DEPLOY)
        uuid = str((await vm_row(store, 1))["uuid"])
        was = (await vm_row(store, 1))["host_id"]
        other = 3 - was
        with world.changing():
            world.rows("update vm set host = ? where vm = ?", f"host-{other}", uuid)

        async def followed() -> bool:
            row = await vm_row(store, 1)
            return (row["host_id"], row["state"]) == (other, "ON")

        await until(followed)
        await rig.planner.catch_up_to_head()
        hosts = [rig.planner.host(number) for number in (was, other)]
        assert [host.cpu_used for host in hosts if host is not None] == [0, 1]
        for operation in (Operation.POWER_OFF, Operation.UNDEPLOY):
            task = await rig.run(1, operation)
            assert task["result"] == "success", task
        assert world.rows("select * from vm") == []
        await books_balance(store)


@both
async def test_on_two_hosts_it_is_unknown_until_it_is_on_one(store: Store, whole: bool) -> None:
    """P3: both observers say so, neither takes it back, and the booking stays where it was."""
    async with scene(store, whole=whole) as at:
        at.copy("host-2")
        for _ in range(3):
            await at.rounds()
            if not whole:
                await at.rounds()
            assert await at.at() == ("UNKNOWN", "host-1")
        (event,) = await at.events("VSM_CHANGE_STATE")
        assert "in more than one place: host-1 and host-2" in event["message"]
        assert "host" not in event["told"]
        at.world.rows("delete from vm where vm = ? and host = 'host-1'", at.uuid)
        await at.rounds()
        await at.rounds()
        assert await at.at() == ("ON", "host-2")
        at.copy("host-1")
        await at.rounds()
        await at.rounds()
        assert await at.at() == ("UNKNOWN", "host-2")
        at.world.rows("delete from vm where vm = ? and host = 'host-1'", at.uuid)
        await at.rounds()
        await at.rounds()
        assert await at.at() == ("ON", "host-2")
        await books_balance(store)


async def test_it_is_not_followed_while_its_old_host_cannot_be_asked(store: Store) -> None:
    """It may run there as well; once the host answers that it has none, it is followed."""
    async with scene(store, whole=False) as at:
        at.move("host-2")
        at.world.unreachable("host-1")
        for _ in range(2):
            await at.observer("host-2").round()
        assert await at.at() == ("ON", "host-1")
        assert await at.used() == [1, 1], "a VM that is booked elsewhere is somebody's use"
        at.world.reachable("host-1")
        await at.observer("host-2").round()
        assert await at.at() == ("ON", "host-2")
        assert await at.used() == [0, 1]


@pytest.mark.parametrize("unmarked", [True, False])
async def test_what_cannot_be_booked_there_is_unknown(store: Store, unmarked: bool) -> None:
    """Another VM of its id without our mark; or its disk is where no datastore of ours is."""
    async with scene(store, whole=True) as at:
        at.move("host-2")
        if unmarked:
            at.world.rows("update vm set task = '' where vm = ?", at.uuid)
        else:
            at.world.rows("update vm set volume = 'elsewhere' where vm = ?", at.uuid)
        await at.rounds()
        await at.rounds()
        assert await at.at() == ("UNKNOWN", "host-1")
        assert len(await at.events("VSM_CHANGE_STATE")) == 1
        assert (await vm_row(store, 1))["known_state"] == "ON"


async def test_its_disk_may_have_moved_along(store: Store) -> None:
    """The list says on which datastore it is; what was on the old one is free."""
    async with scene(store, whole=True) as at:
        async with store.transaction() as c:
            await c.execute(
                f"""insert into datastore (datacenter_id, name, pool, capacity_bytes, free_bytes)
                      values (1, 'own-2', 'own', {2**43}, {2**43});
                    insert into host_datastore values (2, 2)"""
            )
            await ledger.refresh_limits(c)
        at.move("host-2")
        at.driver.datastores = ("own",)
        await at.rounds()
        assert await at.at() == ("ON", "host-2")
        assert (await vm_row(store, 1))["datastore_id"] == 2
        await books_balance(store)


async def test_a_fact_is_booked_over_the_limit_and_told(store: Store) -> None:
    async with scene(store, whole=True) as at:
        async with store.transaction() as c:
            await c.execute(
                """insert into rule (kind, level, element_id, cpu_percent, ram_percent)
                   values ('machine_load', 'machine', 2, 0, 0)"""
            )
            await ledger.refresh_limits(c)
        at.move("host-2")
        await at.rounds()
        assert await at.at() == ("ON", "host-2")
        assert await at.used() == [0, 1]
        assert [each["entity_name"] for each in await at.events("LOADLEVEL_CPU_EXCEEDED")] == [
            "host-2"
        ]
        at.move("host-1")
        await at.rounds()
        assert await at.used() == [1, 0]
        await books_balance(store)
