"""What one host shows of VMs; everything here only reads."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import libvirt

from drivers.contract import HostLink
from drivers.facts import Facts, HostFacts, PowerState, Sighting
from drivers.kvm import domain_xml, volumes
from drivers.kvm.options import KvmOptions

_STATES = {
    libvirt.VIR_DOMAIN_RUNNING: PowerState.ON,
    libvirt.VIR_DOMAIN_BLOCKED: PowerState.ON,
    libvirt.VIR_DOMAIN_PAUSED: PowerState.PAUSED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: PowerState.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: PowerState.ON,  # shutting down: not off before it is
    libvirt.VIR_DOMAIN_SHUTOFF: PowerState.OFF,
    libvirt.VIR_DOMAIN_CRASHED: PowerState.OFF,
}


def find(connection: Any, vm: UUID) -> Any:
    """The domain, or None when the host positively has none."""
    try:
        return connection.lookupByUUIDString(str(vm))
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise


def sighting(
    domain: Any, host: str, pools: Mapping[PurePosixPath, str] | None = None
) -> Sighting | None:
    """One domain; None when it went while we looked. `pools` are datastores by their folders."""
    try:
        state, reason = domain.state(0)
        _, memory_kib, _, cpus, _ = domain.info()
        xml = domain.XMLDesc(0)
        lasting = bool(domain.isPersistent())
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise
    moving = state == libvirt.VIR_DOMAIN_PAUSED and reason == libvirt.VIR_DOMAIN_PAUSED_MIGRATION
    disks = [PurePosixPath(path) for path in domain_xml.disks_of(xml)]
    power = PowerState.ON if moving else _STATES.get(state, PowerState.UNKNOWN)
    return Sighting(
        vm=UUID(domain.UUIDString()),
        host=host,
        state=power,
        name=domain.name(),
        cpu=int(cpus),
        ram_mib=int(memory_kib) // 1024,
        task=domain_xml.task_of(xml),
        # Only the half-made copy on a target is both paused by a move and not yet persistent.
        arriving=moving and not lasting,
        volumes=tuple(path.name for path in disks),
        datastores=tuple(pools[path.parent] for path in disks if pools and path.parent in pools),
    )


def look(connection: Any, vm: UUID, host: str) -> Sighting | None:
    """The VM on this host; None only when it was positively seen not to be there."""
    domain = find(connection, vm)
    return sighting(domain, host) if domain is not None else None


def moving(connection: Any, vm: UUID) -> bool:
    """Whether a job such as a move runs on the VM here."""
    domain = find(connection, vm)
    if domain is None:
        return False
    try:
        state, reason = domain.state(0)
        leaving = (state, reason) == (
            libvirt.VIR_DOMAIN_PAUSED,
            libvirt.VIR_DOMAIN_PAUSED_MIGRATION,
        )
        return leaving or bool(domain.jobInfo()[0] != libvirt.VIR_DOMAIN_JOB_NONE)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_OPERATION_UNSUPPORTED:
            return True  # it arrives here: libvirt has its numbers at the source only
        if error.get_error_code() in (
            libvirt.VIR_ERR_NO_DOMAIN,
            libvirt.VIR_ERR_OPERATION_INVALID,
        ):
            return False
        raise


def percent(connection: Any, vm: UUID) -> int | None:
    """How much of a running move is done; None while the host does not say."""
    domain = find(connection, vm)
    if domain is None:
        return None
    try:
        stats = domain.jobStats()
    except libvirt.libvirtError:
        return None
    total = stats.get("memory_total", 0) + stats.get("disk_total", 0)
    done = stats.get("memory_processed", 0) + stats.get("disk_processed", 0)
    return min(100, round(100 * done / total)) if total else None


def survey(connection: Any, link: HostLink, options: KvmOptions) -> Facts:
    """The host, its datastores and all its VMs."""
    taken_at = datetime.now(UTC)
    details = connection.getInfo()
    version = connection.getVersion()
    stores = [volumes.datastore(connection, name) for name in link.datastores]
    facts = HostFacts(
        name=link.name,
        cpus=options.cpus or int(details[2]),
        memory_mib=max(1, _memory_mib(connection, details, options) - options.reserved_mib),
        hypervisor=connection.getType(),
        version=f"{version // 1_000_000}.{version // 1000 % 1000}.{version % 1000}",
        datastores=tuple(store for store in stores if store is not None),
    )
    pools = {PurePosixPath(store.path): store.name for store in facts.datastores if store.path}
    seen = [sighting(domain, link.name, pools) for domain in connection.listAllDomains()]
    return Facts(link.name, taken_at, (facts,), tuple(one for one in seen if one is not None))


def _memory_mib(connection: Any, details: Any, options: KvmOptions) -> int:
    """All of the host's memory: its statistics know of memory that was added later."""
    if options.memory_mib:
        return options.memory_mib
    try:
        stats = connection.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS)
        return int(stats["total"]) // 1024
    except (libvirt.libvirtError, KeyError):
        return int(details[1])
