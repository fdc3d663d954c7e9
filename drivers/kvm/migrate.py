"""A move between two hosts: the source's libvirtd sends the VM to the target's, peer to peer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import libvirt

from drivers.contract import Relocate
from drivers.faults import Rejected
from drivers.kvm import definition_rewrite, operations, queries, volumes
from drivers.kvm.domain_xml import HostSetting
from drivers.kvm.options import KvmOptions

_ALWAYS = (
    libvirt.VIR_MIGRATE_PEER2PEER
    | libvirt.VIR_MIGRATE_PERSIST_DEST
    | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a move goes: the address of its libvirtd, and the VM's ground there; `own` is the path
    of the disk at the source."""

    address: str
    ground: HostSetting
    own: str


def same_disk(order: Relocate) -> bool:
    """Whether both hosts see the VM's disk, so that it stays where it is."""
    return order.volume == order.spec.disk.volume


def own_path(connection: Any, order: Relocate) -> str:
    """The disk's path at the source."""
    volume = volumes.located(connection, order.source.datastore, order.volume)
    if volume is None:
        raise Rejected(f"{order.source.host} does not see the VM's disk", host=order.source.host)
    return str(volume.path())


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
) -> str:
    """Move it, live when it runs; blocks to the end. Called on the source. The definition that is
    to be kept at the target, with its secrets."""
    domain = operations.found(connection, order.spec.vm, order.source.host)
    running = bool(domain.isActive())
    flags = _ALWAYS | (libvirt.VIR_MIGRATE_LIVE if running else libvirt.VIR_MIGRATE_OFFLINE)
    if running:
        # libvirt takes only network file systems for shared; ours are declared to be.
        flags |= (
            libvirt.VIR_MIGRATE_UNSAFE if same_disk(order) else libvirt.VIR_MIGRATE_NON_SHARED_INC
        )
    parameters = _parameters(domain, order, to, options)
    check()
    domain.migrateToURI3(to.address, parameters, flags)
    return str(parameters[libvirt.VIR_MIGRATE_PARAM_PERSIST_XML])


def abort(connection: Any, vm: UUID, check: Callable[[], None]) -> bool:
    """End the job that runs on the VM at the source; whether there was one."""
    domain = queries.find(connection, vm)
    if domain is None or not queries.moving(connection, vm):
        return False
    check()
    try:
        domain.abortJob()
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID:
            raise  # else it has just ended, or is past ending
    return True


def _parameters(domain: Any, order: Relocate, to: Target, options: KvmOptions) -> dict[str, Any]:
    found: dict[str, Any] = {}
    # The migratable form leaves out devices that old hosts do not know: for what runs alone.
    runs = bool(domain.isActive())
    lasting = libvirt.VIR_DOMAIN_XML_INACTIVE
    for name, flags in (
        (
            libvirt.VIR_MIGRATE_PARAM_DEST_XML,
            libvirt.VIR_DOMAIN_XML_MIGRATABLE if runs else lasting,
        ),
        (libvirt.VIR_MIGRATE_PARAM_PERSIST_XML, lasting),
    ):
        # Without its secrets a definition would lose them: the console's password, say.
        before = domain.XMLDesc(flags | libvirt.VIR_DOMAIN_XML_SECURE)
        after = definition_rewrite.moved(before, order.spec, to.ground, to.own)
        macs = [nic.mac for nic in order.spec.nics]
        definition_rewrite.require_kept(before, after, (to.own, to.ground.disk_path), macs)
        found[name] = after
    if runs and not same_disk(order):
        # What others have attached is where both hosts see it: only our own disk is copied.
        found[libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS] = [
            definition_rewrite.own_device(
                found[libvirt.VIR_MIGRATE_PARAM_DEST_XML], to.ground.disk_path
            )
        ]
    host = urlsplit(to.address).hostname
    if host:
        named = f"[{host}]" if ":" in host else host  # an IPv6 address wants its brackets
        found[libvirt.VIR_MIGRATE_PARAM_URI] = f"tcp://{named}"
    if options.bandwidth_mib_s:
        found[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH] = options.bandwidth_mib_s
    return found
