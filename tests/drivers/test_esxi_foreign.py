"""Faults K3 and L6 on vSphere: what others attached to a VM outlives it, and what a VM leaves in a
datastore when somebody took it out of the inventory is deleted only while it is surely ours."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim

from drivers.contract import Reconfigure, Remove, Verdict, VmSpec
from drivers.esxi.connection.paging import PropertyPage
from drivers.esxi.marker import ExtraConfigMarker, read_from
from drivers.esxi.role import PRIVILEGES
from drivers.esxi.vms.devices import datastores_of, foreign_disks
from drivers.faults import Rejected
from tests.drivers.creating import resized
from tests.drivers.rigs import closing, permitted, ticket
from tests.drivers.vsphere_rig import VsphereRig, ended

MIB = 2**20


@pytest.fixture
async def rig(vsphere: VsphereRig) -> AsyncIterator[VsphereRig]:
    """Files that no VM has are no other test's."""
    yield vsphere
    await asyncio.to_thread(vsphere.admin.sweep)
    for left in home_of(vsphere).iterdir():
        shutil.rmtree(left)


def home_of(rig: VsphereRig) -> Path:
    """The folder of the first host's shared datastore."""
    return rig.vc.home / rig.at(rig.first).datastore


def attach(rig: VsphereRig, vm: Any, path: str) -> None:
    """Somebody attaches a disk that is no part of the VM; its file is made."""
    (home_of(rig) / path).parent.mkdir(exist_ok=True)
    controller = next(
        each
        for each in vm.config.hardware.device
        if isinstance(each, vim.vm.device.VirtualSCSIController)
    )
    backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
        fileName=f"[{rig.at(rig.first).datastore}] {path}", diskMode="independent_persistent"
    )
    disk = vim.vm.device.VirtualDisk(
        key=-1, controllerKey=controller.key, unitNumber=5, capacityInKB=1024, backing=backing
    )
    add = vim.vm.device.VirtualDeviceSpec
    change = add(operation=add.Operation.add, fileOperation="create", device=disk)
    ended(vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[change])))


def remove_order(rig: VsphereRig, spec: VmSpec) -> Remove:
    return Remove(spec.vm, rig.at(rig.first), spec.disk.volume)


@pytest.mark.parametrize("where", ["rescue/data.vmdk", "{own}/data.vmdk"], ids=["beside", "inside"])
async def test_a_disk_that_somebody_attached_outlives_the_vm(rig: VsphereRig, where: str) -> None:
    """The vCenter deletes whatever is attached: it is taken off first, also out of our folder."""
    spec = await rig.deployed()
    path = where.format(own=spec.name)
    await asyncio.to_thread(attach, rig, rig.admin.vm(spec.vm), path)
    assert path in rig.vc.files(rig.at(rig.first).datastore)
    permit, order = permitted(), remove_order(rig, spec)
    await rig.driver.remove(permit, order)
    assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.DONE
    assert await rig.everything(rig.first) == set()
    if not path.startswith(spec.name):  # the lab deletes the whole folder of a VM
        assert path in rig.vc.files(rig.at(rig.first).datastore)


async def test_a_foreign_disk_and_a_snapshot_are_refused_by_name(rig: VsphereRig) -> None:
    """The snapshot may need the disk, and would take it along: nothing is begun."""
    spec = await rig.deployed()
    vm = rig.admin.vm(spec.vm)
    await asyncio.to_thread(attach, rig, vm, "rescue/data.vmdk")
    await asyncio.to_thread(ended, vm.CreateSnapshot_Task("before", "", False, False))
    with pytest.raises(Rejected, match=r"rescue/data\.vmdk.* not part of the VM.*snapshot"):
        await rig.driver.remove(permitted(), remove_order(rig, spec))
    assert await rig.everything(rig.first) == {spec.vm}
    assert "rescue/data.vmdk" in rig.vc.files(rig.at(rig.first).datastore)
    (told,) = await rig.driver.objections(remove_order(rig, spec))
    assert "rescue/data.vmdk" in told


async def test_a_move_of_the_files_is_refused_while_a_foreign_disk_is_attached(
    rig: VsphereRig,
) -> None:
    """It would be moved too; a move to another host alone leaves all disks where they are."""
    spec = await rig.deployed(rig.at(rig.first))
    await asyncio.to_thread(attach, rig, rig.admin.vm(spec.vm), "rescue/data.vmdk")
    permit, order = rig.relocation(spec)
    away = type(order)(
        spec, order.source, rig.at(rig.second, shared=False), "another name of the disk"
    )
    (told,) = await rig.driver.objections(away)
    assert "rescue/data.vmdk" in told
    with pytest.raises(Rejected, match=r"rescue/data\.vmdk"):
        await rig.driver.relocate(permit, away)
    assert await rig.driver.objections(order) == ()
    await rig.driver.relocate(permit, order)
    assert await rig.everything(rig.second) == {spec.vm}


