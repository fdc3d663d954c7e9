"""A definition of libvirt carries our mark, and what is read back is what was written."""

import xml.etree.ElementTree as ET
from uuid import UUID

import pytest

from drivers.contract import Disk, Nic, VmSpec

pytest.importorskip("libvirt")  # the driver's package needs it, although these modules do not

from drivers.kvm import definition_rewrite, domain_xml
from drivers.kvm.options import KvmOptions

VM = UUID("00000000-0000-0000-0000-00000000000a")
TASK = UUID("00000000-0000-0000-0000-00000000000b")
MACS = ("02:00:00:00:00:01", "02:00:00:00:00:02")
SPEC = VmSpec(
    vm=VM,
    name='<"a&b">',
    cpu=2,
    ram_mib=64,
    disk=Disk("disk", "template", 2**20),
    nics=(Nic(MACS[0], "default"), Nic(MACS[1], "backup")),
)
HERE = domain_xml.HostSetting("/here/disk", {"default": "br0", "backup": "br1"})
OPTIONS = KvmOptions()


def defined(
    spec: VmSpec = SPEC, at: domain_xml.HostSetting = HERE, options: KvmOptions = OPTIONS
) -> ET.Element:
    return ET.fromstring(domain_xml.define(spec, TASK, at, options))


def bridges(root: ET.Element) -> list[str | None]:
    return [source.get("bridge") for source in root.findall("devices/interface/source")]


def test_a_definition_is_read_back_as_it_was_written() -> None:
    """The mark, the disk, the identity and the size; whatever characters the name has."""
    xml = domain_xml.define(SPEC, TASK, HERE, OPTIONS)
    root = ET.fromstring(xml)
    assert domain_xml.task_of(xml) == TASK
    assert domain_xml.disks_of(xml) == ("/here/disk",)
    assert (root.findtext("uuid"), root.findtext("name")) == (str(VM), SPEC.name)
    assert (root.findtext("memory"), root.findtext("vcpu")) == ("64", "2")
    memory = root.find("memory")
    assert memory is not None
    assert memory.get("unit") == "MiB"
    macs = [each.get("address") for each in root.findall("devices/interface/mac")]
    assert macs == list(MACS)
    assert bridges(root) == ["br0", "br1"]


def test_a_vm_that_stops_stays_stopped() -> None:
    """What the guest or a crash ended is not started behind the gateway's back; it can be asked
    to shut down, which needs ACPI."""
    root = defined()
    ends = [root.findtext(f"on_{name}") for name in ("poweroff", "reboot", "crash")]
    assert ends == ["destroy", "restart", "destroy"]
    assert root.find("features/acpi") is not None


def test_the_options_shape_the_devices() -> None:
    options = KvmOptions(
        domain="qemu", chipset="q35", disk_bus="sata", nic_model="e1000", serial_log_dir="/logs"
    )
    root = defined(options=options)
    assert root.get("type") == "qemu"
    system = root.find("os/type")
    disk = root.find("devices/disk/target")
    serial = root.find("devices/serial/source")
    assert system is not None
    assert disk is not None
    assert serial is not None
    assert system.get("machine") == "q35"
    assert (disk.get("bus"), disk.get("dev")) == ("sata", "sda")
    assert [each.get("type") for each in root.findall("devices/interface/model")] == ["e1000"] * 2
    assert (serial.get("path"), serial.get("append")) == (f"/logs/{VM}.log", "on")


@pytest.mark.parametrize(
    ("bus", "name"), [("virtio", "vda"), ("ide", "hda"), ("sata", "sda"), ("scsi", "sda")]
)
def test_a_disk_has_the_name_of_its_bus(bus: str, name: str) -> None:
    target = defined(options=KvmOptions(disk_bus=bus)).find("devices/disk/target")
    assert target is not None
    assert target.get("dev") == name


def test_without_a_folder_the_serial_port_goes_nowhere() -> None:
    serial = defined().find("devices/serial")
    assert serial is not None
    assert serial.get("type") == "pty"


