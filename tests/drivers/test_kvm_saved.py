"""On real hosts: saved memories, secrets and metadata survive moves and resizes (faults D3, D4)."""

import logging

import pytest

from drivers.contract import PowerRequest, Relocate
from drivers.facts import PowerState
from tests.drivers.kvm_orders import do, kept, refused, resize
from tests.drivers.kvm_rig import KvmRig
from tests.drivers.rigs import permitted, surveyed

pytestmark = pytest.mark.xdist_group("kvm")
SECRET = "sesame88"  # VNC takes 8 characters


async def test_a_saved_vm_is_told_and_neither_moved_nor_resized(kvm: KvmRig) -> None:
    """Fault D3: ON takes it up again where it was saved, also after libvirt began anew."""
    spec = await kvm.started()
    assert "saved" in await kvm.virsh(kvm.first, "managedsave", spec.name)
    await refused(kvm, kvm.relocation(spec)[1], "saved")
    await refused(kvm, resize(spec, kvm.first), "saved")
    await kvm.cut(kvm.first)
    await kvm.mend(kvm.first)
    (seen,) = (await surveyed(kvm.driver, kvm.first)).vms
    assert (seen.state, seen.reason) == (
        PowerState.OFF,
        "its memory is saved in a file of the host",
    )
    await kvm.power(spec, PowerRequest.ON)
    assert kvm.boots(spec.vm) == 1
    seen = await kvm.driver.look(spec.vm, kvm.first)
    assert seen is not None
    assert (seen.state, seen.reason) == (PowerState.ON, "")


async def test_a_saved_image_of_an_earlier_stay_is_dropped_on_arrival(kvm: KvmRig) -> None:
    """Fault D3: its memory would be taken up on a disk that is newer."""
    spec = await kvm.started()
    await kvm.virsh(kvm.first, "managedsave", spec.name)
    saves = [host.home / "lib" / "qemu" / "save" / f"{spec.name}.save" for host in kvm.lab.hosts]
    image = saves[0].read_bytes()
    await kvm.power(spec, PowerRequest.ON)
    await kvm.virsh(kvm.first, "destroy", spec.name)
    saves[1].write_bytes(image)
    await kvm.driver.relocate(permitted(), kvm.relocation(spec)[1])
    assert not saves[1].exists()
    await kvm.power(spec, PowerRequest.ON, kvm.second)
    await kvm.guest_is_up(spec.vm, 2)


async def test_secrets_survive_and_are_told_to_nobody(
    kvm: KvmRig, caplog: pytest.LogCaptureFixture
) -> None:
    """Fault D4: the console's password is there after a resize, a move while off and a live one."""
    caplog.set_level(logging.DEBUG)
    spec = await kvm.deployed()
    await kvm.redefine(
        spec,
        "</devices>",
        f"<graphics type='vnc' port='-1' passwd='{SECRET}'/><panic model='isa'/></devices>",
    )
    before = await kvm.definition(spec)
    assert before.count(SECRET) == 1
    await do(kvm, resize(spec, kvm.first))
    resized = await kvm.definition(spec)
    sizes = ("16384</memory>", "16384</currentMemory>", ">1</vcpu>")
    for old, new in zip(
        sizes, ("32768</memory>", "32768</currentMemory>", ">2</vcpu>"), strict=True
    ):
        before = before.replace(old, new)
    assert resized == before
    before = await kept(kvm, spec)
    await do(kvm, kvm.relocation(spec)[1])
    assert await kept(kvm, spec, kvm.second) == before
    await kvm.power(spec, PowerRequest.ON, kvm.second)
    await kvm.guest_is_up(spec.vm, 1)
    back = kvm.relocation(spec)[1]
    await do(kvm, Relocate(spec, back.target, back.source, spec.disk.volume))
    assert await kept(kvm, spec) == before
    assert SECRET not in caplog.text
    (seen,) = (await surveyed(kvm.driver, kvm.first)).vms
    assert SECRET not in str(seen)


async def test_metadata_and_arguments_of_others_survive(kvm: KvmRig) -> None:
    """Kind K3: another tool's metadata, a command line, a boot order; moved and resized."""
    spec = await kvm.deployed()
    before = await kvm.redefine(
        spec,
        "</metadata>",
        "<o:tool xmlns:o='urn:other' xmlns:q='urn:q' type='q:n'>x &amp; y</o:tool></metadata>",
    )
    before = await kvm.redefine(
        spec,
        "</domain>",
        "<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>"
        "<qemu:env name='OF_THEIRS' value='a b'/></qemu:commandline></domain>",
    )
    assert "OF_THEIRS" in before
    assert "urn:other" in before
    before = await kept(kvm, spec)
    await do(kvm, kvm.relocation(spec)[1])
    assert await kept(kvm, spec, kvm.second) == before
