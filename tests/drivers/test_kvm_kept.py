"""Whatever is in a definition goes through a move and a resize with nothing of others changed, or
is refused by name (faults K3, D1 to D4)."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import Disk, Nic, VmSpec
from drivers.faults import Rejected

pytest.importorskip("libvirt")  # the driver's package needs it

import libvirt

from drivers.kvm import definition_rewrite, preflight, xml_edit
from drivers.kvm.domain_xml import HostSetting

VM = UUID("00000000-0000-0000-0000-00000000000a")
OWN = f"/pool/{VM}-00000000-0000-0000-0000-00000000000b"
THERE = '/there/it\'s <new> & "quoted"'
MAC, OTHER_MAC = "02:00:00:00:00:01", "02:00:00:00:00:99"
SPEC = VmSpec(VM, "vm", 2, 64, Disk("new", "template", 2**20), (Nic(MAC, "default"),))
GROUND = HostSetting(THERE, {"default": "ovs0"})

# Devices that go along as they are, and such as are tied to their host.
FREE = (
    "<disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>",
    "<disk type='file' device='floppy'><source file='/pool/fd.img'/><target dev='fda'/></disk>",
    "<disk type='file' device=\"cdrom\"><source file='/pool/a&amp;b'/><target dev='hdc'/></disk>",
    "<disk type='network' device='disk'><auth username='u'><secret type='ceph' uuid='x'/></auth>"
    "<source protocol='rbd' name='p/i'><host name='m'/></source><target dev='vdb'/></disk>",
    "<graphics type='vnc' port='-1' passwd='se&quot;cret&#10;'/>",
    "<graphics type='spice' passwd = \"it's\" passwdValidTo='2030-01-01'><listen/></graphics>",
    "<panic model='isa'/>",
    "<watchdog model='i6300esb' action='reset'/>",
    "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>",
    f"<interface type='user'><mac address='{OTHER_MAC}'/></interface>",
    "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>",
    "<new-device some='thing'><memory unit='KiB'>7</memory><source file='"
    + OWN
    + "'/></new-device>",
    "<!-- a note of theirs --><?tool keep?>",
)
TIED = (
    "<disk type='block' device='disk'><source dev='/dev/sdb'/><target dev='vdb'/></disk>",
    "<disk type='file' device='disk'><source file='/elsewhere/x'/><target dev='vdb'/></disk>",
    "<disk type='file' device='cdrom'><source file='/root/cd.iso'/><target dev='hdc'/></disk>",
    "<disk type='volume' device='disk'><source pool='p' volume='v'/><target dev='vdc'/></disk>",
    "<disk type='dir' device='floppy'><source dir='/d'/><target dev='fda'/></disk>",
    "<hostdev mode='subsystem' type='pci'><source><address bus='1'/></source></hostdev>",
    "<filesystem type='mount'><source dir='/d'/><target dir='t'/></filesystem>",
    "<shmem name='s'/>",
    "<tpm model='tpm-crb'><backend type='passthrough'><device path='/dev/tpm0'/></backend></tpm>",
)
ELSEWHERE = (
    "<metadata xmlns:o='urn:other'><o:tool xmlns:q='urn:q' type='q:name'>a<![CDATA[<&>]]>b"
    "<o:memory>1</o:memory></o:tool></metadata>",
    "<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>"
    "<qemu:arg value='-x&#10;y'/></qemu:commandline>",
    "<numatune><memory mode='strict' nodeset='0'/></numatune>",
    "<cpu mode='custom'><model>Nehalem</model></cpu>",
    "<sysinfo type='smbios'><entry name='serial'>memory='5'</entry></sysinfo>",
    "<title>&#x1F600; vcpu</title>",
    "<x>\n\t<memory unit='KiB'>1</memory></x>",
    "<memtune><hard_limit unit='KiB'>9</hard_limit></memtune>",
)
SIZES = st.sampled_from(
    [
        "<memory unit='KiB'>65536</memory><currentMemory>1</currentMemory><vcpu>1</vcpu>",
        "<vcpu placement='static' cpuset='0-1'\n current = '1'>2</vcpu><memory>65536</memory>",
        "<memory dumpCore='off' unit=\"GiB\" >1</memory><vcpu current='1'>4</vcpu>",
    ]
)
OURS = (
    f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{OWN}'"
    " index='1'><seclabel model='dac' relabel='no'/></source><target dev='vda'/></disk>",
    f"<interface type='bridge'><mac address='{MAC.upper()}'/><source bridge='br0' /></interface>",
)


@st.composite
def definitions(draw: st.DrawFn, tied: st.SearchStrategy[list[str]]) -> str:
    """A definition of a VM of ours, with all kinds of things of others, in any order."""
    devices = [*OURS, *draw(st.lists(st.sampled_from(FREE), max_size=6)), *draw(tied)]
    rest = draw(st.lists(st.sampled_from(ELSEWHERE), max_size=4, unique=True))
    inside = "\n".join(draw(st.permutations(devices)))
    parts = [draw(SIZES), f"<devices>{inside}</devices>", *rest]
    return f"<domain type='kvm'>{''.join(draw(st.permutations(parts)))}</domain>"


free = definitions(st.just([]))
bound = definitions(st.lists(st.sampled_from(TIED), min_size=1, max_size=3))


def leaves(xml: str) -> Iterator[tuple[str, str]]:
    """All that a parser sees of a text, each with its place; independent of the code under test."""
    parser = ET.XMLPullParser(["start", "end", "comment", "pi"])
    parser.feed(xml)
    place: list[str] = []
    for event, element in parser.read_events():
        at = "/".join(place)
        if event == "start":
            place.append(element.tag)
            for name, value in element.attrib.items():
                yield f"{at}/{element.tag}@{name}", value
        elif event == "end":
            place.pop()
            yield f"{at}<{element.tag}", f"{element.text!r} {element.tail!r}"
        else:
            yield at, repr(element.text)


def differences(before: str, after: str) -> list[tuple[str, str, str]]:
    one, other = list(leaves(before)), list(leaves(after))
    assert [place for place, _ in one] == [place for place, _ in other]
    return [(at, was, is_) for (at, was), (_, is_) in zip(one, other, strict=True) if was != is_]


@given(free)
def test_a_move_changes_the_own_disk_and_the_own_interface_alone(xml: str) -> None:
    after = definition_rewrite.moved(xml, SPEC, GROUND, OWN)
    assert sorted(differences(xml, after)) == [
        ("domain/devices/disk/source@file", OWN, THERE),
        ("domain/devices/interface/source@bridge", "br0", "ovs0"),
    ]
    assert after.replace(_quoted("ovs0"), "'br0'").replace(_path(), f"'{OWN}'") == xml
    definition_rewrite.require_kept(xml, after, (OWN, THERE), (MAC,))


def _quoted(text: str) -> str:
    return f'"{text}"'


def _path() -> str:
    return '"/there/it\'s &lt;new&gt; &amp; &quot;quoted&quot;"'


@given(free, st.integers(1, 64), st.integers(1, 2**20))
def test_a_resize_changes_the_size_alone(xml: str, cpu: int, ram_mib: int) -> None:
    after = definition_rewrite.resized(xml, cpu, ram_mib)
    root = ET.fromstring(after)
    memory, vcpu = root.find("memory"), root.find("vcpu")
    assert memory is not None
    assert vcpu is not None
    assert (memory.text, memory.get("unit")) == (str(ram_mib), "MiB")
    assert (vcpu.text, vcpu.get("current")) == (str(cpu), None)
    assert _without_size(after) == _without_size(xml)
    assert vcpu.get("cpuset") == ET.fromstring(xml).find("vcpu").get("cpuset")  # type: ignore[union-attr]
    definition_rewrite.require_kept(xml, after)


def _without_size(xml: str) -> list[tuple[str, str]]:
    sizes = ("memory", "currentMemory", "vcpu")
    places = {f"domain/{each}<{each}" for each in sizes}
    places |= {f"domain/{each}@{name}" for each in sizes for name in ("unit", "current")}
    return [(at, value) for at, value in leaves(xml) if at not in places]


@dataclass
class Kept:
    """What libvirt keeps of a domain beside its definition."""

    state_: int = 1
    saved: int = 0
    snapshots: int = 0
    checkpoints: int = 0

    def state(self, _: int) -> tuple[int, int]:
        return self.state_, 1

    def isActive(self) -> bool:
        return self.state_ != libvirt.VIR_DOMAIN_SHUTOFF

    def hasManagedSaveImage(self, _: int) -> int:
        return self.saved

    def snapshotNum(self, _: int) -> int:
        return self.snapshots

    def listAllCheckpoints(self, _: int) -> list[None]:
        return [None] * self.checkpoints


def against(xml: str, kept: Any = None) -> tuple[str, ...]:
    return preflight.against_move(kept or Kept(), xml, VM, ["/pool/"])


@given(free)
def test_what_goes_along_is_no_objection(xml: str) -> None:
    assert against(xml) == ()


@given(bound)
def test_what_cannot_go_along_is_refused_by_name(xml: str) -> None:
    """Each thing is named, once for each time that it is there."""
    told = against(xml)
    assert told
    for file in ("/dev/sdb", "/elsewhere/x", "/root/cd.iso"):
        assert (f"'{file}'" in xml) == any(file in each for each in told)


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (Kept(state_=5, saved=1), "saved"),
        (Kept(state_=7), "asleep"),
        (Kept(snapshots=2), "2 snapshots"),
        (Kept(checkpoints=1), "1 checkpoints"),
    ],
    ids=["saved", "asleep", "snapshots", "checkpoints"],
)
def test_what_libvirt_keeps_beside_the_definition_is_told(kept: Kept, said: str) -> None:
    """Faults D1, D3, D5, L9."""
    (told,) = against(f"<domain><devices>{''.join(OURS)}</devices></domain>", kept)
    assert said in told


@pytest.mark.parametrize("top", [f"{OWN}.snap1", "/backup/overlay.qcow2", f"/pool/{VM}-other"])
def test_an_image_on_top_of_the_own_disk_is_told_and_never_rewritten(top: str) -> None:
    """Fault D1: an external snapshot."""
    xml = f"<domain><devices>{OURS[0].replace(OWN, top)}</devices></domain>"
    assert any(top in each for each in against(xml))
    with pytest.raises(Rejected, match="0 disks"):
        definition_rewrite.moved(xml, SPEC, GROUND, OWN)


def test_two_disks_with_the_own_image_are_refused() -> None:
    xml = f"<domain><devices>{OURS[0] * 2}</devices></domain>"
    with pytest.raises(Rejected, match="2 disks"):
        definition_rewrite.moved(xml, SPEC, GROUND, OWN)


@pytest.mark.parametrize(
    "inside", ["<nvram>/v.fd</nvram>", "<tpm><backend type='emulator'/></tpm>"]
)
def test_what_only_a_running_vm_takes_along_is_told_of_one_that_is_off(inside: str) -> None:
    """Its firmware's variables, and the state of its TPM."""
    where = ("<os>{}</os>", "<devices>{}</devices>")["tpm" in inside]
    ours = f"<devices>{''.join(OURS)}</devices>"
    both = (
        where.format(inside) + ours
        if "nvram" in inside
        else f"<devices>{inside}{''.join(OURS)}</devices>"
    )
    xml = f"<domain>{both}</domain>"
    assert against(xml) == ()
    (told,) = against(xml, Kept(state_=5))
    assert "stay" in told


@given(free)
def test_a_change_of_what_is_of_others_is_found(xml: str) -> None:
    """The rule itself: any other value that changes is refused."""
    spoilt = xml.replace("vda", "vdz")
    with pytest.raises(Rejected, match="more of the VM"):
        definition_rewrite.require_kept(xml, spoilt, (OWN,), (MAC,))


@pytest.mark.parametrize("xml", ["", "<a>", "<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>", "text"])
def test_what_is_no_definition_is_not_edited(xml: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        xml_edit.Text(xml)


def test_an_empty_element_can_be_written() -> None:
    assert (
        ET.fromstring(
            definition_rewrite.resized("<domain><vcpu current='1'/></domain>", 3, 1)
        ).findtext("vcpu")
        == "3"
    )
