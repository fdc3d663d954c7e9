"""A driver as observers use it: whatever it raises about one host is that host's silence.

An exception that no driver should raise (ValueError, KeyError, RuntimeError) shows nothing of the
host, exactly as no answer does; so it is told as a Fault, and logged the first time and at each
doubling.
"""

import logging
from collections.abc import AsyncIterator, Mapping
from typing import Protocol
from uuid import UUID

from drivers.changes import StateChange
from drivers.facts import Facts, Sighting
from drivers.faults import Fault, Unreachable, said_of

_log = logging.getLogger(__name__)


class GuardedDriver(Protocol):
    """The part of a driver that looks; see `drivers.contract.Driver`."""

    def endpoints(self) -> Mapping[str, tuple[str, ...]]: ...
    async def survey(self, endpoint: str) -> Facts: ...
    async def look(self, vm: UUID, host: str) -> Sighting | None: ...
    def changes(self) -> AsyncIterator[StateChange]: ...


class Guarded:
    """Raises nothing but Fault, except from the stream of changes.

    `refused` names hosts that the driver did not take, each with the reason: they are endpoints
    of their own that never answer. It may change at any time.
    """

    def __init__(self, driver: GuardedDriver, refused: Mapping[str, str] | None = None) -> None:
        self._driver = driver
        self._refused: Mapping[str, str] = {} if refused is None else refused
        self._last: Mapping[str, tuple[str, ...]] = {}
        self._failures: dict[str, int] = {}

    @classmethod
    def of(cls, driver: GuardedDriver) -> "Guarded":
        """The driver, guarded if it is not yet."""
        return driver if isinstance(driver, cls) else cls(driver)

    def endpoints(self) -> Mapping[str, tuple[str, ...]]:
        """The driver's, as last known while it fails to say, and the refused hosts."""
        try:
            self._last = dict(self._driver.endpoints())
            self._failures.pop("its endpoints", None)
        except Exception as trouble:
            self._tell("its endpoints", trouble)
        return {**self._last, **{_endpoint(host): (host,) for host in self._refused}}

    async def survey(self, endpoint: str) -> Facts:
        """Raises Fault."""
        for host, reason in self._refused.items():
            if endpoint == _endpoint(host):
                raise Unreachable(reason, host=host)
        try:
            facts = await self._driver.survey(endpoint)
        except Fault:
            raise
        except Exception as trouble:
            self._tell(endpoint, trouble)
            raise Unreachable(said_of(trouble)) from trouble
        self._failures.pop(endpoint, None)
        return facts

    async def look(self, vm: UUID, host: str) -> Sighting | None:
        """Raises Fault."""
        if host in self._refused:
            raise Unreachable(self._refused[host], host=host)
        try:
            return await self._driver.look(vm, host)
        except Fault:
            raise
        except Exception as trouble:
            self._tell(host, trouble)
            raise Unreachable(said_of(trouble), host=host) from trouble

    def changes(self) -> AsyncIterator[StateChange]:
        """The driver's; it may raise anything, and its reader begins it anew."""
        return self._driver.changes()

    def _tell(self, about: str, trouble: Exception) -> None:
        count = self._failures[about] = self._failures.get(about, 0) + 1
        if count & (count - 1) == 0:
            _log.error(
                "looking at %s failed in an unforeseen way, %d times",
                about,
                count,
                exc_info=trouble,
            )


def _endpoint(host: str) -> str:
    """No driver calls an endpoint of its own so: hosts' and blocks' names hold no such mark."""
    return f"refused: {host}"
