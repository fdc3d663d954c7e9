"""A move between two hosts: the source's libvirtd sends the VM to the target's, peer to peer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import libvirt

from drivers.contract import Relocate
from drivers.faults import Rejected
from drivers.kvm import acts, domain_xml, volumes
from drivers.kvm.domain_xml import Ground
from drivers.kvm.options import KvmOptions

_ALWAYS = (
    libvirt.VIR_MIGRATE_PEER2PEER
    | libvirt.VIR_MIGRATE_PERSIST_DEST
    | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a move goes: the address of its libvirtd, and the VM's ground there."""

    address: str
    ground: Ground


def same_disk(order: Relocate) -> bool:
    """Whether both hosts see the VM's disk, so that it stays where it is."""
    return order.volume == order.spec.disk.volume


def ground(connection: Any, order: Relocate, check: Callable[[], None]) -> str:
    """The disk's path at the target; an overlay for the copy is made there where needed."""
    if same_disk(order):
        with volumes.refreshed(connection, order.target.datastore) as pool:
            volume = volumes.find(pool, order.volume)
            if volume is None:
                raise Rejected(f"{order.target.host} does not see the VM's disk")
            return str(volume.path())
    return volumes.clone(connection, order.target.datastore, order.spec.disk, check)


def move(
    connection: Any, order: Relocate, to: Target, options: KvmOptions, check: Callable[[], None]
) -> None:
    """Move it, live when it runs; blocks to the end. Called on the source."""
    domain = acts.found(connection, order.spec.vm, order.source.host)
    running = bool(domain.isActive())
    if not running and not same_disk(order):
        raise Rejected(
            "a VM that is off moves between hosts that share its datastore only; start it first",
            host=order.source.host,
        )
    flags = _ALWAYS | (libvirt.VIR_MIGRATE_LIVE if running else libvirt.VIR_MIGRATE_OFFLINE)
    if running:
        # libvirt takes only network file systems for shared; ours are declared to be.
        flags |= (
            libvirt.VIR_MIGRATE_UNSAFE if same_disk(order) else libvirt.VIR_MIGRATE_NON_SHARED_INC
        )
    check()
    domain.migrateToURI3(to.address, _parameters(domain, order, to, options), flags)


def _parameters(domain: Any, order: Relocate, to: Target, options: KvmOptions) -> dict[str, Any]:
    now = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_MIGRATABLE | libvirt.VIR_DOMAIN_XML_SECURE)
    found: dict[str, Any] = {
        libvirt.VIR_MIGRATE_PARAM_DEST_XML: domain_xml.moved(now, order.spec, to.ground),
    }
    lasting = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)
    found[libvirt.VIR_MIGRATE_PARAM_PERSIST_XML] = domain_xml.moved(lasting, order.spec, to.ground)
    host = urlsplit(to.address).hostname
    if host:
        named = f"[{host}]" if ":" in host else host  # an IPv6 address wants its brackets
        found[libvirt.VIR_MIGRATE_PARAM_URI] = f"tcp://{named}"
    if options.bandwidth_mib_s:
        found[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH] = options.bandwidth_mib_s
    return found