def test_only_networks_the_host_maps_are_attached() -> None:
    """And QEMU's own network needs no bridge."""
    at = domain_xml.HostSetting("/disk", {"backup": domain_xml.USER_NETWORK})
    (interface,) = defined(at=at).findall("devices/interface")
    mac = interface.find("mac")
    assert mac is not None
    assert mac.get("address") == MACS[1]
    assert interface.get("type") == "user"
    assert interface.find("source") is None


@pytest.mark.parametrize(
    "xml",
    [
        "<domain/>",
        "<domain><metadata/></domain>",
        "<domain><metadata><vm><task>00000000-0000-0000-0000-00000000000b</task></vm></metadata>"
        "</domain>",
        "<domain><metadata><v:vm xmlns:v='urn:vmgate:vm:1'><v:task/></v:vm></metadata></domain>",
        "<domain><metadata><v:vm xmlns:v='urn:vmgate:vm:1'><v:task>x</v:task></v:vm></metadata>"
        "</domain>",
    ],
    ids=["bare", "empty", "another namespace", "no task", "no uuid"],
)
def test_what_does_not_carry_our_mark_is_foreign(xml: str) -> None:
    """A VM is ours only by our own mark: everything else is left alone."""
    assert domain_xml.task_of(xml) is None


def test_disks_without_a_file_are_not_named() -> None:
    """A block device or an empty drive is no volume of ours."""
    xml = """<domain><devices><disk><source dev='/dev/sdb'/></disk><disk device='cdrom'/>
      <disk><source file='/a/b'/></disk></devices></domain>"""
    assert domain_xml.disks_of(xml) == ("/a/b",)


def test_resizing_changes_the_size_and_nothing_else() -> None:
    """Also as libvirt writes it back: in KiB, with a current size of its own."""
    ours = domain_xml.define(SPEC, TASK, HERE, OPTIONS)
    assert definition_rewrite.resized(ours, 4, 128) == domain_xml.define(
        VmSpec(VM, SPEC.name, 4, 128, SPEC.disk, SPEC.nics), TASK, HERE, OPTIONS
    )
    theirs = """<domain><memory unit='KiB'>65536</memory><currentMemory unit='KiB'>65536
      </currentMemory><vcpu placement='static' current='1'>2</vcpu></domain>"""
    root = ET.fromstring(definition_rewrite.resized(theirs, 4, 128))
    for name in ("memory", "currentMemory"):
        found = root.find(name)
        assert found is not None
        assert (found.text, found.get("unit")) == ("128", "MiB")
    vcpu = root.find("vcpu")
    assert vcpu is not None
    assert (vcpu.text, vcpu.attrib) == ("4", {"placement": "static"})


def test_a_move_takes_the_disk_and_the_networks_of_its_target() -> None:
    """Everything else stays, our mark too; MACs are compared as libvirt writes them."""
    xml = domain_xml.define(SPEC, TASK, HERE, OPTIONS)
    there = domain_xml.HostSetting("/there/disk", {"default": "ovs0", "backup": "ovs1"})
    upper = replace_nics(SPEC, *(Nic(nic.mac.upper(), nic.network) for nic in SPEC.nics))
    assert definition_rewrite.moved(xml, upper, there, HERE.disk_path) == domain_xml.define(
        SPEC, TASK, there, OPTIONS
    )


def test_a_network_the_target_does_not_map_stays_as_it_was() -> None:
    xml = domain_xml.define(SPEC, TASK, HERE, OPTIONS)
    there = domain_xml.HostSetting("/there/disk", {"default": "ovs0"})
    assert bridges(ET.fromstring(definition_rewrite.moved(xml, SPEC, there, HERE.disk_path))) == [
        "ovs0",
        "br1",
    ]


def replace_nics(spec: VmSpec, *nics: Nic) -> VmSpec:
    return VmSpec(spec.vm, spec.name, spec.cpu, spec.ram_mib, spec.disk, nics)
