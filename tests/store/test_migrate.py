"""The schema is this version's, or the start is refused with the reason."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from gateway.store.db.faults import MigrationError
from gateway.store.db.migrate import load, migrate
from gateway.store.db.pool import Store, StoreSettings


@pytest.fixture
async def empty(empty_database_url: str, tmp_path: Path) -> AsyncIterator[Store]:
    """A store on a database without any table."""
    async with Store.open(StoreSettings(tmp_path, empty_database_url)) as store:
        yield store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two migrations."""
    made = tmp_path / "migrations"
    made.mkdir()
    (made / "0001_first.sql").write_text(
        "create table first (id int); insert into first values (1)"
    )
    (made / "0002_second.sql").write_text("create table second (id int)")
    (made / "notes.txt").write_text("not a migration")
    return made


async def tables(store: Store) -> set[str]:
    """Names of all tables."""
    async with store.read() as c:
        rows = await c.fetch("select tablename from pg_tables where schemaname = 'public'")
        return {row["tablename"] for row in rows}


async def test_the_products_own_migrations_apply_once(empty: Store) -> None:
    """A second time there is nothing to do."""
    applied = await migrate(empty)
    assert applied[0] == "0001_foundation"
    assert await migrate(empty) == []
    assert "task" in await tables(empty)


async def test_each_is_applied_in_order_and_later_ones_later(empty: Store, folder: Path) -> None:
    """An upgrade applies only what is new."""
    assert await migrate(empty, folder) == ["0001_first", "0002_second"]
    (folder / "0003_third.sql").write_text("create table third (id int)")
    assert await migrate(empty, folder) == ["0003_third"]
    assert await tables(empty) == {"migration", "first", "second", "third"}


async def test_two_at_once_share_the_work(
    empty: Store, folder: Path, empty_database_url: str
) -> None:
    """Several processes of one deployment start together: each migration is applied once."""
    (folder / "0001_first.sql").write_text("create table first (id int); select pg_sleep(0.2)")
    settings = StoreSettings(folder, empty_database_url, lock_timeout_s=0.05)
    async with Store.open(settings) as two, Store.open(settings) as three:
        shares = await asyncio.gather(*(migrate(store, folder) for store in (empty, two, three)))
    assert sorted(name for share in shares for name in share) == ["0001_first", "0002_second"]


async def test_an_edited_migration_is_refused(empty: Store, folder: Path) -> None:
    """Its tables would not be what the file says."""
    await migrate(empty, folder)
    (folder / "0002_second.sql").write_text("create table second (id bigint)")
    with pytest.raises(MigrationError, match="0002_second"):
        await migrate(empty, folder)


async def test_a_newer_database_is_refused(empty: Store, folder: Path) -> None:
    """An old version does not know what it would break."""
    await migrate(empty, folder)
    (folder / "0002_second.sql").unlink()
    with pytest.raises(MigrationError, match=r"0002_second.*does not know"):
        await migrate(empty, folder)


async def test_a_failed_migration_leaves_nothing_of_itself(empty: Store, folder: Path) -> None:
    """Those before it stay."""
    (folder / "0002_second.sql").write_text("create table second (id int); select 1 / 0")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty, folder)
    assert await tables(empty) == {"migration", "first"}


async def test_a_migration_may_not_end_its_transaction(empty: Store, folder: Path) -> None:
    """Half of it could stay behind."""
    (folder / "0002_second.sql").write_text("create table second (id int); commit")
    with pytest.raises(MigrationError, match="ends its transaction"):
        await migrate(empty, folder)


@pytest.mark.parametrize("name", ["0002_twin.sql", "0004_gap.sql", "3_short.sql", "0000_zero.sql"])
def test_numbers_have_no_gap_and_no_twin(folder: Path, name: str) -> None:
    """So that two branches with the same number are seen when they meet."""
    (folder / name).write_text("select 1")
    with pytest.raises(MigrationError):
        load(folder)
