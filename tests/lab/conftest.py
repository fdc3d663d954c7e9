"""A vCenter, an ARM simulator and somebody at each, for the tests of the rig itself."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.lab.administrator import Administrator
from tests.lab.azure import recordings
from tests.lab.azure.client import Client
from tests.lab.azure.simulator import GROUP, Simulator
from tests.lab.vcenter import VCenter, vcenter


@pytest.fixture
def vc(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[VCenter]:
    """One in the shape that the test names, or as they come."""
    with vcenter(tmp_path / "vcenter", getattr(request, "param", None)) as running:
        yield running


@pytest.fixture
def admin(vc: VCenter) -> Iterator[Administrator]:
    """Logged in there."""
    somebody = Administrator(vc)
    yield somebody
    somebody.close()


@pytest.fixture
def recorded() -> Callable[[tuple[str, str]], tuple[recordings.Exchange, ...]]:
    """Gives a recording by its name in `recordings`."""

    def give(name: tuple[str, str]) -> tuple[recordings.Exchange, ...]:
        try:
            return recordings.exchanges(*name)
        except recordings.RecordingError as error:
            pytest.skip(str(error))

    return give


@pytest.fixture
async def arm() -> AsyncIterator[Simulator]:
    """An ARM simulator."""
    async with Simulator.start() as running:
        yield running


@pytest.fixture
async def client(arm: Simulator) -> AsyncIterator[Client]:
    """Somebody there."""
    async with Client.of(arm, arm.subscription, GROUP) as somebody:
        yield somebody
