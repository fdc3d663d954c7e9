"""The rig's vCenter has the inventory it was asked for, and its tasks do what a vCenter's do."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pyVmomi import vim, vmodl

from tests.lab.administrator import Administrator, until, watch
from tests.lab.vcenter import Shape, VCenter, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


def names(found: Any) -> list[str]:
    return sorted(each.name for each in found)


shaped = pytest.mark.parametrize


@shaped("vc", [Shape(clusters=2, hosts=3, vms=4, datastores=2, host_mib=4096)], indirect=True)
def test_racks_hosts_datastores_and_networks(vc: VCenter, admin: Administrator) -> None:
    assert sorted(vc.named("ClusterComputeResource")) == ["rack-1", "rack-2"]
    rack = admin.cluster("rack-2")
    assert names(rack.host) == ["esxi-2-1", "esxi-2-2", "esxi-2-3"]
    assert rack.configurationEx.drsConfig.enabled is False
    host = admin.host("esxi-2-3")
    assert names(host.datastore) == ["library", "local-2-3", "shared-2-1", "shared-2-2"]
    assert {"VM Network", "lan-1", "lan-2"} <= set(names(host.network))
    assert host.hardware.memorySize == 4096 << 20
    assert host.runtime.connectionState == "connected"
    mounts = {mount.key.name for mount in admin.datastore("shared-2-1").host}
    assert mounts == {"esxi-2-1", "esxi-2-2", "esxi-2-3"}
    assert names(admin.datastore("local-2-3").vm) == []


@shaped("vc", [Shape(drs=True, vms=3, vms_on=False)], indirect=True)
def test_vms_on_or_off_and_a_template(admin: Administrator) -> None:
    assert admin.cluster("rack-1").configurationEx.drsConfig.enabled is True
    assert names(admin.host("esxi-1-1").vm) == ["template-1", "vm-1-1", "vm-1-3"]
    assert admin.vm("vm-1-3").runtime.powerState == "poweredOff"
    assert admin.vm("template-1").config.template is True
    assert admin.vm("template-1").resourcePool is None
    assert names(admin.datastore("library").vm) == ["template-1"]


def test_a_clone_is_where_and_as_it_was_ordered(vc: VCenter, admin: Administrator) -> None:
    done = admin.ended(admin.clone("web", "esxi-2-2", "shared-2-2", numCPUs=4, memoryMB=2048))
    assert done.state == "success"
    web, template = done.result, admin.vm("template-1")
    assert (web.name, web.runtime.host.name, names(web.datastore)) == (
        "web",
        "esxi-2-2",
        ["shared-2-2"],
    )
    assert (web.config.hardware.numCPU, web.config.hardware.memoryMB) == (4, 2048)
    assert (template.config.hardware.numCPU, template.config.hardware.memoryMB) == (1, 512)
    assert web.config.instanceUuid != template.config.instanceUuid
    assert web.runtime.powerState == "poweredOff"
    assert "web" in names(admin.host("esxi-2-2").vm)
    assert names(admin.datastore("shared-2-2").vm) == ["web"]
    store = admin.datastore("shared-2-2").summary
    assert store.capacity - store.freeSpace == 1 << 30
    disk = next(
        d for d in template.config.hardware.device if isinstance(d, vim.vm.device.VirtualDisk)
    )
    assert disk.backing.fileName.startswith("[library] template-1/")
    assert "web/web.vmdk" in vc.files("shared-2-2")
    assert admin.ended(web.Destroy_Task()).state == "success"
    assert vc.files("shared-2-2") == set()
    assert store.capacity == admin.datastore("shared-2-2").summary.freeSpace


def test_a_name_is_taken_once(admin: Administrator) -> None:
    taken = admin.ended(admin.clone("vm-1-1", "esxi-1-1", "shared-1-1"))
    assert isinstance(taken.error, vim.fault.DuplicateName)


def test_a_relocated_vm_is_in_the_lists_of_its_new_place_only(
    vc: VCenter, admin: Administrator
) -> None:
    before = [
        admin.host(name).summary.quickStats.overallCpuUsage for name in ("esxi-1-1", "esxi-1-2")
    ]
    assert admin.ended(admin.relocate("vm-1-1", "esxi-1-2", "local-1-2")).state == "success"
    vm = admin.vm("vm-1-1")
    assert (vm.runtime.host.name, names(vm.datastore)) == ("esxi-1-2", ["local-1-2"])
    assert vm.runtime.powerState == "poweredOn"
    assert names(admin.host("esxi-1-1").vm) == ["template-1"]
    assert names(admin.host("esxi-1-2").vm) == ["vm-1-1", "vm-1-2"]
    assert names(admin.datastore("shared-1-1").vm) == ["vm-1-2"]
    assert names(admin.datastore("local-1-2").vm) == ["vm-1-1"]
    assert vm.config.files.vmPathName == "[local-1-2] vm-1-1/vm-1-1.vmx"
    assert "vm-1-1/disk1.vmdk" in vc.files("local-1-2")
    assert "vm-1-1/disk1.vmdk" not in vc.files("shared-1-1")
    after = [
        admin.host(name).summary.quickStats.overallCpuUsage for name in ("esxi-1-1", "esxi-1-2")
    ]
    assert after == [before[0] - 100, before[1] + 100]


def test_a_host_must_mount_the_datastore(admin: Administrator) -> None:
    assert admin.ended(admin.relocate("vm-1-1", "esxi-1-2", "local-1-2")).state == "success"
    refused = admin.ended(admin.relocate("vm-1-1", "esxi-1-1"))
    assert isinstance(refused.error, vim.fault.CannotAccessVmDisk)
    refused = admin.ended(admin.clone("web", "esxi-1-1", "local-1-2"))
    assert isinstance(refused.error, vim.fault.CannotAccessVmDisk)


@shaped("vc", [Shape(datastore_gib=5, disk_gib=2, vms=1)], indirect=True)
def test_a_datastore_is_full_once_its_space_is_used(vc: VCenter, admin: Administrator) -> None:
    assert admin.ended(admin.clone("web-1", "esxi-1-1", "shared-1-1")).state == "success"
    full = admin.ended(admin.clone("web-2", "esxi-1-1", "shared-1-1"))
    assert isinstance(full.error, vim.fault.NoDiskSpace)
    assert "web-2" not in vc.named("VirtualMachine")
    assert admin.ended(admin.clone("web-2", "esxi-1-1", "local-1-1")).state == "success"
    vc.set("Datastore", vc.named("Datastore")["local-1-1"], {"summary.freeSpace": 0})
    full = admin.ended(admin.relocate("web-1", "esxi-1-1", "local-1-1"))
    assert isinstance(full.error, vim.fault.NoDiskSpace)


@shaped("vc", [Shape(task_ms=400)], indirect=True)
def test_a_task_takes_its_time_and_says_how_far_it_is(admin: Administrator) -> None:
    task = admin.relocate("vm-1-1", "esxi-1-2")
    seen = [-1]
    while (state := task.info).state == "running":
        if state.progress is not None and state.progress != seen[-1]:
            seen.append(state.progress)
    assert state.state == "success"
    assert len(seen) > 4
    assert seen == sorted(seen)
    assert (state.completeTime - state.startTime).total_seconds() >= 0.35
    assert (state.descriptionId, state.entityName) == ("VirtualMachine.relocate", "vm-1-1")


def test_a_cancelled_relocation_moves_nothing(vc: VCenter, admin: Administrator) -> None:
    vc.fault("RelocateVM_Task", "taskhold")
    task = admin.relocate("vm-1-1", "esxi-1-2")
    until(lambda: task.info.progress == 50)
    assert (task.info.state, task.info.cancelable) == ("running", True)
    assert task in admin.vm("vm-1-1").recentTask
    assert task in admin.content.taskManager.recentTask
    task.CancelTask()
    done = admin.ended(task)
    assert (done.cancelled, type(done.error)) == (True, vmodl.fault.RequestCanceled)
    assert admin.vm("vm-1-1").runtime.host.name == "esxi-1-1"


def test_power_cannot_be_cancelled_and_a_vm_has_one_task(vc: VCenter, admin: Administrator) -> None:
    held = vc.fault("PowerOffVM_Task", "taskhold")
    task = admin.vm("vm-1-1").PowerOffVM_Task()
    with pytest.raises(vmodl.fault.NotSupported):
        task.CancelTask()
    second = admin.ended(admin.relocate("vm-1-1", "esxi-1-2"))
    assert isinstance(second.error, vim.fault.TaskInProgress)
    held.remove()
    assert admin.ended(task).state == "success"
    assert admin.vm("vm-1-1").runtime.powerState == "poweredOff"


def test_a_host_lost_during_a_relocation_fails_it(vc: VCenter, admin: Administrator) -> None:
    held = vc.fault("RelocateVM_Task", "taskhold")
    task = admin.relocate("vm-1-1", "esxi-1-2")
    vc.lose_host(vc.named("HostSystem")["esxi-1-2"])
    assert admin.vm("vm-1-2").runtime.connectionState == "disconnected"
    held.remove()
    assert isinstance(admin.ended(task).error, vmodl.fault.HostNotConnected)
    assert admin.vm("vm-1-1").runtime.host.name == "esxi-1-1"
    vc.find_host(vc.named("HostSystem")["esxi-1-2"])
    assert admin.vm("vm-1-2").runtime.connectionState == "connected"
    assert admin.ended(admin.relocate("vm-1-1", "esxi-1-2")).state == "success"


def test_a_host_in_maintenance_takes_no_vm_and_says_so(vc: VCenter, admin: Administrator) -> None:
    host = admin.host("esxi-1-2")
    with watch(admin, host, "runtime.inMaintenanceMode") as changes:
        host.EnterMaintenanceMode_Task(0)
        assert changes() == {"runtime.inMaintenanceMode": True}
    refused = admin.ended(admin.relocate("vm-1-1", "esxi-1-2"))
    assert isinstance(refused.error, vim.fault.InvalidState)


def test_a_reconfiguration_is_told_and_checked(admin: Administrator) -> None:
    vm = admin.vm("vm-1-1")
    hot = admin.ended(vm.ReconfigVM_Task(vim.vm.ConfigSpec(numCPUs=2)))
    assert isinstance(hot.error, vim.fault.CpuHotPlugNotSupported)
    for value in ("one", "two"):
        note = vim.option.OptionValue(key="vmgate.task", value=value)
        done = admin.ended(vm.ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=[note])))
        assert done.state == "success"
    found = [each.value for each in vm.config.extraConfig if each.key == "vmgate.task"]
    assert found == ["two"]
    seen = vm.config.changeVersion
    spec = vim.vm.ConfigSpec(changeVersion=seen, annotation="first")
    assert admin.ended(vm.ReconfigVM_Task(spec)).state == "success"
    late = admin.ended(vm.ReconfigVM_Task(spec))
    assert isinstance(late.error, vim.fault.ConcurrentAccess)
    assert admin.ended(vm.PowerOffVM_Task()).state == "success"
    with watch(admin, vm, "config.hardware.numCPU") as changes:
        vm.ReconfigVM_Task(vim.vm.ConfigSpec(numCPUs=2))
        assert changes() == {"config.hardware.numCPU": 2}


def test_a_reset_needs_power_and_leaves_it_on(admin: Administrator) -> None:
    vm = admin.vm("vm-1-1")
    with watch(admin, vm, "runtime.powerState", "runtime.bootTime") as changes:
        assert admin.ended(vm.ResetVM_Task()).state == "success"
        assert list(changes()) == ["runtime.bootTime"]
    assert admin.ended(vm.PowerOffVM_Task()).state == "success"
    assert isinstance(admin.ended(vm.ResetVM_Task()).error, vim.fault.InvalidPowerState)
    assert isinstance(admin.ended(vm.PowerOffVM_Task()).error, vim.fault.InvalidPowerState)


@shaped("vc", [Shape(clusters=1, hosts=4, vms=0, task_ms=20)], indirect=True)
def test_many_clones_and_moves_at_once_leave_every_list_right(admin: Administrator) -> None:
    hosts = [f"esxi-1-{number}" for number in range(1, 5)]

    def moved(number: int, host: str) -> str:
        return admin.ended(admin.relocate(f"web-{number}", host)).state

    def made(number: int) -> str:
        task = admin.clone(
            f"web-{number}", hosts[number % 4], "shared-1-1", memoryMB=4 * (number + 1)
        )
        return admin.ended(task).state

    with ThreadPoolExecutor(12) as crowd:
        assert set(crowd.map(made, range(24))) == {"success"}
        assert set(crowd.map(moved, range(24), [hosts[(n + 1) % 4] for n in range(24)])) == {
            "success"
        }
    for place, host in enumerate(hosts):
        expected = [f"web-{number}" for number in range(24) if (number + 1) % 4 == place]
        found = [vm for vm in admin.host(host).vm if not vm.config.template]
        assert names(found) == sorted(expected)
    assert len(admin.datastore("shared-1-1").vm) == 24
    web = admin.vm("web-7")
    assert (web.config.hardware.memoryMB, web.runtime.host.name) == (32, "esxi-1-1")