async def test_fault_tolerance_is_refused_by_name(rig: VsphereRig) -> None:
    """Another copy of the VM runs somewhere: it is neither moved, resized nor removed."""
    spec = await rig.deployed()
    moid = rig.admin.vm(spec.vm)._moId
    rig.vc.set("VirtualMachine", moid, {"runtime.faultToleranceState": "running"})
    try:
        _, move = rig.relocation(spec)
        for order in (move, Reconfigure(resized(spec), rig.first), remove_order(rig, spec)):
            assert "Fault Tolerance" in (await rig.driver.objections(order))[0]
            verb = getattr(rig.driver, type(order).__name__.lower())
            with pytest.raises(Rejected, match="Fault Tolerance of the VM is running"):
                await verb(permitted(), order)
        assert await rig.everything(rig.first) == {spec.vm}
    finally:
        rig.vc.set("VirtualMachine", moid, {"runtime.faultToleranceState": "notConfigured"})


async def test_a_resize_changes_the_size_alone(rig: VsphereRig) -> None:
    """Devices and options of others stay as they are."""
    spec = await rig.deployed()
    vm = rig.admin.vm(spec.vm)
    await asyncio.to_thread(attach, rig, vm, "rescue/data.vmdk")
    theirs = vim.vm.ConfigSpec(
        extraConfig=[vim.option.OptionValue(key="backup.job", value="nightly")], annotation="mine"
    )
    await asyncio.to_thread(ended, vm.ReconfigVM_Task(theirs))
    before = _whole(vm)
    await rig.driver.reconfigure(permitted(), Reconfigure(resized(spec), rig.first))
    assert _whole(vm) == before
    assert vm.config.hardware.numCPU == resized(spec).cpu


def _whole(vm: Any) -> tuple[Any, ...]:
    devices = [
        (type(each).__name__, each.key, str(getattr(each.backing, "fileName", "")))
        for each in vm.config.hardware.device
    ]
    options = sorted((each.key, each.value) for each in vm.config.extraConfig)
    return devices, options, vm.config.annotation, vm.config.files.vmPathName


async def test_the_files_of_a_vm_that_was_unregistered_are_deleted(rig: VsphereRig) -> None:
    """Faults L6: it is gone from the inventory, and its folder carries its id: a worker that takes
    over sees that something is left, and ends what was begun."""
    spec = await rig.deployed()
    await asyncio.to_thread(rig.admin.vm(spec.vm).UnregisterVM)
    assert rig.vc.files(rig.at(rig.first).datastore)
    permit, order = permitted(), remove_order(rig, spec)
    assert await rig.driver.look(spec.vm, rig.first) is None
    outcome = await rig.driver.settle(ticket(permit, order))
    assert outcome.verdict is Verdict.ABSENT
    assert spec.name in outcome.reason
    await rig.driver.remove(permit, order)
    assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.DONE
    assert rig.vc.files(rig.at(rig.first).datastore) == set()
    await rig.driver.remove(permit, order)  # begun again, there is nothing to do


async def test_what_is_not_surely_ours_stays_and_is_named(rig: VsphereRig) -> None:
    """A second disk in the folder may be somebody's; so may a copy of the folder."""
    spec = await rig.deployed()
    await asyncio.to_thread(rig.admin.vm(spec.vm).UnregisterVM)
    (home_of(rig) / spec.name / "data.vmdk").touch()
    copy = home_of(rig) / f"{spec.name}-copy"
    copy.mkdir()
    (copy / "other.vmx").touch()
    before = rig.vc.files(rig.at(rig.first).datastore)
    permit, order = permitted(), remove_order(rig, spec)
    with pytest.raises(Rejected, match="files stay") as refused:
        await rig.driver.remove(permit, order)
    assert f"{spec.name}: it holds 2 disks" in refused.value.message
    assert f"{spec.name}-copy: its name is not the VM's" in refused.value.message
    assert rig.vc.files(rig.at(rig.first).datastore) == before
    assert spec.name in (await rig.driver.settle(ticket(permit, order))).reason


