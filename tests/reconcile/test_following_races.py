"""I4: a move is never believed while a task of ours holds the VM or has held it since the look
began, nor from a look that is old; whoever looks and whatever moves at once, the books balance."""

import asyncio
from random import Random
from uuid import uuid4

import pytest

from gateway.store.capacity import ledger
from gateway.store.db.pool import Store
from tests.acceptance.gateway import until
from tests.reconcile.scene import both, scene
from tests.tasks.rig import books_balance

SEED = 5
TURNS = 40


async def a_task(store: Store, *, ended: bool) -> None:
    """As a submission: it holds the VM's row."""
    async with store.transaction() as c:
        await c.execute("select from vm where id = 1 for update")
        await c.execute(
            """insert into task (id, kind, vm_id, vm_name, user_id, enterprise_id, state, result)
               select $1, 'RELOCATE', id, name, 1, 1, $2, $3 from vm where id = 1
               on conflict do nothing""",
            uuid4(),
            "done" if ended else "running",
            "failure" if ended else None,
        )


@both
@pytest.mark.parametrize("what", ["a task", "a task that ended", "a newer record", "a lost lease"])
async def test_what_crossed_something_of_ours_is_not_believed(
    store: Store, whole: bool, what: str
) -> None:
    """The look began before, and is written after."""
    async with scene(store, whole=whole) as at:
        at.move("host-2")

        async def meanwhile(*_: object) -> None:
            match what:
                case "a newer record":
                    async with store.transaction() as c:
                        await c.execute("update vm set version = version + 1")
                case "a lost lease":
                    async with store.transaction() as c:
                        await c.execute("update observer set owner = 'o', epoch = epoch + 1")
                case _:
                    await a_task(store, ended=what == "a task that ended")

        at.driver.looked = meanwhile
        await at.observer("host-2").round()
        assert await at.at() == ("ON", "host-1")
        assert await at.events("VSM_MOVED") == []
        at.driver.looked = None
        async with store.transaction() as c:
            await c.execute("delete from task where kind = 'RELOCATE'")
            await c.execute("delete from observer")
        await at.observer("host-2").round()
        assert await at.at() == ("ON", "host-2")


async def test_who_submits_first_has_the_vm(store: Store) -> None:
    """A submission holds the VM's row: the observer waits for it, and then sees the task."""
    async with scene(store, whole=True) as at:
        at.move("host-2")
        submitting, submit = asyncio.Event(), asyncio.Event()

        async def submitted() -> None:
            async with store.transaction() as c:
                await c.execute("select from vm where id = 1 for update")
                submitting.set()
                await submit.wait()
                await c.execute(
                    """insert into task (id, kind, vm_id, vm_name, user_id, enterprise_id)
                       select gen_random_uuid(), 'RESET', id, name, 1, 1 from vm where id = 1"""
                )

        async def waits() -> bool:
            async with store.read() as c:
                return bool(
                    await c.fetchval("select exists (select from pg_locks where not granted)")
                )

        async with asyncio.TaskGroup() as group:
            group.create_task(submitted())
            await submitting.wait()
            looking = group.create_task(at.observer().round())
            await until(waits)
            submit.set()
            await looking
        assert await at.at() == ("ON", "host-1")


@both
async def test_whatever_moves_when_and_whoever_looks(store: Store, whole: bool) -> None:
    """I2, I3: after each turn of moves from outside, of our own moves and of two processes that
    look at once, the books balance; in the end the record is what is."""
    rng = Random(SEED)
    async with scene(store, whole=whole, hosts=3) as at:
        async with store.transaction() as c:
            await c.execute("update observer set lease_until = clock_timestamp()")
        for turn in range(TURNS):
            if rng.random() < 0.7:
                at.move(f"host-{rng.randint(1, 3)}")
            names = [rng.choice(("host-1", "host-2", "host-3")) for _ in range(2)]
            looks = [at.observer(name, f"process-{n}").round() for n, name in enumerate(names)]
            if rng.random() < 0.4:
                looks.append(a_task(store, ended=rng.random() < 0.6))
            await asyncio.gather(*looks)
            async with store.transaction() as c:
                await c.execute("update observer set lease_until = '-infinity'")
                if turn % 5 == 0:
                    await c.execute("delete from task where kind = 'RELOCATE'")
            await balanced(store)
        async with store.transaction() as c:
            await c.execute("delete from task where kind = 'RELOCATE'")
        for _ in range(2):
            await at.rounds()
        row = at.world.row("select host from vm where vm = ?", at.uuid)
        assert row is not None
        assert await at.at() == ("ON", row["host"])
        await books_balance(store)


async def balanced(store: Store) -> None:
    """One booking, where the record has the VM; the ledger is what counting anew makes of it."""
    async with store.transaction() as c:
        rows = await c.fetch(
            "select v.host_id, b.host_id booked from vm v left join booking b on b.vm_id = v.id"
            " where v.id = 1"
        )
        before = await c.fetch(_LEDGER)
        await ledger.refresh_limits(c)
        after = await c.fetch(_LEDGER)
    assert [row["host_id"] for row in rows] == [row["booked"] for row in rows]
    assert before == after


_LEDGER = """
select kind, id, cpu_used, ram_used, disk_used, enterprises, layers from ledger order by kind, id
"""
