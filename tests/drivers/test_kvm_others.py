"""On real hosts: what others have put into a VM survives a move, a resize and a removal, or these
are refused by name before anything begins (faults D1, D2, D5, D6, L5)."""

import asyncio
import json
from pathlib import Path

import pytest

from drivers.contract import (
    Disk,
    Location,
    PowerRequest,
    Relocate,
    Remove,
    VmSpec,
)
from drivers.faults import Rejected
from tests.drivers.kvm_orders import do, kept, off_on_shared, refused, removal, resize
from tests.drivers.kvm_rig import KvmRig
from tests.drivers.rigs import permitted, surveyed
from tests.lab.hosts import LOCAL, SHARED

pytestmark = pytest.mark.xdist_group("kvm")


async def attached(kvm: KvmRig, spec: VmSpec, folder: Path) -> Path:
    """Somebody puts a CD into the VM, which is off."""
    path = folder / "tools & more.iso"
    path.write_bytes(b"\0" * 4096)
    asked = ("attach-disk", spec.name, str(path), "hdc", "--type", "cdrom", "--config")
    assert "successfully" in await kvm.virsh(kvm.first, *asked)
    return path


@pytest.mark.parametrize("running", [False, True], ids=["off", "on"])
async def test_a_cd_that_both_hosts_see_comes_along(kvm: KvmRig, running: bool) -> None:
    """Fault D2: the definition has it as it was, and the VM starts at the target."""
    spec, order = await off_on_shared(kvm)
    path = await attached(kvm, spec, kvm.lab.shared)
    try:
        before = await kept(kvm, spec)
        if running:
            await kvm.power(spec, PowerRequest.ON)
            await kvm.guest_is_up(spec.vm, 1)
        await kvm.driver.relocate(permitted(), order)
        assert await kept(kvm, spec, kvm.second) == before
        assert await kvm.everything(kvm.first) == set()
        if not running:
            await kvm.power(spec, PowerRequest.ON, kvm.second)
            await kvm.guest_is_up(spec.vm, 1)
    finally:
        path.unlink()


async def test_a_cd_of_one_host_holds_the_vm_there(kvm: KvmRig) -> None:
    """Fault D2: refused by name; the survey tells of it, too, and the VM starts as before."""
    spec, order = await off_on_shared(kvm)
    path = await attached(kvm, spec, kvm.host(kvm.first).home)
    await refused(kvm, order, "tools & more.iso")
    (seen,) = (await surveyed(kvm.driver, kvm.first)).vms
    assert ["tools & more.iso" in each for each in seen.fixed] == [True]
    await do(kvm, resize(spec, kvm.first))
    assert str(path).replace("&", "&amp;") in await kvm.definition(spec)
    await kvm.virsh(kvm.first, "change-media", spec.name, "hdc", "--eject", "--config")
    (seen,) = (await surveyed(kvm.driver, kvm.first)).vms
    assert seen.fixed == ()
    await kvm.driver.relocate(permitted(), order)
    assert await kvm.everything(kvm.second) == {spec.vm}
    path.unlink()


async def test_a_disk_that_stays_on_its_host_is_not_copied(kvm: KvmRig) -> None:
    """Fault D2: a move with the disk copies our own and would have copied theirs."""
    spec = await kvm.deployed(kvm.at(kvm.first, shared=False))
    path = kvm.host(kvm.first).home / "lib" / "data.img"
    path.write_bytes(b"\0" * 4096)
    inside = "/var/lib/libvirt/data.img"
    added = await kvm.virsh(kvm.first, "attach-disk", spec.name, inside, "hdb", "--config")
    assert "successfully" in added
    await kvm.power(spec, PowerRequest.ON)
    await kvm.guest_is_up(spec.vm, 1)
    await refused(kvm, kvm.relocation(spec, shared=False)[1], inside)


async def test_an_external_snapshot_is_refused_and_kept(kvm: KvmRig) -> None:
    """Fault D1: a move and an undeploy are refused; a resize keeps the image on top."""
    spec, order = await off_on_shared(kvm)
    made = ("snapshot-create-as", spec.name, "s1", "--disk-only", "--no-metadata", "--atomic")
    assert "created" in await kvm.virsh(kvm.first, *made)
    top = f"{spec.disk.volume}.s1"
    assert top in await kvm.definition(spec)
    await refused(kvm, order, top)
    (seen,) = (await surveyed(kvm.driver, kvm.first)).vms
    assert any(top in each for each in seen.fixed)
    await do(kvm, resize(spec, kvm.first))
    assert top in await kvm.definition(spec)
    await refused(kvm, removal(kvm, spec), top)
    assert await kvm.volumes(kvm.at(kvm.first)) == {spec.disk.volume, top}
    await kvm.redefine(spec, top, spec.disk.volume)
    await do(kvm, removal(kvm, spec))
    assert await kvm.volumes(kvm.at(kvm.first)) == {top}, "a file of somebody else is never deleted"


