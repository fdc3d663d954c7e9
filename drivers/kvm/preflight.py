"""What stands against a move, a resize or a removal, told before anything begins.

A definition is not only ours: what others put into it must come along unchanged or the order is
refused by name. Everything here only reads.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import libvirt

from drivers.contract import HostLink, Reconfigure, Relocate, Remove
from drivers.kvm import domain_xml, queries, volumes
from drivers.kvm.xml_edit import Text, XmlElement

_SECURE_LASTING = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
_TIED = {
    "hostdev": "a device of the host is passed through to it",
    "filesystem": "it has a folder of the host",
    "shmem": "it shares memory with other processes of the host",
}


@dataclass(frozen=True, slots=True)
class There:
    """The target of a move: the folders of its shared datastores by their names, and what stands
    against the move there."""

    link: HostLink
    folders: Mapping[str, str]
    told: tuple[str, ...] = ()


Sees = Callable[[str], bool]
"""Whether the target sees the file of that path as the same file."""


def target(connection: Any, order: Relocate, link: HostLink) -> There:
    """What the target is like."""
    found = volumes.datastore(connection, order.target.datastore)
    if found is None:
        return There(link, {}, (f"{link.name} has no storage pool {order.target.datastore}",))
    told = () if found.usable else (f"{link.name}: {found.reason}",)
    return There(link, _folders(connection, order, link), told)


def _folders(connection: Any, order: Relocate, link: HostLink) -> dict[str, str]:
    """The folders of the datastores that both hosts see, as one of them has them."""
    own = (order.source.datastore,) if order.source.shared else ()
    found = (volumes.datastore(connection, name) for name in {*link.shared, *own})
    return {store.name: str(PurePosixPath(store.path)) for store in found if store is not None}


def against_move(domain: Any, xml: str, vm: UUID, shared: Iterable[str]) -> tuple[str, ...]:
    """What stands against any move; `shared` are the folders that other hosts see too."""
    folders = frozenset(map(PurePosixPath, shared))

    def sees(path: str) -> bool:
        return PurePosixPath(path).parent in folders

    def own(path: str) -> bool:
        return domain_xml.volume_of(vm, path)

    return (*_kept_beside(domain), *_of_definition(xml, own, sees, running=bool(domain.isActive())))


def relocation(connection: Any, order: Relocate, link: HostLink, there: There) -> tuple[str, ...]:
    """What at the source, which is `link`, stands against this move."""
    domain = queries.find(connection, order.spec.vm)
    if domain is None:
        return there.told
    path, backing = _own_disk(connection, order)
    if not path:
        return (f"its disk {order.volume} is not in the datastore {order.source.datastore}",)
    running, takes_disk = bool(domain.isActive()), order.volume != order.spec.disk.volume
    kept = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    told = [*there.told, *_kept_beside(domain)]
    if takes_disk and not running:
        told.append(
            "a VM that is off moves between hosts that share its datastore only; start it first"
        )
    if takes_disk and not _only_on_template(Text(kept).root, path, backing, order):
        told.append(
            f"its disk is on {backing or 'no image'} instead of on the template"
            f" {order.spec.disk.template} alone, so only hosts that share its datastore can take it"
        )
    folders = _folders(connection, order, link).items() & there.folders.items()
    alike = {PurePosixPath(folder) for _, folder in folders}
    # What runs and what is kept for the next start may differ, and both go.
    for xml in dict.fromkeys((domain.XMLDesc(0), kept)):
        told += _of_definition(
            xml,
            lambda file: file == path,
            lambda file: PurePosixPath(file).parent in alike,
            running=running,
        )
        told += _of_interfaces(xml, order, there.link)
    return tuple(dict.fromkeys(told))


def reconfiguration(connection: Any, order: Reconfigure) -> tuple[str, ...]:
    """What stands against a resize."""
    domain = queries.find(connection, order.spec.vm)
    if domain is None:
        return ()
    told = []
    if domain.hasManagedSaveImage(0):
        told.append("its memory is saved in a file of the host: switch it ON and OFF first")
    root = Text(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)).root
    for path, what in (
        ("cpu/numa/cell", "NUMA cells of its own"),
        ("maxMemory", "slots for more memory"),
        ("devices/memory", "memory modules of its own"),
        ("vcpus/vcpu", "vCPUs that are set one by one"),
    ):
        if root.first(path) is not None:
            told.append(f"it has {what}, which a new size would contradict")
    return tuple(told)


def removal(connection: Any, order: Remove) -> tuple[str, ...]:
    """What stands against a removal."""
    state = volumes.datastore(connection, order.at.datastore)
    if state is None:
        return (f"{order.at.host} has no storage pool {order.at.datastore}",)
    if not state.usable:
        return (state.reason,)
    domain = queries.find(connection, order.vm)
    if domain is None or not order.volume:
        return ()
    own = str(PurePosixPath(state.path) / order.volume)
    return against_removal(
        domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE), lambda file: file == own
    )


def against_removal(xml: str, own: Callable[[str], bool]) -> tuple[str, ...]:
    """What a definition has against a removal: images that nobody would delete or know of."""
    disks = Text(xml).root.all("devices/disk")
    files = [
        disk.get("source", "file")
        for disk in disks
        if disk.attributes.get("device", "disk") == "disk" and disk.first("readonly") is None
    ]
    if any(map(own, files)) or not any(files):
        return ()
    named = ", ".join(file for file in files if file)
    return (
        f"it runs on {named} instead of on its own disk, as after an external snapshot:"
        " merge that into its own disk (`virsh blockcommit --base`) or detach it, so that nothing"
        " is left behind",
    )


def lasting(domain: Any) -> str:
    """The definition as it is kept, its secrets too: for redefining, never for a log."""
    return str(domain.XMLDesc(_SECURE_LASTING))


def _own_disk(connection: Any, order: Relocate) -> tuple[str, str]:
    """The paths of the VM's disk at the source and of the image below it; empty for none."""
    volume = volumes.located(connection, order.source.datastore, order.volume)
    return ("", "") if volume is None else (str(volume.path()), volumes.backing(volume))


