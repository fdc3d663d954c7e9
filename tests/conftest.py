"""Makes the PostgreSQL fixtures known to every test; they start a server only where named.

Under CI=true a test that skips has failed: what runs there must be able to run everything. Long
tests begin first.
"""

import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

from tests import memory, sampling
from tests.postgres import (  # noqa: F401
    database_url,
    empty_database_url,
    migrated_servers,
    postgres_server,
    postgres_source,
    store,
    store_settings,
)

# How quick a computer is says nothing of what the product promises.
settings.register_profile(
    "vmgate", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("vmgate")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`make campaign` leaves nothing out."""
    parser.addoption(
        sampling.OPTION, action="store_true", help="take every crash point and every round"
    )


def pytest_configure(config: pytest.Config) -> None:
    """One folder in memory a run: xdist's workers are started later and inherit its name."""
    if not hasattr(config, "workerinput"):
        memory.begin()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Nothing of it stays; by now the workers have ended."""
    if not hasattr(config, "workerinput"):
        memory.end()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first: what begins last is what all but one worker wait for."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skip fails where nothing may be skipped."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr}"
    return report
