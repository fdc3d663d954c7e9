"""The drivers know the hosts in the record: those that come, change and go, from any process."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress

from drivers.contract import Driver, HostLink
from gateway.store import places
from gateway.store.pool import Store, StoreError

_log = logging.getLogger(__name__)
EACH_S = 5.0


class Attaching:
    """Keeps drivers in step with the record; other processes' changes are seen within `EACH_S`."""

    def __init__(self, store: Store, drivers: Mapping[str, Driver]) -> None:
        self._store = store
        self._drivers = drivers
        self._known: dict[tuple[str, str], HostLink] = {}

    async def sync(self) -> None:
        """Attach and detach what differs now."""
        async with self._store.read() as c:
            rows = await places.links(c)
        found = {
            (row.hypervisor, row.name): HostLink(
                row.name, row.address, row.networks, row.pools, row.shared
            )
            for row in rows
            if row.hypervisor in self._drivers
        }
        for (hypervisor, name), link in found.items():
            if self._known.get((hypervisor, name)) != link:
                self._drivers[hypervisor].attach(link)
        for hypervisor, name in self._known.keys() - found.keys():
            self._drivers[hypervisor].detach(name)
        self._known = found

    async def host_changed(self, host_id: int) -> None:
        """A host came, changed or went; a store that is away now is asked again soon."""
        with suppress(StoreError):
            await self.sync()

    async def run(self) -> None:
        """Sync until cancelled."""
        while True:
            await asyncio.sleep(EACH_S)
            try:
                await self.sync()
            except StoreError as away:
                _log.warning("hosts were not read: %s", away)
