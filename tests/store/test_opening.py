"""Opening a store waits for its server where waiting can help."""

import asyncio
import dataclasses
from pathlib import Path

import pytest

from gateway.store.db.pool import Store, StoreSettings, StoreUnavailable
from tests.postgres import named
from tests.store.conftest import MakeSupervisor


async def test_the_store_waits_for_a_server_that_starts_later(
    make_supervisor: MakeSupervisor, tmp_path: Path
) -> None:
    """As when a computer brings up both at once."""
    supervisor = make_supervisor()
    url = supervisor.start()
    supervisor.stop()

    async def use() -> int:
        settings = StoreSettings(home=tmp_path, database_url=url, acquire_timeout_s=0.05)
        async with Store.open(settings) as store, store.read() as c:
            return int(await c.fetchval("select 1"))

    using = asyncio.create_task(use())
    done, _ = await asyncio.wait([using], timeout=0.5)
    assert not done
    await asyncio.to_thread(supervisor.start)
    assert await using == 1


async def test_a_server_that_never_comes_is_unavailable(tmp_path: Path) -> None:
    """After the patience asked for, not after the operator's."""
    url = f"postgresql://app@/postgres?host={tmp_path}"
    settings = StoreSettings(home=tmp_path, database_url=url, open_timeout_s=0.2)
    settings = dataclasses.replace(settings, acquire_timeout_s=0.1)
    with pytest.raises(StoreUnavailable):
        async with Store.open(settings):
            pass


async def test_a_wrong_name_is_told_at_once(postgres_server: str, tmp_path: Path) -> None:
    """Waiting would not help."""
    settings = StoreSettings(home=tmp_path, database_url=named(postgres_server, "absent"))
    with pytest.raises(StoreUnavailable, match="absent"):
        async with asyncio.timeout(10), Store.open(settings):
            pass
