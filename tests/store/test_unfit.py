"""I8: a server that lives and cannot work is unavailable, whatever it calls that."""

from urllib.parse import urlsplit

import asyncpg
import pytest

from gateway.store.db.pool import Store, StoreConflict, StoreSettings, StoreUnavailable
from tests.postgres import execute

UNFIT = {
    "53000": "insufficient resources",
    "53100": "disk full",
    "53200": "out of memory",
    "53300": "too many connections",
    "53400": "a configured limit",
    "25006": "read-only",
    "42501": "rights taken away",
    "58000": "system error",
    "58030": "I/O error",
    "58P01": "missing file",
    "XX000": "internal error",
    "XX001": "corrupted data",
    "57014": "cancelled",
    "57P01": "shut down by an administrator",
    "57P02": "crash of another session",
    "57P03": "starting",
    "57P04": "dropped",
    "08006": "connection failure",
}
PASSING = {"57014", "57P01", "57P02", "57P03", "57P04", "08006", "53300"}
_RAISE = "do $$ begin raise exception 'told by the test' using errcode = '{code}'; end $$"


@pytest.mark.parametrize("code", UNFIT, ids=lambda code: f"{code} {UNFIT[code]}")
@pytest.mark.parametrize("write", [False, True], ids=["read", "transaction"])
async def test_each_is_unavailable_with_nothing_kept(
    settings: StoreSettings, code: str, write: bool
) -> None:
    """And the probe tells of what will last, not of what the next session may be spared."""
    async with Store.open(settings) as store:
        await store.probe()
        with pytest.raises(StoreUnavailable, match="told by the test"):
            async with store.transaction() if write else store.read() as c:
                await c.execute(_RAISE.format(code=code))
        if code in PASSING or (code == "25006" and not write):
            await store.probe()
        else:
            with pytest.raises(StoreUnavailable, match="told by the test"):
                await store.probe()


@pytest.mark.parametrize("code", ["22001", "22P05", "23505", "54000", "42P01"])
async def test_an_answer_to_a_statement_is_none_of_them(settings: StoreSettings, code: str) -> None:
    async with Store.open(settings) as store:
        with pytest.raises(asyncpg.PostgresError):
            async with store.transaction() as c:
                await c.execute(_RAISE.format(code=code))
        await store.probe()


async def test_a_conflict_is_none_of_them(settings: StoreSettings) -> None:
    async with Store.open(settings) as store:
        with pytest.raises(StoreConflict):
            async with store.transaction() as c:
                await c.execute(_RAISE.format(code="40001"))
        await store.probe()


async def test_a_database_that_is_read_only_is_told(settings: StoreSettings) -> None:
    """As on a standby, before anybody tried to write."""
    assert settings.database_url is not None
    name = urlsplit(settings.database_url).path.removeprefix("/")
    await execute(
        settings.database_url, f"alter database {name} set default_transaction_read_only = on"
    )
    async with Store.open(settings) as store:
        with pytest.raises(StoreUnavailable, match="read-only"):
            await store.probe()
        async with store.read() as c:
            assert await c.fetchval("select 1") == 1
        with pytest.raises(StoreUnavailable, match="read-only"):
            async with store.transaction() as c:
                await c.execute("create table t (i int)")


async def test_the_probe_writes_to_the_disk(settings: StoreSettings) -> None:
    """Its list does not fit into its memory."""
    async with Store.open(settings) as store, store.transaction() as c:
        from gateway.store.db.pool import _SPILL

        await c.execute("set local work_mem = '64kB'")
        plan = [row[0] for row in await c.fetch(f"explain (analyze, buffers) {_SPILL}")]
    assert any("temp" in line and "written=" in line for line in plan), plan
