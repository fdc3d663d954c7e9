"""What an administrator asks of a driver, without a service: `vmgate driver check NAME`."""

import cyclopts

from drivers.contract import Driver, HostLink
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
    _attach(opened, config, name)
    try:
        remarks = await opened.examine()
    finally:
        await opened.aclose()
    for each in remarks:
        print(f"{'fine ' if each.well else 'WRONG'} {each.about}: {each.said}")
    return WELL if all(each.well for each in remarks) else UNWELL


def _attach(opened: Driver, config: Config, name: str) -> None:
    """The hosts as the file has them; the record may know others by now."""
    for datacenter in config.datacenters:
        stores = {store.name: store for store in datacenter.datastores}
        for host in (host for rack in datacenter.racks for host in rack.hosts):
            if host.hypervisor == name:
                opened.attach(_link(host, stores))


def _link(host: HostEntry, stores: dict[str, DatastoreEntry]) -> HostLink:
    pools = tuple(stores[store].pool or store for store in host.datastores)
    return HostLink(host.name, host.address, host.networks, pools)
