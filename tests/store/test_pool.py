"""A transaction is kept or not, and the caller is told which, or that nobody knows."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from gateway.store.db.pool import (
    CommitUnknown,
    Connection,
    Store,
    StoreConflict,
    StoreSettings,
    StoreUnavailable,
)
from tests.store.relay import Break, breaking_line


async def insert(
    store: Store, value: int, then: Callable[[Connection], Awaitable[None]] | None = None
) -> None:
    """One transaction; what `then` does is part of it."""
    async with store.transaction() as c:
        await c.execute("insert into number values ($1)", value)
        if then is not None:
            await then(c)


async def kept(settings: StoreSettings) -> list[int]:
    """All of `number`, seen from outside."""
    async with Store.open(settings) as store, store.read() as c:
        return [row["value"] for row in await c.fetch("select value from number order by 1")]


@pytest.fixture
async def number(settings: StoreSettings) -> None:
    """A table that holds 1 and 2."""
    async with Store.open(settings) as store, store.transaction() as c:
        await c.execute(
            "create table number (value int unique deferrable initially immediate, note text);"
            "insert into number values (1), (2)"
        )


@pytest.mark.usefixtures("number")
async def test_a_block_that_ends_is_kept_and_one_that_raises_is_not(
    settings: StoreSettings,
) -> None:
    """Also when the block's own fault looks like the network's."""
    async with Store.open(settings) as store:
        async with store.transaction() as c:
            await c.execute("insert into number values (3)")
        for fault in (KeyError("mine"), TimeoutError("mine"), OSError("mine")):

            async def fail(_c: Connection, fault: Exception = fault) -> None:
                raise fault

            with pytest.raises(type(fault), match="mine"):
                await insert(store, 4, then=fail)
    assert await kept(settings) == [1, 2, 3]


@pytest.mark.usefixtures("number")
async def test_a_read_sees_one_moment_and_cannot_write(settings: StoreSettings) -> None:
    """Lists and their counts agree."""
    async with Store.open(settings) as store:
        async with store.read() as c:
            before = await c.fetchval("select count(*) from number")
            async with store.transaction() as writer:
                await writer.execute("insert into number values (3)")
            assert await c.fetchval("select count(*) from number") == before
        with pytest.raises(StoreUnavailable, match="read-only"):
            async with store.read() as c:
                await c.execute("insert into number values (4)")


@pytest.mark.usefixtures("number")
@pytest.mark.parametrize("where", Break)
async def test_a_commit_without_an_answer_is_unknown(
    settings: StoreSettings, tmp_path: Path, where: Break
) -> None:
    """The one fault after which doing it again is not safe: here it was kept, there not."""
    assert settings.database_url is not None
    async with breaking_line(settings.database_url, tmp_path, where) as line:
        behind = dataclasses.replace(settings, database_url=line)
        async with Store.open(behind) as store:
            with pytest.raises(CommitUnknown):
                await insert(store, 3)
    assert await kept(settings) == ([1, 2, 3] if where is Break.ANSWER else [1, 2])


@pytest.mark.usefixtures("number")
async def test_a_session_lost_before_commit_is_known_to_have_kept_nothing(
    settings: StoreSettings,
) -> None:
    """StoreUnavailable and no more than that; the next transaction works."""
    async with Store.open(settings) as store:

        async def lose(c: Connection) -> None:
            await end_session(store, c)
            await c.execute("insert into number values (4)")

        with pytest.raises(StoreUnavailable) as raised:
            await insert(store, 3, then=lose)
        assert not isinstance(raised.value, CommitUnknown)
        async with store.transaction() as c:
            await c.execute("insert into number values (5)")
    assert await kept(settings) == [1, 2, 5]


async def end_session(store: Store, c: Connection) -> None:
    """As an operator's pg_terminate_backend does."""
    pid = c.get_server_pid()
    async with store.transaction() as other:
        await other.execute("select pg_terminate_backend($1, 5000)", pid)


