"""The drivers know the hosts in the record: those that come, change and go, from any process."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress

from drivers.addresses import AddressError
from drivers.contract import Driver, HostLink
from drivers.faults import said_of
from gateway.store import places
from gateway.store.db.pool import Store, StoreError

_log = logging.getLogger(__name__)
EACH_S = 5.0


class Attaching:
    """Keeps drivers in step with the record; other processes' changes are seen within `EACH_S`."""

    def __init__(self, store: Store, drivers: Mapping[str, Driver]) -> None:
        self._store = store
        self._drivers = drivers
        self._known: dict[tuple[str, str], HostLink] = {}
        self.refused: dict[str, dict[str, str]] = {name: {} for name in drivers}
        """By block: the hosts that its driver did not take, and why."""

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
                self._attach(hypervisor, link)
        for hypervisor, refused in self.refused.items():
            for name in [name for name in refused if (hypervisor, name) not in found]:
                del refused[name]
        for hypervisor, name in self._known.keys() - found.keys():
            self._detach(hypervisor, name)

    def _attach(self, hypervisor: str, link: HostLink) -> None:
        """What the driver raises is this host's trouble: it is not used, and asked again later."""
        refused = self.refused[hypervisor]
        try:
            self._drivers[hypervisor].attach(link)
        except Exception as trouble:
            said = f"the host cannot be used: {said_of(trouble)}"
            if refused.get(link.name) != said:
                unforeseen = None if isinstance(trouble, AddressError) else trouble
                _log.error("host %s of %s: %s", link.name, hypervisor, said, exc_info=unforeseen)
            refused[link.name] = said
            self._detach(hypervisor, link.name)  # nor at the address that it had before
        else:
            refused.pop(link.name, None)
            self._known[hypervisor, link.name] = link

    def _detach(self, hypervisor: str, name: str) -> None:
        self._known.pop((hypervisor, name), None)
        try:
            self._drivers[hypervisor].detach(name)
        except Exception:
            _log.exception("host %s of %s was not let go", name, hypervisor)

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
