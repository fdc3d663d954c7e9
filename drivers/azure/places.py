"""A place is a host: a region or one of its zones, with what is left of the quota as its size.

Azure counts a quota for a region, and deallocated VMs in it still. What others use is taken off,
and what is left is shared out among the places of a region, so that their sum is never too much.
"""

from collections import Counter
from collections.abc import Iterable

from drivers.azure.sizes import CORES, Count, OfferedSizes, Sizes, VmSize
from drivers.azure.vm_parser import Record, place_of, region_of
from drivers.contract import HostLink, Nic
from drivers.facts import DatastoreFacts, HostFacts, PowerState, Sighting
from drivers.faults import Rejected

DISKS_BYTES = 2**50
"""What a place's managed disks may hold; Azure names no limit that we could meet."""
HYPERVISOR = "azurecompute-arm"


def place_at(link: HostLink) -> OfferedSizes:
    """The address is REGION or REGION/ZONE."""
    region, _, zone = (link.address or link.name).partition("/")
    return OfferedSizes(region_of(region), zone.strip())


class AzurePlaces:
    """The hosts that are known, by where they are."""

    def __init__(self, links: Iterable[HostLink]) -> None:
        self.links = list(links)
        self._names = {place_at(link): link.name for link in self.links}

    def host_of(self, record: Record) -> str | None:
        """The host a VM is on: its zone, else its region; None when that is none of ours."""
        region, zone = place_of(record)
        return self._names.get(OfferedSizes(region, zone)) or self._names.get(OfferedSizes(region))

    def regions(self) -> list[str]:
        """All regions, each once."""
        return sorted({place.region for place in self._names})

    def in_region(self, region: str) -> list[str]:
        """The hosts in a region, in order."""
        return sorted(name for place, name in self._names.items() if place.region == region)


async def hosts_of(
    places: AzurePlaces, sizes: Sizes, vms: Iterable[Sighting]
) -> tuple[HostFacts, ...]:
    """Each place as a host, beside the VMs that were seen there."""
    listed = list(vms)
    cpus: dict[str, int] = {}
    for region in places.regions():
        quota = (await sizes.quota(region)).get(CORES)
        cpus |= shared_out(quota, places.in_region(region), listed)
    offered = {link.name: await sizes.allowed(place_at(link)) for link in places.links}
    return tuple(_host(link, cpus[link.name], offered[link.name]) for link in places.links)


def shared_out(quota: Count | None, hosts: list[str], vms: Iterable[Sighting]) -> dict[str, int]:
    """By host of one region: the vCPUs of VMs there that the gateway counts, and its share of
    what is left. Azure's count lags behind; what we see ourselves is no less than true."""
    if quota is None:
        return dict.fromkeys(hosts, 0)
    ours: Counter[str] = Counter()
    counted: Counter[str] = Counter()
    for vm in vms:
        if vm.host in hosts:
            ours[vm.host] += vm.cpu
            if vm.task is not None or vm.state is not PowerState.OFF:
                counted[vm.host] += vm.cpu
    left = max(0, quota.limit - max(quota.used, ours.total()))
    share, more = divmod(left, len(hosts))
    return {host: counted[host] + share + (number < more) for number, host in enumerate(hosts)}


def _host(link: HostLink, cpus: int, sizes: list[VmSize]) -> HostFacts:
    per_core = max((size.figures.ram_mib // max(1, size.figures.cpu) for size in sizes), default=0)
    place = place_at(link)
    return HostFacts(
        name=link.name,
        cpus=cpus,
        memory_mib=cpus * per_core,
        hypervisor=HYPERVISOR,
        version=f"{place.region}/{place.zone}".rstrip("/"),
        datastores=tuple(_disks(name) for name in link.datastores),
        accepting=bool(sizes),
    )


def _disks(name: str) -> DatastoreFacts:
    return DatastoreFacts(name, "managed disks", DISKS_BYTES, DISKS_BYTES)


def network_of(link: HostLink, nics: Iterable[Nic]) -> tuple[Nic, str]:
    """The first interface that the place has a network for, and the subnet, or the interface that
    is there, for it; raises Rejected."""
    for nic in nics:
        if link.networks.get(nic.network):
            return nic, link.networks[nic.network]
    raise Rejected(f"{link.name} has no subnet for the VM's network", host=link.name)
