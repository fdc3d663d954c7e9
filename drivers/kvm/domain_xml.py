"""A VM's definition: written with our marker from the first moment on, and read back."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from uuid import UUID

from drivers.contract import Nic, VmSpec
from drivers.kvm.options import KvmOptions

NAMESPACE = "urn:vmgate:vm:1"
USER_NETWORK = "user"
"""The host's name for a network that needs nothing of the host: QEMU's own NAT."""

ET.register_namespace("vmgate", NAMESPACE)


@dataclass(frozen=True, slots=True)
class HostSetting:
    """What a definition needs of its host: the disk's path, and its networks by tag."""

    disk_path: str
    networks: Mapping[str, str]


def define(spec: VmSpec, task: UUID, at: HostSetting, options: KvmOptions) -> str:
    """The definition; the uuid is the VM's own, so a second define is the same VM."""
    root = ET.Element("domain", type=options.domain)
    _leaf(root, "name", spec.name)
    _leaf(root, "uuid", str(spec.vm))
    marker = ET.SubElement(ET.SubElement(root, "metadata"), f"{{{NAMESPACE}}}vm")
    _leaf(marker, f"{{{NAMESPACE}}}task", str(task))
    _leaf(root, "memory", str(spec.ram_mib), unit="MiB")
    _leaf(root, "vcpu", str(spec.cpu))
    system = ET.SubElement(root, "os")
    _leaf(system, "type", "hvm", arch="x86_64", machine=options.chipset)
    ET.SubElement(system, "boot", dev="hd")
    ET.SubElement(ET.SubElement(root, "features"), "acpi")
    for name, what in (("poweroff", "destroy"), ("reboot", "restart"), ("crash", "destroy")):
        _leaf(root, f"on_{name}", what)
    devices = ET.SubElement(root, "devices")
    _disk(devices, at.disk_path, options)
    for nic in spec.nics:
        _nic(devices, nic, at.networks, options)
    _serial(devices, spec.vm, options)
    ET.SubElement(devices, "memballoon", model="none")
    return ET.tostring(root, encoding="unicode")


def task_of(xml: str) -> UUID | None:
    """The task in our marker; None for what is not ours."""
    found = ET.fromstring(xml).findtext(f"metadata/{{{NAMESPACE}}}vm/{{{NAMESPACE}}}task")
    try:
        return UUID(found) if found else None
    except ValueError:
        return None


def volume_of(vm: UUID, path: str) -> bool:
    """Whether a path is named as a disk that vmgate made for the VM, `{vm}-{task}`."""
    owner, name = f"{vm}-", PurePosixPath(path).name
    try:
        return name.startswith(owner) and str(UUID(name[len(owner) :])) == name[len(owner) :]
    except ValueError:
        return False


def disks_of(xml: str) -> tuple[str, ...]:
    """The paths of its disks."""
    sources = ET.fromstring(xml).findall("devices/disk/source")
    return tuple(path for path in (source.get("file") for source in sources) if path)


def _leaf(parent: ET.Element, name: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, name, attributes).text = text


def _disk(devices: ET.Element, path: str, options: KvmOptions) -> None:
    disk = ET.SubElement(devices, "disk", type="file", device="disk")
    ET.SubElement(disk, "driver", name="qemu", type="qcow2", cache="none")
    ET.SubElement(disk, "source", file=path)
    name = {"virtio": "vda", "ide": "hda"}.get(options.disk_bus, "sda")
    ET.SubElement(disk, "target", dev=name, bus=options.disk_bus)


def _nic(devices: ET.Element, nic: Nic, networks: Mapping[str, str], options: KvmOptions) -> None:
    """Attached where the host maps the network; a host that does not map it is no candidate."""
    bridge = networks.get(nic.network)
    if not bridge:
        return
    user = bridge == USER_NETWORK
    interface = ET.SubElement(devices, "interface", type="user" if user else "bridge")
    ET.SubElement(interface, "mac", address=nic.mac)
    if not user:
        ET.SubElement(interface, "source", bridge=bridge)
    ET.SubElement(interface, "model", type=options.nic_model)


def _serial(devices: ET.Element, vm: UUID, options: KvmOptions) -> None:
    kind = "file" if options.serial_log_dir else "pty"
    serial = ET.SubElement(devices, "serial", type=kind)
    if options.serial_log_dir:
        path = f"{options.serial_log_dir}/{vm}.log"
        ET.SubElement(serial, "source", path=path, append="on")
    ET.SubElement(serial, "target", port="0")
