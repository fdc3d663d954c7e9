"""A definition is rewritten only in what vmgate owns; all else of it belongs to others too.

Ours are the path of the system disk, the bridges of our interfaces, memory and vCPUs.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterable

from drivers.contract import VmSpec
from drivers.faults import Rejected
from drivers.kvm.domain_xml import USER_NETWORK, HostSetting
from drivers.kvm.xml_edit import Text, XmlElement

_SIZES = ("memory", "currentMemory", "vcpu")


def resized(xml: str, cpu: int, ram_mib: int) -> str:
    """The same definition with another size."""
    text = Text(xml)
    for name in ("memory", "currentMemory"):
        for found in text.root.all(name):
            text.write(found, str(ram_mib))
            text.set(found, "unit", "MiB")
    vcpu = text.root.first("vcpu")
    if vcpu is not None:
        text.write(vcpu, str(cpu))
        text.drop(vcpu, "current")
    return text.changed()


def moved(xml: str, spec: VmSpec, at: HostSetting, own: str) -> str:
    """The same definition as its target host needs it: the system disk, whose path is `own` here,
    and our interfaces, as they are there. Raises Rejected when the system disk is not its own."""
    text = Text(xml)
    source = _own_disk(text.root, own).first("source")
    assert source is not None
    text.set(source, "file", at.disk_path)
    bridges = {nic.mac.lower(): at.networks.get(nic.network) for nic in spec.nics}
    for interface in text.root.all("devices/interface"):
        source = interface.first("source")
        bridge = bridges.get(interface.get("mac", "address").lower())
        if (
            source is not None
            and bridge
            and bridge != USER_NETWORK
            and interface.attributes.get("type") == "bridge"
        ):
            text.set(source, "bridge", bridge)
    return text.changed()


def own_device(xml: str, own: str) -> str:
    """What the guest calls the system disk, whose path is `own`, such as vda."""
    return _own_disk(Text(xml).root, own).get("target", "dev")


def _own_disk(root: XmlElement, own: str) -> XmlElement:
    found = [
        disk
        for disk in root.all("devices/disk")
        if disk.attributes.get("type") == "file"
        and disk.attributes.get("device", "disk") == "disk"
        and disk.get("source", "file") == own
    ]
    if len(found) != 1:
        raise Rejected(f"{len(found)} disks of the definition have the image {own}, instead of one")
    return found[0]


def of_others(xml: str, own: Iterable[str] = (), macs: Iterable[str] = ()) -> str:
    """All of a definition but what we own: equal texts are equal for everybody else. `own` are the
    paths of our disk and `macs` our interfaces."""
    root = ET.fromstring(xml)
    for name in _SIZES:
        for size in root.findall(name):
            size.text = None
            for attribute in ("unit", "current"):
                size.attrib.pop(attribute, None)
    paths, ours = frozenset(own), frozenset(mac.lower() for mac in macs)
    for source in root.findall("devices/disk/source"):
        if source.get("file") in paths:
            source.set("file", "")
    for interface in root.findall("devices/interface"):
        mac, source_ = interface.find("mac"), interface.find("source")
        if mac is not None and source_ is not None and mac.get("address", "").lower() in ours:
            source_.attrib.pop("bridge", None)
    return ET.canonicalize(ET.tostring(root, encoding="unicode"))


def require_kept(
    before: str, after: str, own: Iterable[str] = (), macs: Iterable[str] = ()
) -> None:
    """Refuse a definition that differs from what it was in more than we own."""
    own, macs = tuple(own), tuple(macs)
    if of_others(before, own, macs) != of_others(after, own, macs):
        raise Rejected("the new definition would change more of the VM than what vmgate owns")
