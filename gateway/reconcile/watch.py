"""The watch keeps one observer for each endpoint of one driver, and pokes it when told to."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from gateway.reconcile.backoff import Backoff
from gateway.reconcile.guarded import Guarded, GuardedDriver
from gateway.reconcile.observer import TURNS, ObservedEndpoint, Observer, SurveyIntervals
from gateway.store import observations
from gateway.store.db.pool import Store, StoreError

_log = logging.getLogger(__name__)
NEW_ENDPOINTS_EACH_S = 1.0
STREAM_PAUSE_MOST_S = 60.0


class ObserverSet:
    """Observes all endpoints of the driver called `hypervisor`, also those that come later."""

    def __init__(
        self,
        store: Store,
        hypervisor: str,
        driver: GuardedDriver,
        rounds: SurveyIntervals,
        owner: str,
    ) -> None:
        self._store = store
        self._hypervisor = hypervisor
        self._driver = Guarded.of(driver)
        self._rounds = rounds
        self._owner = owner
        self._observers: dict[str, tuple[Observer, asyncio.Task[None]]] = {}
        self.committed: Callable[[], None] = lambda: None
        self.turns = asyncio.Semaphore(TURNS)

    def observer(self, endpoint: str) -> Observer:
        """A new observer of one endpoint, not started."""
        at = ObservedEndpoint(self._hypervisor, endpoint, self._owner, self.turns)
        return Observer(self._store, self._driver, at, self._rounds, lambda: self.committed())

    def poke(self, endpoint: str) -> None:
        """Look at an endpoint soon."""
        found = self._observers.get(endpoint)
        if found is not None:
            found[0].poke()

    def poke_host(self, host: str) -> None:
        """Look at the endpoint that covers a host soon."""
        for endpoint, hosts in self._driver.endpoints().items():
            if host in hosts:
                self.poke(endpoint)

    async def run(self) -> None:
        """Observe until cancelled; then let other processes have the endpoints."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._hear())
                while True:
                    self._adjust(group)
                    await asyncio.sleep(NEW_ENDPOINTS_EACH_S)
        finally:
            with suppress(StoreError, TimeoutError):
                async with asyncio.timeout(1), self._store.transaction() as c:
                    await observations.let_go(c, self._owner)

    def _adjust(self, group: asyncio.TaskGroup) -> None:
        present = set(self._driver.endpoints())
        for gone in self._observers.keys() - present:
            self._observers.pop(gone)[1].cancel()
        for new in sorted(present - self._observers.keys()):
            observer = self.observer(new)
            self._observers[new] = (observer, group.create_task(self._kept(observer, new)))

    async def _kept(self, observer: Observer, endpoint: str) -> None:
        """A bug while observing one endpoint must not blind us to the others."""
        while True:
            try:
                await observer.run()
            except Exception:
                _log.exception("observing %s failed in an unforeseen way", endpoint)
                await asyncio.sleep(self._rounds.period_s)

    async def _hear(self) -> None:
        """State changes poke; what a driver loses, the next period makes up for."""
        row = Backoff(self._rounds.spacing_s, STREAM_PAUSE_MOST_S)
        while True:
            row.begin()
            trouble: Exception | None = None
            try:
                async for change in self._driver.changes():
                    self.poke(change.endpoint)
            except Exception as failed:
                trouble = failed
            if row.failed():
                said = f"changes of {self._hypervisor} ended, {row.failures} times in a row"
                _log.error("%s", said, exc_info=trouble)
            await asyncio.sleep(row.pause_s())
