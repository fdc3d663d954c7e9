"""I3: a worker whose task was taken over writes nothing more, and books nothing more."""

import pytest

from drivers.contract import LeaseLost
from drivers.simulated.world import World
from gateway.lifecycle import Operation
from gateway.store.db.pool import Store
from gateway.store.tasks import tasks
from gateway.tasks.saga import JournalEvent
from gateway.tasks.submission import Order, submit
from gateway.tasks.task_journal import TaskRecord
from tests.tasks.rig import CALLER, running, seed, vm_row


async def taken_over(store: Store) -> tuple[TaskRecord, TaskRecord]:
    """A task under two workers: the first one's lease ran out, the second one holds it."""
    await seed(store, hosts=1, vms=1)
    await submit(store, Order(Operation.DEPLOY, 1, {}), CALLER)
    async with store.transaction() as c:
        (first,) = await tasks.claim(c, "first", 0.0, 1, lapsed=True)
    async with store.transaction() as c:
        (second,) = await tasks.claim(c, "second", 0.1, 1, lapsed=True)
    assert (first.id, first.epoch + 1) == (second.id, second.epoch)
    return TaskRecord(store, first, "first", []), TaskRecord(store, second, "second", [])


async def test_a_stale_worker_cannot_write(store: Store) -> None:
    stale, held = await taken_over(store)
    step = stale.saga.steps[0]
    with pytest.raises(LeaseLost):
        async with stale.fenced() as page:
            await page.write(step, JournalEvent.DONE, {})
    with pytest.raises(LeaseLost):
        async with stale.fenced() as page:
            await page.finish(True, "")
    async with held.fenced() as page:
        await page.write(step, JournalEvent.FAILED, {"reason": "x", "clean": True})
    async with store.read() as c:
        rows = await c.fetch("select entry, epoch from journal")
    assert [(row["entry"], row["epoch"]) for row in rows] == [("FAILED", held.task.epoch)]


async def test_a_stale_heartbeat_does_not_take_the_task_back(store: Store) -> None:
    stale, held = await taken_over(store)
    async with store.transaction() as c:
        ours = await tasks.renew(c, [(stale.task.id, stale.task.epoch)], 60.0)
        theirs = await tasks.renew(c, [(held.task.id, held.task.epoch)], 60.0)
    assert (set(ours), set(theirs)) == (set(), {held.task.id})


async def test_who_died_holding_a_task_does_not_leave_it_behind_a_full_queue(store: Store) -> None:
    """I2: the oldest goes on first, however many wait that nobody has begun."""
    await seed(store, hosts=1, vms=8)
    for vm in range(1, 9):
        await submit(store, Order(Operation.DEPLOY, vm, {}), CALLER)
    async with store.transaction() as c:
        died_with = await tasks.claim(c, "dead", 0.0, 2, lapsed=True)
    async with store.transaction() as c:
        taken = await tasks.claim(c, "alive", 0.05, 4, lapsed=True)
    assert [each.vm_id for each in died_with] == [1, 2]
    assert [each.vm_id for each in taken] == [1, 2, 3, 4]


async def test_a_second_request_is_refused_by_the_database_itself(store: Store) -> None:
    """One open task per VM, whatever the code thinks."""
    world = World("")
    await seed(store, hosts=1, vms=1)
    async with running(store, world) as rig:
        await rig.run(1, Operation.DEPLOY)
        row = await vm_row(store, 1)
        assert row["state"] == "ON"
    async with store.transaction() as c:
        await c.execute(
            """insert into task (id, kind, vm_id, vm_name, user_id, enterprise_id)
               values (gen_random_uuid(), 'RESET', 1, 'x', 1, 1)"""
        )
    with pytest.raises(Exception, match="task_one_open_per_vm"):
        async with store.transaction() as c:
            await c.execute(
                """insert into task (id, kind, vm_id, vm_name, user_id, enterprise_id)
                   values (gen_random_uuid(), 'RESET', 1, 'x', 1, 1)"""
            )
