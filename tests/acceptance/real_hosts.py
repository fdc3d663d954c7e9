"""The rig of real hosts, and gateways over it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.gateway import PASSWORD, Place
from tests.lab import configuration
from tests.lab.configuration import QUICK, Times
from tests.lab.hosts import Lab, missing


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two real hosts, for all tests of a module."""
    if missing():
        pytest.skip(missing())
    with Lab(tmp_path_factory.mktemp("lab"), 2) as up:
        yield up


def on_lab(lab: Lab, home: Path, database_url: str, times: Times = QUICK) -> Place:
    """A configuration over the lab's hosts."""
    config = home / "kvm.toml"
    configuration.write(config, lab, home, times)
    environ = {**os.environ, "DATABASE_URL": database_url}
    environ |= {"VMGATE_ADMIN_PASSWORD": PASSWORD, "VMGATE_GUEST_PASSWORD": PASSWORD}
    return Place(home, config, environ)
