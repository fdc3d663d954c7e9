"""The rig's vCenter has guests that obey or do not, questions, and users with few rights."""

import pytest
from pyVmomi import vim

from tests.lab.administrator import Administrator, until, watch
from tests.lab.vcenter import Shape, VCenter, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())
shaped = pytest.mark.parametrize


def test_a_question_holds_a_task_up_until_it_is_answered(vc: VCenter, admin: Administrator) -> None:
    vm = admin.vm("vm-1-1")
    assert admin.ended(vm.PowerOffVM_Task()).state == "success"
    for choice, state in (("1", "poweredOff"), ("0", "poweredOn")):
        vc.fault("PowerOnVM_Task", "question", text="The datastore is full. Retry?")
        with watch(admin, vm, "runtime.question") as changes:
            task = vm.PowerOnVM_Task()
            asked = changes()["runtime.question"]
        assert asked.text == "The datastore is full. Retry?"
        assert [each.label for each in asked.choice.choiceInfo] == ["Retry", "Cancel"]
        assert task.info.state == "running"
        vm.AnswerVM(asked.id, choice)
        admin.ended(task)
        assert (vm.runtime.powerState, vm.runtime.question) == (state, None)


@shaped("vc", [Shape(shutdown_ms=100, boot_ms=100)], indirect=True)
def test_a_guest_takes_its_time(admin: Administrator) -> None:
    vm = admin.vm("vm-1-1")
    with watch(admin, vm, "runtime.powerState") as changes:
        vm.ShutdownGuest()
        assert vm.runtime.powerState == "poweredOn"
        assert changes() == {"runtime.powerState": "poweredOff"}
    with pytest.raises(vim.fault.InvalidPowerState):
        vm.ShutdownGuest()
    assert admin.ended(vm.PowerOnVM_Task()).state == "success"
    with pytest.raises(vim.fault.ToolsUnavailable):
        vm.ShutdownGuest()
    until(lambda: vm.guest.toolsRunningStatus == "guestToolsRunning")


def test_guests_without_tools_or_obedience(vc: VCenter, admin: Administrator) -> None:
    ids = vc.named("VirtualMachine")
    vc.guest(ids["vm-1-1"], obeys=False)
    admin.vm("vm-1-1").ShutdownGuest()
    assert admin.vm("vm-1-1").runtime.powerState == "poweredOn"
    vc.guest(ids["template-1"], tools=False)
    web = admin.ended(admin.clone("web", "esxi-1-1", "shared-1-1")).result
    assert admin.ended(web.PowerOnVM_Task()).state == "success"
    assert web.guest.toolsRunningStatus == "guestToolsNotRunning"
    with pytest.raises(vim.fault.ToolsUnavailable):
        web.ShutdownGuest()
    vc.guest(ids["vm-1-1"])
    admin.vm("vm-1-1").ShutdownGuest()
    assert admin.vm("vm-1-1").runtime.powerState == "poweredOff"


def test_a_user_may_do_what_privileges_say(vc: VCenter, admin: Administrator) -> None:
    move = {"Resource.HotMigrate", "Resource.AssignVMToPool"}
    vc.privileges(move)
    manager, session = admin.content.authorizationManager, admin.content.sessionManager
    (found,) = manager.HasPrivilegeOnEntities(
        [admin.content.rootFolder],
        session.currentSession.key,
        ["Resource.HotMigrate", "Resource.ColdMigrate"],
    )
    assert [each.isGranted for each in found.privAvailability] == [True, False]
    assert admin.ended(admin.relocate("vm-1-1", "esxi-1-2")).state == "success"
    with pytest.raises(vim.fault.NoPermission) as refused:
        admin.relocate("vm-1-1", "esxi-1-1", "local-1-1")
    assert refused.value.privilegeId == "Datastore.AllocateSpace"
    vc.privileges(move - {"Resource.HotMigrate"})
    with pytest.raises(vim.fault.NoPermission):
        admin.relocate("vm-1-1", "esxi-1-1")
    assert admin.vm("vm-1-1").runtime.host.name == "esxi-1-2"
    vc.privileges(None)
    assert admin.ended(admin.relocate("vm-1-1", "esxi-1-1", "local-1-1")).state == "success"
