"""Addresses of hosts as the configured blocks read them, and whose they are in the record."""

import logging
from collections.abc import Mapping

from drivers.addresses import AddressError
from drivers.registry import address_reader
from gateway.config import Config, ConfigError
from gateway.store import host_addresses
from gateway.store.db.pool import Connection
from gateway.store.host_addresses import AddressRow

_log = logging.getLogger(__name__)
Key = tuple[str, str]
"""A host: its hypervisor block and its name."""


class Addresses:
    """Reads an address as the block's driver does, without the driver."""

    def __init__(self, config: Config) -> None:
        self._readers = {
            name: address_reader(block.kind, block.options)
            for name, block in config.hypervisor.items()
        }
        self.declared: Mapping[Key, str] = {
            (host.hypervisor, host.name): self.endpoint(host.hypervisor, host.address)
            for datacenter in config.datacenters
            for rack in datacenter.racks
            for host in rack.hosts
        }

    def endpoint(self, hypervisor: str, address: str) -> str:
        """The place that an address means; raises AddressError."""
        if hypervisor not in self._readers:
            raise AddressError(f"no block hypervisor.{hypervisor} is configured")
        return self._readers[hypervisor](address).endpoint

    async def settle(self, c: Connection) -> None:
        """Bring the record's endpoints up to date, before declared hosts are written.

        Raises ConfigError when a declared host has the address of a recorded one that is not
        declared. Recorded hosts that share an address, as earlier versions allowed, stay: they
        are warned of.
        """
        rows = await host_addresses.all_rows(c)
        owners: dict[str, Key] = {endpoint: key for key, endpoint in self.declared.items()}
        found: dict[int, str | None] = {}
        for row in rows:
            key = (row.hypervisor, row.name)
            endpoint = self.declared.get(key) or self._recorded(row)
            other = key if endpoint is None else owners.setdefault(endpoint, key)
            if other != key and other in self.declared:
                raise ConfigError(
                    f"{_named(other)} has the address of {_named(key)}, which is in the record: "
                    "an address belongs to one host of one block; delete that machine first, or "
                    "declare it under the name and block that it has"
                )
            if other != key:
                _log.warning("%s has the address of %s, too", _named(key), _named(other))
                endpoint = None
            if endpoint != row.endpoint:
                found[row.id] = endpoint
        await host_addresses.keep_endpoints(c, found)

    def _recorded(self, row: AddressRow) -> str | None:
        """What a recorded address means; of a block that is not configured, what it meant."""
        try:
            return self.endpoint(row.hypervisor, row.address)
        except AddressError:
            return None if row.hypervisor in self._readers else row.endpoint


def _named(key: Key) -> str:
    return f"host {key[1]} of hypervisor.{key[0]}"
