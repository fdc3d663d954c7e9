"""Processes that place VMs divide the hosts: each tries its own share first.

The shares are advice, not locks: while two processes disagree about who is there, their claims
may meet on a host, and the ledger decides as ever.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress

from gateway.store.capacity import schedulers
from gateway.store.db.pool import Store, StoreError
from scheduler.model.host_partition import HostPartition

_log = logging.getLogger(__name__)


class PartitionKeeper:
    """Runs until cancelled; tells `changed` of the share whenever the processes change."""

    def __init__(
        self,
        store: Store,
        name: str,
        lease_s: float,
        changed: Callable[[HostPartition | None], None],
    ) -> None:
        self._store = store
        # Shares are numbered by name: who comes last must not move the numbers of the others.
        self._name = f"{time.time_ns():020d} {name}"
        self._lease_s = lease_s
        self._changed = changed

    async def run(self) -> None:
        """Renew three times a lease; leave at the end, so that others take the hosts at once."""
        try:
            while True:
                await self.renew()
                await asyncio.sleep(self._lease_s / 3)
        finally:
            with suppress(StoreError, TimeoutError):
                async with asyncio.timeout(1), self._store.transaction() as c:
                    await schedulers.leave(c, self._name)

    async def renew(self) -> None:
        """Say that we are here, and see who else is."""
        try:
            async with self._store.transaction() as c:
                names = await schedulers.stay(c, self._name, self._lease_s)
        except StoreError as away:
            _log.warning("shares wait for the store: %s", away)
            return
        shared = len(names) > 1 and self._name in names
        self._changed(HostPartition(names.index(self._name), len(names)) if shared else None)