def _only_on_template(root: XmlElement, own: str, backing: str, order: Relocate) -> bool:
    """Whether a copy on the target's template will do: nothing else is below the disk."""
    if PurePosixPath(backing).name != order.spec.disk.template:
        return False
    return not any(
        disk.get("backingStore/source", "file")
        for disk in root.all("devices/disk")
        if disk.get("source", "file") == own
    )


def _kept_beside(domain: Any) -> Iterator[str]:
    """What libvirt keeps of a domain beside its definition, and does not move."""
    if domain.hasManagedSaveImage(0):
        yield "its memory is saved in a file of the host: switch it ON first"
    if domain.state(0)[0] == libvirt.VIR_DOMAIN_PMSUSPENDED:
        yield "the guest is asleep (suspended to memory): wake it with ON first"
    snapshots = domain.snapshotNum(0)
    if snapshots:
        yield f"it has {snapshots} snapshots, which do not move: delete them first"
    checkpoints = _checkpoints(domain)
    if checkpoints:
        yield f"it has {checkpoints} checkpoints of a backup, which do not move: delete them first"


def _checkpoints(domain: Any) -> int:
    try:
        return len(domain.listAllCheckpoints(0))
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
            return 0
        raise


def _of_definition(xml: str, own: Callable[[str], bool], sees: Sees, *, running: bool) -> list[str]:
    root = Text(xml).root
    ours = [disk for disk in root.all("devices/disk") if own(disk.get("source", "file"))]
    ours = [disk for disk in ours if disk.attributes.get("device", "disk") == "disk"]
    told = []
    if len(ours) != 1:
        told.append(_no_disk_of_ours(root))
    for disk in root.all("devices/disk"):
        if disk not in ours:
            told += _of_disk(disk, sees)
    for name, said in _TIED.items():
        if root.first(f"devices/{name}") is not None:
            told.append(said)
    for tpm in root.all("devices/tpm"):
        if not running or tpm.get("backend", "type") != "emulator":
            told.append("the state of its TPM stays with the host")
    nvram = root.first("os/nvram")
    if nvram is not None and not running:
        told.append("the variables of its firmware (NVRAM) stay with the host: start it first")
    return told


def _no_disk_of_ours(root: XmlElement) -> str:
    files = [disk.get("source", "file") for disk in root.all("devices/disk")]
    named = ", ".join(file for file in files if file) or "no file"
    return (
        f"its disk is not the one that vmgate made: the definition has {named}; an external"
        " snapshot has to be merged into that disk first (`virsh blockcommit --base`)"
    )


def _of_disk(disk: XmlElement, sees: Sees) -> Iterator[str]:
    """A disk or drive that is not ours comes along only as the same thing at the same path."""
    source = disk.first("source")
    if source is None or not source.attributes:
        return  # an empty drive
    name, kind = disk.get("target", "dev"), disk.attributes.get("type")
    file = source.attributes.get("file", "")
    if kind == "network" or (kind == "file" and (not file or sees(file))):
        return
    where = file or next(iter(source.attributes.values()))
    device = disk.attributes.get("device", "disk")
    yield f"its {device} {name} has {where}, which only its host has: eject or detach it first"


def _of_interfaces(xml: str, order: Relocate, link: HostLink) -> Iterator[str]:
    """Ours go to the network of their tag there; others where the target has the same bridge."""
    ours = {nic.mac.lower(): nic.network for nic in order.spec.nics}
    for interface in Text(xml).root.all("devices/interface"):
        mac, kind = interface.get("mac", "address").lower(), interface.attributes.get("type", "")
        bridge = interface.get("source", "bridge")
        there = link.networks.get(ours.get(mac, "")) or ""
        wanted = {"": kind, domain_xml.USER_NETWORK: "user"}.get(there, "bridge")
        if kind == wanted == "user" or (
            kind == wanted == "bridge" and (there or bridge in link.networks.values())
        ):
            continue
        named = f"{kind} {bridge}".strip()
        yield f"its interface {mac} ({named}) has no counterpart on {order.target.host}"
