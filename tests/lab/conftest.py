"""A vCenter of the rig and an administrator, for the tests of the rig itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.administrator import Administrator
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