async def test_files_that_another_vm_uses_stay(rig: VsphereRig) -> None:
    """Somebody has registered the files anew under another id, or mounted the disk to rescue it."""
    spec, other = await rig.deployed(), await rig.deployed()
    await asyncio.to_thread(rig.admin.vm(spec.vm).UnregisterVM)
    vm = rig.admin.vm(other.vm)
    disk = f"{spec.name}/{spec.name}.vmdk"
    moid = vm._moId
    here = f"[{rig.at(rig.first).datastore}] {spec.name}/{spec.name}.vmx"
    was = vm.config.files.vmPathName
    rig.vc.set("VirtualMachine", moid, {"config.files.vmPathName": here})
    try:
        with pytest.raises(Rejected, match=f"{other.name} uses files in it"):
            await rig.driver.remove(permitted(), remove_order(rig, spec))
    finally:
        rig.vc.set("VirtualMachine", moid, {"config.files.vmPathName": was})
    assert disk in rig.vc.files(rig.at(rig.first).datastore)


@pytest.mark.parametrize("lacks", ["Datastore.Browse", "Datastore.FileManagement"])
async def test_files_that_may_not_be_touched_are_named_with_the_privilege(
    rig: VsphereRig, lacks: str
) -> None:
    spec = await rig.deployed()
    await asyncio.to_thread(rig.admin.vm(spec.vm).UnregisterVM)
    rig.vc.privileges(set(PRIVILEGES) - {lacks})
    try:
        with pytest.raises(Rejected, match=lacks):
            await rig.driver.remove(permitted(), remove_order(rig, spec))
    finally:
        rig.vc.privileges(None)


async def test_a_disk_that_was_moved_alone_tells_where_it_is(rig: VsphereRig) -> None:
    """Faults T3: storage vMotion and Storage DRS move files from one datastore to another; the
    listing and a look name the one that the disk is on."""
    spec = await rig.deployed()
    own = rig.at(rig.first, shared=False)
    vm = rig.admin.vm(spec.vm)
    store = vim.Datastore(rig.vc.named("Datastore")[own.datastore], vm._stub)
    await asyncio.to_thread(ended, vm.RelocateVM_Task(vim.vm.RelocateSpec(datastore=store)))
    seen = await rig.driver.look(spec.vm, rig.first)
    assert seen is not None
    assert seen.datastores == (own.datastore,)
    async with closing(rig.opened()) as fresh:
        for driver in (rig.driver, fresh):
            (listed,) = (await driver.survey("lab")).vms
            assert listed.datastores == (own.datastore,)


def _disk(key: int, path: str, store: str) -> Any:
    kind = vim.vm.device.VirtualDisk
    backing = kind.FlatVer2BackingInfo(fileName=path, datastore=vim.Datastore(store))
    return kind(key=key, backing=backing)


def _vm(*disks: Any, stores: tuple[str, ...]) -> PropertyPage:
    return PropertyPage(
        "VirtualMachine",
        "vm-1",
        {
            "config.files.vmPathName": "[one] ABQ_x/ABQ_x.vmx",
            "config.hardware.device": list(disks),
            "datastore": [vim.Datastore(each) for each in stores],
        },
    )


def test_the_datastores_are_those_of_our_disks() -> None:
    """Not those of a CD, of the configuration file, or of a disk that somebody attached."""
    vm = _vm(
        _disk(2000, "[two] ABQ_x/ABQ_x.vmdk", "ds-2"),
        _disk(2001, "[three] backup/x.vmdk", "ds-3"),
        stores=("ds-1", "ds-2", "ds-3", "ds-4"),
    )
    mark = ExtraConfigMarker(disks=frozenset({2000}))
    assert datastores_of(vm, mark) == ["ds-2"]
    assert [each.path for each in foreign_disks(vm, mark)] == ["[three] backup/x.vmdk"]


@pytest.mark.parametrize(
    ("disk", "foreign"),
    [
        (_disk(2000, "[one] ABQ_x/ABQ_x.vmdk", "ds-1"), False),
        (_disk(2000, "[one] ABQ_x/ABQ_x-000002.vmdk", "ds-1"), False),  # a snapshot's
        (_disk(2000, "[two] ABQ_x_3/ABQ_x.vmdk", "ds-2"), False),  # moved alone, the name taken
        (_disk(2000, "[one] other/x.vmdk", "ds-1"), True),  # put in the place of ours
        (_disk(2001, "[one] ABQ_x/ABQ_x_1.vmdk", "ds-1"), True),  # added later
    ],
)
def test_which_disks_are_ours(disk: Any, foreign: bool) -> None:
    vm = _vm(disk, stores=("ds-1",))
    assert bool(foreign_disks(vm, ExtraConfigMarker(disks=frozenset({2000})))) is foreign


def test_a_mark_of_an_earlier_version_says_nothing_of_disks() -> None:
    """Then those in the VM's own folder are ours."""
    options = [vim.option.OptionValue(key="vmgate.task", value="x")]
    assert read_from(options).disks is None
    vm = _vm(_disk(2001, "[one] ABQ_x/ABQ_x_1.vmdk", "ds-1"), stores=("ds-1",))
    assert foreign_disks(vm, ExtraConfigMarker()) == []
