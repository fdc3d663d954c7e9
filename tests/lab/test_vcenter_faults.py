"""Each fault of the rig's vCenter does what it says: done or not done, told or not told."""

import http.client
import ssl
import threading
import time
from pathlib import Path

import pytest
from pyVmomi import vim, vmodl

from tests.lab.administrator import Administrator, stub, until, watch
from tests.lab.vcenter import Shape, VCenter, VCenterError, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())
shaped = pytest.mark.parametrize
LOST = (http.client.RemoteDisconnected, ConnectionResetError)


def vms(vc: VCenter, name: str) -> int:
    return sum(each == name for each in vc.named("VirtualMachine"))


def test_a_lost_reply_is_of_something_done(vc: VCenter, admin: Administrator) -> None:
    for method in ("CloneVM_Task", "PowerOffVM_Task", "RelocateVM_Task"):
        vc.fault(method, "dropafter")
    with pytest.raises(LOST):
        admin.clone("web", "esxi-1-1", "shared-1-1")
    assert vms(vc, "web") == 1
    with pytest.raises(LOST):
        admin.vm("vm-1-1").PowerOffVM_Task()
    assert admin.vm("vm-1-1").runtime.powerState == "poweredOff"
    with pytest.raises(LOST):
        admin.relocate("vm-1-2", "esxi-1-1")
    assert admin.vm("vm-1-2").runtime.host.name == "esxi-1-1"
    assert vc.calls()["CloneVM_Task"] == 1


@shaped("vc", [Shape(task_ms=200)], indirect=True)
def test_a_task_whose_reply_was_lost_is_found_at_its_vm(vc: VCenter, admin: Administrator) -> None:
    vc.fault("RelocateVM_Task", "dropafter")
    with pytest.raises(LOST):
        admin.relocate("vm-1-1", "esxi-1-2")
    (task,) = admin.vm("vm-1-1").recentTask
    assert task.info.state == "running"
    assert admin.ended(task).state == "success"
    assert admin.vm("vm-1-1").runtime.host.name == "esxi-1-2"


def test_a_dropped_call_did_nothing(vc: VCenter, admin: Administrator) -> None:
    vc.fault("CloneVM_Task", "drop")
    with pytest.raises(LOST):
        admin.clone("web", "esxi-1-1", "shared-1-1")
    assert vms(vc, "web") == 0
    assert admin.ended(admin.clone("web", "esxi-1-1", "shared-1-1")).state == "success"


def test_a_storm_of_503_ends_after_so_many(vc: VCenter, admin: Administrator) -> None:
    storm = vc.fault("*", "status", times=3, status=503)
    for _ in range(3):
        with pytest.raises(http.client.HTTPException, match="503"):
            admin.content.sessionManager.SessionIsActive("any", vc.user)
    assert admin.content.sessionManager.SessionIsActive("any", vc.user) is False
    assert storm.hits() == 3


def test_the_versions_may_be_disturbed_and_counted_too(vc: VCenter) -> None:
    vc.fault("ServiceVersions", "status", status=500)
    context = ssl.create_default_context(cafile=str(vc.certificate))
    seen = []
    for _ in range(2):
        connection = http.client.HTTPSConnection(vc.host, vc.port, context=context, timeout=10)
        connection.request("GET", "/sdk/vimServiceVersions.xml")
        answer = connection.getresponse()
        seen.append((answer.status, b"<version>6.5" in answer.read()))
        connection.close()
    assert seen == [(500, False), (200, True)]
    assert vc.calls() == {"ServiceVersions": 2}


def test_calls_that_go_by_and_calls_that_fail(vc: VCenter, admin: Administrator) -> None:
    vc.fault("PowerOffVM_Task", "fault", skip=1, fault="NoPermission")
    assert admin.ended(admin.vm("vm-1-1").PowerOffVM_Task()).state == "success"
    with pytest.raises(vim.fault.NoPermission):
        admin.vm("vm-1-2").PowerOffVM_Task()
    assert admin.ended(admin.vm("vm-1-2").PowerOffVM_Task()).state == "success"


@shaped(
    "name", ["InsufficientResourcesFault", "NoDiskSpace", "ConcurrentAccess", "InvalidPowerState"]
)
def test_a_task_ends_with_a_fault_and_did_nothing(
    vc: VCenter, admin: Administrator, name: str
) -> None:
    vc.fault("CloneVM_Task", "taskfault", fault=name)
    done = admin.ended(admin.clone("web", "esxi-1-1", "shared-1-1"))
    assert (done.state, type(done.error)) == ("error", getattr(vim.fault, name))
    assert vms(vc, "web") == 0


def test_a_held_call_is_not_done_when_its_client_has_gone(
    vc: VCenter, admin: Administrator
) -> None:
    vm = admin.vm("vm-1-1")
    held = vc.fault("PowerOffVM_Task", "hold")
    with pytest.raises(TimeoutError), admin.hasty():
        vm.PowerOffVM_Task()
    until(lambda: held.hits() == 1)
    held.remove()
    assert vm.runtime.powerState == "poweredOn"
    vc.fault("PowerOffVM_Task", "holdafter")
    with pytest.raises(TimeoutError), admin.hasty():
        vm.PowerOffVM_Task()
    assert vm.runtime.powerState == "poweredOff"