@pytest.mark.usefixtures("number")
async def test_of_two_deadlocked_transactions_one_gets_a_conflict(
    settings: StoreSettings,
) -> None:
    """The other is kept."""
    together = asyncio.Barrier(2)
    outcomes: list[str] = []

    async def cross(store: Store, first: int, second: int) -> None:
        update = "update number set note = 'seen' where value = $1"
        try:
            async with store.transaction() as c:
                await c.execute(update, first)
                await together.wait()
                await c.execute(update, second)
            outcomes.append("kept")
        except StoreConflict:
            outcomes.append("conflict")

    async with Store.open(settings) as store:
        await asyncio.gather(cross(store, 1, 2), cross(store, 2, 1))
    assert sorted(outcomes) == ["conflict", "kept"]


@pytest.mark.usefixtures("number")
async def test_a_lock_not_had_in_time_is_a_conflict(settings: StoreSettings) -> None:
    """Nobody waits for long behind another's transaction."""
    impatient = dataclasses.replace(settings, lock_timeout_s=0.05)
    lock = "select 1 from number where value = 1 for update"
    async with Store.open(impatient) as store, store.transaction() as holder:
        await holder.execute(lock)
        with pytest.raises(StoreConflict):
            async with store.transaction() as c:
                await c.execute(lock)


async def test_a_statement_too_slow_is_unavailable(settings: StoreSettings) -> None:
    """The server ends it."""
    impatient = dataclasses.replace(settings, statement_timeout_s=0.05)
    async with Store.open(impatient) as store:
        with pytest.raises(StoreUnavailable, match="statement timeout"):
            async with store.transaction() as c:
                await c.execute("select pg_sleep(60)")
        async with store.read() as c:
            assert await c.fetchval("select 1") == 1


@pytest.mark.usefixtures("number")
async def test_the_servers_no_passes_unchanged_even_at_commit(settings: StoreSettings) -> None:
    """A unique violation is an answer; the session it came on still works."""
    only = dataclasses.replace(settings, connections_max=1)
    async with Store.open(only) as store:
        with pytest.raises(asyncpg.UniqueViolationError):
            await insert(store, 1)

        async def twin(c: Connection) -> None:
            await c.execute("set constraints all deferred; insert into number values (3)")

        with pytest.raises(asyncpg.UniqueViolationError):
            await insert(store, 3, then=twin)
        async with store.read() as c:
            assert await c.fetchval("select count(*) from number") == 2


@pytest.mark.usefixtures("number")
async def test_a_cancelled_block_gives_its_session_back_and_keeps_nothing(
    settings: StoreSettings,
) -> None:
    """Cancelled within a statement, with the pool's only session."""
    only = dataclasses.replace(settings, connections_max=1)
    begun = asyncio.Event()

    async def write(store: Store) -> None:
        async with store.transaction() as c:
            await c.execute("insert into number values (3)")
            begun.set()
            await c.execute("select pg_sleep(60)")

    async with Store.open(only) as store:
        writing = asyncio.create_task(write(store))
        await begun.wait()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        async with store.read() as c:
            assert await c.fetchval("select count(*) from number") == 2


async def test_a_full_pool_is_unavailable_after_its_patience(settings: StoreSettings) -> None:
    """Waiting has a limit."""
    only = dataclasses.replace(settings, connections_max=1, acquire_timeout_s=0.1)
    async with Store.open(only) as store, store.read():
        with pytest.raises(StoreUnavailable, match="no session"):
            async with store.read():
                pass


async def test_every_session_has_our_limits_and_our_name(settings: StoreSettings) -> None:
    """A forgotten transaction may not hold its locks for ever."""
    async with Store.open(settings) as store, store.read() as c:
        shown = {
            name: await c.fetchval("select current_setting($1)", name)
            for name in settings.server_settings
        }
    assert shown == {
        "application_name": "vmgate",
        "statement_timeout": "30s",
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "30s",
    }


async def test_json_and_uuids_come_back_as_they_went(settings: StoreSettings) -> None:
    """In columns and in arrays; SQL's null and JSON's are two things."""
    value = {"text": "ü\u2028", "list": [1, 2.5, None, True], "uuid": "x"}
    one, two = uuid4(), uuid4()
    async with Store.open(settings) as store, store.read() as c:
        row = await c.fetchrow(
            "select $1::jsonb, $2::json, $3::uuid, $4::uuid[], $5::jsonb[],"
            " null::jsonb, 'null'::jsonb",
            value,
            value,
            one,
            [one, two],
            [value, "x", 1],
        )
    assert row is not None
    assert tuple(row) == (value, value, one, [one, two], [value, "x", 1], None, None)
    assert isinstance(row[2], UUID)
