"""A stuck task ends as "did not happen" on a person's word, unless a fresh look contradicts (K2 e,
I10); and a stuck task can be cancelled (L8). Nothing that runs is removed by either."""

from collections.abc import AsyncIterator

import pytest

from drivers.simulated.world import World
from gateway.lifecycle import Operation
from gateway.store.db.pool import Store
from gateway.tasks.ending import ways_out
from gateway.tasks.fault_policy import Limits
from tests.tasks.rig import CALLER, Rig, books_balance, ended, running, seed, vm_row

DEPLOY, RELOCATE = Operation.DEPLOY, Operation.RELOCATE
LIMITS = Limits(attempts_max=1, hosts_max=1, settle_for_s=0.1, poll_s=0.02, cancel_s=0.5)


@pytest.fixture
async def rig(store: Store) -> AsyncIterator[Rig]:
    """An engine that gives up quickly."""
    await seed(store, hosts=2)
    async with running(store, World(""), limits=LIMITS) as made:
        yield made


async def on_both(rig: Rig, *, source: str, target: str) -> dict[str, object]:
    """A relocation that is stuck, since host-2 could not read the VM: it is on both hosts, and can
    be read again in these states."""
    await rig.run(1, DEPLOY)
    world = rig.driver.world
    world.plan("host-1", "relocate", "Indeterminate")
    world.rows(
        """insert into vm (vm, host, name, cpu, ram_mib, state, task, volume, datastore)
           select vm, 'host-2', name, cpu, ram_mib, 'UNKNOWN', task, volume, datastore from vm"""
    )
    world.rows("update vm set state = ? where host = 'host-1'", source)
    task = await rig.run(1, RELOCATE, host_id=2)
    assert (task["state"], task["error"]) == ("stuck", "host-2 cannot read the VM")
    world.rows("update vm set state = ? where host = 'host-2'", target)
    return task


async def resolved(rig: Rig, task: dict[str, object], outcome: str) -> dict[str, object]:
    """The task once it has ended, or is stuck again."""
    await ways_out.resolve(rig.store, task["id"], CALLER, outcome)  # type: ignore[arg-type]
    rig.worker.poke()
    return await ended(rig.store, task["id"])  # type: ignore[arg-type]


async def bookings(store: Store) -> list[int]:
    async with store.read() as c:
        rows = await c.fetch("select host_id from booking where vm_id = 1 order by 1")
    return [row["host_id"] for row in rows]


async def test_a_move_that_did_not_happen(rig: Rig) -> None:
    """L3: it runs at the source; what is inactive at the target goes, and the task has failed."""
    task = await on_both(rig, source="ON", target="OFF")
    task = await resolved(rig, task, "NOT_DONE")
    assert (task["state"], task["result"]) == ("done", "failure")
    assert task["error"] == "resolved as not done"
    row = await vm_row(rig.store, 1)
    assert (row["state"], row["host_id"], await bookings(rig.store)) == ("ON", 1, [1])
    assert [one["host"] for one in rig.driver.world.rows("select host from vm")] == ["host-1"]
    await books_balance(rig.store)
    async with rig.store.read() as c:
        event = await c.fetchval(
            "select payload from feed where payload->>'action' = 'RESOLVE_TASK' order by 1 desc"
        )
    assert event["user"] == "tester"


@pytest.mark.parametrize(
    ("source", "target", "says"),
    [("OFF", "ON", "is ON on host-2"), ("ON", "ON", "runs on host-2")],
)
async def test_a_look_that_contradicts_wins(rig: Rig, source: str, target: str, says: str) -> None:
    task = await resolved(rig, await on_both(rig, source=source, target=target), "NOT_DONE")
    assert task["state"] == "stuck"
    assert says in str(task["error"])
    assert len(rig.driver.world.rows("select 1 from vm")) == 2
    assert await bookings(rig.store) == [1, 2]


async def test_without_a_fresh_look_nothing_ends(rig: Rig) -> None:
    task = await on_both(rig, source="ON", target="OFF")
    rig.driver.world.unreachable("host-2")
    task = await resolved(rig, task, "NOT_DONE")
    assert (task["state"], "host-2 does not answer" in str(task["error"])) == ("stuck", True)
    rig.driver.world.reachable("host-2")


async def undo_refused(rig: Rig) -> dict[str, object]:
    """A deploy that could not be taken back: the VM is there, off."""
    rig.driver.world.plan("host-1", "power", "Rejected")
    rig.driver.world.plan("host-1", "remove", "Rejected", times=99)
    task = await rig.run(1, DEPLOY)
    assert task["state"] == "stuck"
    async with rig.store.read() as c:
        states = await c.fetch("select state, rollback_state from job order by n")
    assert [tuple(row) for row in states] == [
        ("DONE", "UNKNOWN"),
        ("DONE", "FAILED"),
        ("FAILED", "DONE"),
    ]
    return task


