"""What an administrator asks of a driver, without a service: `vmgate driver check NAME`."""

from collections.abc import Iterator

import cyclopts

from drivers.contract import Driver, HostLink
from drivers.facts import Diagnostic
from drivers.faults import said_of
from gateway.config import Config, ConfigError
from gateway.config.places import DatastoreEntry, HostEntry
from gateway.service.serve import open_drivers

WELL, UNWELL = 0, 1
driver = cyclopts.App(name="driver", help="Look at hypervisors as a driver does.")


async def check(config: Config, name: str) -> int:
    """Say what a block's driver finds at its hosts; 1 when something is not as it should be."""
    opened = open_drivers(config, name).get(name)
    if opened is None:
        known = ", ".join(config.hypervisor) or "none"
        raise ConfigError(f"there is no block hypervisor.{name} (there are: {known})")
    try:
        remarks = (*_attach(opened, config, name), *await opened.examine())
    finally:
        await opened.aclose()
    for each in remarks:
        print(f"{'fine ' if each.well else 'WRONG'} {each.about}: {each.said}")
    return WELL if all(each.well for each in remarks) else UNWELL


def _attach(opened: Driver, config: Config, name: str) -> list[Diagnostic]:
    """The hosts as the file has them, and those that the driver does not take; the record may
    know others by now."""
    refused = []
    for link in _links(config, name):
        try:
            opened.attach(link)
        except Exception as trouble:  # whatever it is, the others are looked at
            refused.append(Diagnostic(False, link.name, said_of(trouble)))
    return refused


def _links(config: Config, name: str) -> Iterator[HostLink]:
    for datacenter in config.datacenters:
        stores = {store.name: store for store in datacenter.datastores}
        for host in (host for rack in datacenter.racks for host in rack.hosts):
            if host.hypervisor == name:
                yield _link(host, stores)


def _link(host: HostEntry, stores: dict[str, DatastoreEntry]) -> HostLink:
    pools = tuple(stores[store].pool or store for store in host.datastores)
    return HostLink(host.name, host.address, host.networks, pools)
