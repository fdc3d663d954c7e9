"""What one host shows of VMs; everything here only reads."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import libvirt

from drivers.facts import Sighting
from drivers.kvm import domain_xml, states


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
        stands = states.condition_of(domain)
        moving = states.is_moving(*domain.state(0))
        _, memory_kib, _, cpus, _ = domain.info()
        xml = domain.XMLDesc(0)
        lasting = bool(domain.isPersistent())
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise
    disks = [PurePosixPath(path) for path in domain_xml.disks_of(xml)]
    return Sighting(
        vm=UUID(domain.UUIDString()),
        host=host,
        state=stands.power,
        name=domain.name(),
        cpu=int(cpus),
        ram_mib=int(memory_kib) // 1024,
        task=domain_xml.task_of(xml),
        # Only the half-made copy on a target is both paused by a move and not yet persistent.
        arriving=moving and not lasting,
        volumes=tuple(path.name for path in disks),
        datastores=tuple(pools[path.parent] for path in disks if pools and path.parent in pools),
        reason=stands.reason,
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
        leaving = states.is_moving(*domain.state(0))
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