async def test_a_snapshot_with_its_metadata_holds_the_vm_and_goes_with_it(kvm: KvmRig) -> None:
    """Faults D1 and D5: a move is refused; an undeploy removes what libvirt keeps of it."""
    spec, order = await off_on_shared(kvm)
    assert "created" in await kvm.virsh(kvm.first, "snapshot-create-as", spec.name, "inside")
    await refused(kvm, order, "1 snapshots")
    await do(kvm, removal(kvm, spec))
    assert await kvm.everything(kvm.first) == set()
    assert await kvm.volumes(kvm.at(kvm.first)) == set()


async def test_a_checkpoint_can_be_made_and_goes_with_the_vm(kvm: KvmRig) -> None:
    """Faults D5 and D6: disks are qcow2 1.1, which has the bitmaps that backups need."""
    spec = await kvm.started()
    info = await asyncio.to_thread(
        kvm.host(kvm.first).inside,
        *("qemu-img", "info", "-U", "--output=json", str(kvm.lab.shared / spec.disk.volume)),
    )
    assert json.loads(info)["format-specific"]["data"]["compat"] == "1.1"
    assert "created" in await kvm.virsh(kvm.first, "checkpoint-create-as", spec.name, "c1")
    await refused(kvm, kvm.relocation(spec)[1], "1 checkpoints")
    await kvm.virsh(kvm.first, "destroy", spec.name)
    await do(kvm, removal(kvm, spec))
    assert await kvm.everything(kvm.first) == set()
    assert await kvm.volumes(kvm.at(kvm.first)) == set()


async def test_a_size_that_would_change_more_than_the_size_is_refused(kvm: KvmRig) -> None:
    """Kind K3: cells of memory, and pins of vCPUs that go with the vCPUs they pin."""
    spec = await kvm.deployed()
    plain = await kvm.definition(spec)
    cells = "<cpu><numa><cell id='0' cpus='0' memory='16384' unit='KiB'/></numa></cpu></domain>"
    await kvm.redefine(spec, "</domain>", cells)
    await refused(kvm, resize(spec, kvm.first), "NUMA cells")
    assert plain != await kvm.definition(spec)


@pytest.mark.parametrize("pool", [SHARED, LOCAL])
async def test_a_removal_waits_for_its_pool_and_goes_on_from_any_part(
    kvm: KvmRig, pool: str
) -> None:
    """Fault L5: an inactive pool is told before the definition goes; what is gone is done."""
    at = Location(kvm.first, pool, shared=pool == SHARED)
    spec, other = await kvm.deployed(at), await kvm.deployed(at)
    await kvm.virsh(kvm.first, "pool-destroy", pool)
    try:
        for each in (spec, other):
            order = Remove(each.vm, at, each.disk.volume)
            told = await kvm.driver.objections(order)
            assert told == (f"the storage pool {pool} is not active",)
            with pytest.raises(Rejected, match="not active"):
                await kvm.driver.remove(permitted(), order)
        assert await kvm.everything(kvm.first) == {spec.vm, other.vm}
        stores = (await surveyed(kvm.driver, kvm.first)).hosts[0].datastores
        usable = {store.name: (store.usable, store.reason) for store in stores}
        assert usable.pop(pool) == (False, f"the storage pool {pool} is not active")
        assert list(usable.values()) == [(True, "")]
        await kvm.virsh(kvm.first, "undefine", other.name)  # an earlier try came as far as this
    finally:
        await kvm.virsh(kvm.first, "pool-start", pool)
    for each in (spec, other):
        await kvm.driver.remove(permitted(), Remove(each.vm, at, each.disk.volume))
        await kvm.driver.remove(permitted(), Remove(each.vm, at, each.disk.volume))
    assert await kvm.everything(kvm.first) == set()
    assert await kvm.volumes(at) == set()


async def test_a_template_that_is_not_the_one_below_is_refused(kvm: KvmRig) -> None:
    """Fault D1: a copy on another image than the disk is on would be another disk."""
    spec = await kvm.started(kvm.at(kvm.first, shared=False))
    order = kvm.relocation(spec, shared=False)[1]
    disk = Disk(order.spec.disk.volume, "deaf.raw", order.spec.disk.capacity_bytes)
    other = VmSpec(spec.vm, spec.name, 1, 16, disk, spec.nics)
    wrong = Relocate(other, order.source, order.target, order.volume)
    await refused(kvm, wrong, "instead of on the template deaf.raw")