def test_a_change_from_outside_reaches_who_waits(vc: VCenter, admin: Administrator) -> None:
    host = vc.named("HostSystem")["esxi-1-1"]
    load = "summary.quickStats.overallCpuUsage"
    with watch(admin, admin.host("esxi-1-1"), load, "runtime.connectionState") as changes:
        vc.set("HostSystem", host, {load: 30000})
        assert changes() == {load: 30000}
        vc.lose_host(host)
        assert changes() == {"runtime.connectionState": "notResponding"}
    with pytest.raises(VCenterError, match=r"summary.nothing: no such property"):
        vc.set("HostSystem", host, {"summary.nothing": 1})
    drs = vc.named("ClusterComputeResource")["rack-1"]
    with pytest.raises(VCenterError, match="it cannot be set"):
        vc.set("ClusterComputeResource", drs, {"configurationEx.drsConfig.enabled": True})


def test_sessions_that_are_ended_are_told_at_once(vc: VCenter, admin: Administrator) -> None:
    collector = admin.content.propertyCollector.CreatePropertyCollector()
    collector.CreateFilter(
        vim.PropertyCollector.FilterSpec(
            objectSet=[vim.PropertyCollector.ObjectSpec(obj=admin.host("esxi-1-1"))],
            propSet=[vim.PropertyCollector.PropertySpec(type=vim.HostSystem, pathSet=["name"])],
        ),
        True,
    )
    version = collector.WaitForUpdatesEx("", None).version
    waiting = vc.fault("WaitForUpdatesEx", "delay")

    def end_sessions() -> None:
        until(lambda: waiting.hits() == 1)
        vc.end_sessions()

    other = threading.Thread(target=end_sessions)
    other.start()
    begin_s = time.monotonic()
    with pytest.raises(vim.fault.NotAuthenticated):
        collector.WaitForUpdatesEx(version, vim.PropertyCollector.WaitOptions(maxWaitSeconds=15))
    other.join()
    assert time.monotonic() - begin_s < 10
    with pytest.raises(vim.fault.NotAuthenticated):
        admin.content.sessionManager.SessionIsActive("any", vc.user)
    admin.login()
    assert admin.vm("vm-1-1").runtime.powerState == "poweredOn"
    with pytest.raises(vmodl.fault.ManagedObjectNotFound):
        collector.WaitForUpdatesEx(version, None)


def test_a_task_goes_on_when_its_session_is_ended(vc: VCenter, admin: Administrator) -> None:
    held = vc.fault("RelocateVM_Task", "taskhold")
    task = admin.relocate("vm-1-1", "esxi-1-2")
    vc.end_sessions()
    with pytest.raises(vim.fault.NotAuthenticated):
        _ = task.info
    admin.login()
    assert task.info.state == "running"
    held.remove()
    assert admin.ended(task).state == "success"


def test_a_waiter_who_hung_up_takes_no_updates_along(vc: VCenter, admin: Administrator) -> None:
    other = Administrator(vc)
    with watch(other, other.vm("vm-1-1"), "runtime.powerState") as changes:
        with pytest.raises(TimeoutError), other.hasty():
            changes()
        admin.vm("vm-1-1").PowerOffVM_Task()
        assert changes() == {"runtime.powerState": "poweredOff"}
    other.close()


@shaped("vc", [Shape(session_idle_s=1.0)], indirect=True)
def test_an_idle_session_ends(vc: VCenter, admin: Administrator) -> None:
    """Whoever goes on asking stays."""
    other = Administrator(vc)
    until(lambda: len(other.content.sessionManager.sessionList) == 1)
    other.close()
    with pytest.raises(vim.fault.NotAuthenticated):
        admin.content.sessionManager.SessionIsActive("any", "any")


def test_only_the_right_password_gets_in(vc: VCenter, admin: Administrator) -> None:
    other = stub(vc)
    content = vim.ServiceInstance("ServiceInstance", other).RetrieveContent()
    with pytest.raises(vim.fault.InvalidLogin):
        content.sessionManager.Login(vc.user, "wrong")
    other.DropConnections()


def test_another_certificate_is_refused(vc: VCenter) -> None:
    wrong = stub(vc, trust=vc.other_certificate)
    with pytest.raises(ssl.SSLCertVerificationError):
        vim.ServiceInstance("ServiceInstance", wrong).RetrieveContent()
    fetched = ssl.get_server_certificate((vc.host, vc.port))
    assert fetched.strip() == Path(vc.certificate).read_text().strip()


def test_a_frozen_server_accepts_and_never_answers(vc: VCenter, admin: Administrator) -> None:
    vm = admin.vm("vm-1-1")
    vc.freeze()
    with pytest.raises(TimeoutError), admin.hasty():
        _ = vm.name
    vc.thaw()
    assert vm.name == "vm-1-1"


def test_calls_are_counted(vc: VCenter, admin: Administrator) -> None:
    vc.forget_calls()
    assert admin.vm("vm-1-1").name == "vm-1-1"
    admin.vm("vm-1-1").ShutdownGuest()
    assert vc.calls() == {"Fetch": 1, "ShutdownGuest": 1}


def test_tasks_that_ended_long_ago_are_unknown(vc: VCenter, admin: Administrator) -> None:
    task = admin.vm("vm-1-1").PowerOffVM_Task()
    assert admin.ended(task).state == "success"
    vc.forget_tasks()
    with pytest.raises(vmodl.fault.ManagedObjectNotFound):
        _ = task.info


def test_faults_that_are_unknown_are_refused(vc: VCenter) -> None:
    with pytest.raises(VCenterError, match="no such kind: dorp"):
        vc.fault("*", "dorp")
    with pytest.raises(VCenterError, match="no such fault: Nonsense"):
        vc.fault("*", "taskfault", fault="Nonsense")