def removals_asked(rig: Rig) -> int:
    (fault,) = rig.driver.world.rows("select times from fault where verb = 'remove'")
    return 99 - int(fault["times"])


async def test_each_attempt_to_take_back_asks_the_host(rig: Rig) -> None:
    """I10: a task is stuck after calls that were made, and its error is what the host said."""
    task = await undo_refused(rig)
    assert removals_asked(rig) == 2 * LIMITS.attempts_max + 1
    assert task["error"] == "planned by the test"


@pytest.mark.parametrize("still", [0, 1])
async def test_a_stuck_deploy_is_taken_back_once_its_host_lets_it(rig: Rig, still: int) -> None:
    """L8: each resolve calls again, whatever number of calls failed before."""
    task = await undo_refused(rig)
    rig.driver.world.rows("update fault set times = ? where verb = 'remove'", still)
    for _ in range(still):
        task = await resolved(rig, task, "")
        assert task["state"] == "stuck"
    task = await resolved(rig, task, "")
    assert (task["state"], task["result"]) == ("done", "failure")
    assert rig.driver.world.rows("select 1 from vm") == []
    assert await bookings(rig.store) == []
    await books_balance(rig.store)


async def test_a_deploy_that_is_there_did_happen(rig: Rig) -> None:
    task = await resolved(rig, await undo_refused(rig), "NOT_DONE")
    assert (task["state"], "is on host-1" in str(task["error"])) == ("stuck", True)


async def test_a_deploy_whose_leavings_somebody_removed_did_not_happen(rig: Rig) -> None:
    task = await undo_refused(rig)
    rig.driver.world.rows("delete from vm")
    rig.driver.world.rows("delete from volume")
    task = await resolved(rig, task, "NOT_DONE")
    assert (task["state"], task["result"]) == ("done", "failure")
    assert (await vm_row(rig.store, 1))["state"] == "NOT_ALLOCATED"
    assert await bookings(rig.store) == []
    await books_balance(rig.store)


async def test_a_power_off_that_did_happen(rig: Rig) -> None:
    await rig.run(1, DEPLOY)
    async with rig.store.transaction() as c:
        await c.execute("alter table task alter column resolved_as set default 'NOT_DONE'")
    rig.driver.world.set_state(str((await vm_row(rig.store, 1))["uuid"]), "OFF")
    task = await rig.run(1, Operation.POWER_OFF)
    assert (task["state"], "is OFF" in task["error"]) == ("stuck", True)


async def cancelled(rig: Rig, task: dict[str, object]) -> dict[str, object]:
    await ways_out.cancel(rig.store, task["id"], CALLER)  # type: ignore[arg-type]
    rig.worker.poke()
    return await ended(rig.store, task["id"], within_s=10)  # type: ignore[arg-type]


async def test_a_stuck_move_is_cancelled(rig: Rig) -> None:
    """L8: where the VM runs is where it is; what is left elsewhere is told."""
    task = await cancelled(rig, await on_both(rig, source="ON", target="OFF"))
    assert task["result"] == "cancelled"
    assert "left on host-2" in str(task["error"])
    row = await vm_row(rig.store, 1)
    assert (row["state"], row["host_id"], await bookings(rig.store)) == ("ON", 1, [1])
    await books_balance(rig.store)


async def test_a_stuck_move_that_happened_is_cancelled(rig: Rig) -> None:
    """It runs at the target: it has happened, so the record follows it there."""
    task = await cancelled(rig, await on_both(rig, source="OFF", target="ON"))
    row = await vm_row(rig.store, 1)
    assert (task["result"], row["state"], row["host_id"]) == ("success", "ON", 2)
    assert await bookings(rig.store) == [2]
    await books_balance(rig.store)


async def test_a_stuck_move_with_two_that_run_stays_in_doubt(rig: Rig) -> None:
    """Nothing is removed, and its home stays booked: people decide which one is right."""
    task = await cancelled(rig, await on_both(rig, source="ON", target="ON"))
    row = await vm_row(rig.store, 1)
    assert (task["result"], row["state"]) == ("failure", "UNKNOWN")
    assert await bookings(rig.store) == [1]
    assert len(rig.driver.world.rows("select 1 from vm")) == 2


async def test_a_stuck_deploy_is_cancelled(rig: Rig) -> None:
    """It could not be taken back: it stays as it is, booked, and can be undeployed."""
    task = await cancelled(rig, await undo_refused(rig))
    assert task["result"] == "cancelled"
    assert (await vm_row(rig.store, 1))["state"] in ("CONFIGURED", "OFF")
    assert await bookings(rig.store) == [1]
    await books_balance(rig.store)
    rig.driver.world.rows("update fault set times = 0")
    assert (await rig.run(1, Operation.UNDEPLOY))["result"] == "success"
    assert rig.driver.world.rows("select 1 from vm") == []
