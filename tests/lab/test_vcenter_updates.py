"""The rig's vCenter reads in pages and tells of changes, once each, as a vCenter does."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pyVmomi import vim, vmodl

from tests.lab.administrator import Administrator
from tests.lab.vcenter import Shape, VCenter, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())
shaped = pytest.mark.parametrize
Collector = vim.PropertyCollector


def all_of(admin: Administrator, kind: type, *properties: str) -> Any:
    """What a filter looks at: all objects of a kind."""
    manager = admin.content.viewManager
    view = manager.CreateContainerView(admin.content.rootFolder, [kind], True)
    way = Collector.TraversalSpec(type=vim.view.ContainerView, path="view", skip=False)
    start = Collector.ObjectSpec(obj=view, skip=True, selectSet=[way])
    what = Collector.PropertySpec(type=kind, pathSet=list(properties))
    return Collector.FilterSpec(objectSet=[start], propSet=[what])


@contextmanager
def told(admin: Administrator, most: int | None = None) -> Iterator[Callable[[str, int], Any]]:
    """Asks for what is new after a version, waiting for some seconds."""
    collector = admin.content.propertyCollector.CreatePropertyCollector()
    collector.CreateFilter(all_of(admin, vim.VirtualMachine, "name", "runtime.powerState"), True)
    yield lambda version, seconds: collector.WaitForUpdatesEx(
        version, Collector.WaitOptions(maxWaitSeconds=seconds, maxObjectUpdates=most)
    )


def objects(update: Any) -> list[Any]:
    return [each for part in update.filterSet for each in part.objectSet]


@shaped("vc", [Shape(clusters=1, vms=10)], indirect=True)
def test_a_listing_comes_in_pages_with_nothing_twice(admin: Administrator) -> None:
    collector = admin.content.propertyCollector
    spec = all_of(admin, vim.VirtualMachine, "name")
    page = collector.RetrievePropertiesEx([spec], Collector.RetrieveOptions(maxObjects=4))
    sizes, seen = [len(page.objects)], [each.propSet[0].val for each in page.objects]
    while page.token:
        page = collector.ContinueRetrievePropertiesEx(page.token)
        sizes.append(len(page.objects))
        seen += [each.propSet[0].val for each in page.objects]
    assert sizes == [4, 4, 3]
    assert sorted(seen) == sorted(["template-1", *(f"vm-1-{n}" for n in range(1, 11))])
    first = collector.RetrievePropertiesEx([spec], Collector.RetrieveOptions(maxObjects=4))
    collector.CancelRetrievePropertiesEx(first.token)
    with pytest.raises(vmodl.fault.InvalidArgument):
        collector.ContinueRetrievePropertiesEx(first.token)


@shaped("vc", [Shape(clusters=1, vms=10)], indirect=True)
def test_updates_come_in_pages_too(admin: Administrator) -> None:
    with told(admin, most=4) as ask:
        version, sizes, more = "", [], True
        while more:
            update = ask(version, 5)
            version, more = update.version, update.truncated
            sizes.append(len(objects(update)))
        assert sizes == [4, 4, 3]
        assert ask(version, 0) is None


def test_vms_enter_change_and_leave(admin: Administrator) -> None:
    with told(admin) as ask:
        first = ask("", 5)
        assert {each.kind for each in objects(first)} == {"enter"}
        assert ask(first.version, 0) is None
        made = admin.ended(admin.clone("web", "esxi-1-1", "shared-1-1")).result
        entered = ask(first.version, 5)
        (web,) = objects(entered)
        assert (web.kind, web.obj) == ("enter", made)
        assert {change.name: change.val for change in web.changeSet} == {
            "name": "web",
            "runtime.powerState": "poweredOff",
        }
        assert admin.ended(made.PowerOnVM_Task()).state == "success"
        changed = ask(entered.version, 5)
        (web,) = objects(changed)
        assert [(change.name, change.val) for change in web.changeSet] == [
            ("runtime.powerState", "poweredOn")
        ]
        admin.ended(made.PowerOffVM_Task())
        admin.ended(made.Destroy_Task())
        left = ask(changed.version, 5)
        assert [(each.kind, each.obj) for each in objects(left)] == [("leave", made)]


def test_a_lost_update_is_told_again_and_an_old_version_is_refused(admin: Administrator) -> None:
    with told(admin) as ask:
        first = ask("", 5)
        admin.ended(admin.vm("vm-1-1").PowerOffVM_Task())
        second = ask(first.version, 5)
        again = ask(first.version, 5)
        assert again.version == second.version
        assert [each.obj for each in objects(again)] == [admin.vm("vm-1-1")]
        admin.ended(admin.vm("vm-1-1").PowerOnVM_Task())
        assert ask(second.version, 5).version != second.version
        with pytest.raises(vmodl.query.InvalidCollectorVersion):
            ask(first.version, 5)


def test_a_waiter_is_cancelled(vc: VCenter, admin: Administrator) -> None:
    collector = admin.content.propertyCollector.CreatePropertyCollector()
    collector.CreateFilter(all_of(admin, vim.HostSystem, "name"), True)
    version = collector.WaitForUpdatesEx("", None).version
    collector.CancelWaitForUpdates()
    with pytest.raises(vmodl.fault.RequestCanceled):
        collector.WaitForUpdatesEx(version, Collector.WaitOptions(maxWaitSeconds=15))


@shaped("vc", [Shape(task_ms=100)], indirect=True)
def test_tasks_in_a_list_view_are_followed(admin: Administrator) -> None:
    view = admin.content.viewManager.CreateListView()
    collector = admin.content.propertyCollector.CreatePropertyCollector()
    way = Collector.TraversalSpec(type=vim.view.ListView, path="view", skip=False)
    start = Collector.ObjectSpec(obj=view, skip=True, selectSet=[way])
    what = Collector.PropertySpec(type=vim.Task, pathSet=["info.state"])
    collector.CreateFilter(Collector.FilterSpec(objectSet=[start], propSet=[what]), True)
    version = collector.WaitForUpdatesEx("", Collector.WaitOptions(maxWaitSeconds=0)).version
    task = admin.relocate("vm-1-1", "esxi-1-2")
    view.ModifyListView(add=[task])
    seen = []
    while "success" not in seen:
        update = collector.WaitForUpdatesEx(version, Collector.WaitOptions(maxWaitSeconds=5))
        version = update.version
        seen += [change.val for each in objects(update) for change in each.changeSet]
    assert seen in (["running", "success"], ["success"])


@shaped("vc", [Shape(clusters=2, hosts=4, vms=100)], indirect=True)
def test_changes_that_gathered_are_told_together(admin: Administrator) -> None:
    with told(admin) as ask:
        version = ask("", 5).version
        changed = [admin.vm(f"vm-1-{number}") for number in range(1, 51)]
        for vm in changed:
            vm.PowerOffVM_Task()
        update = ask(version, 5)
        assert {each.obj for each in objects(update)} == set(changed)
        assert ask(update.version, 0) is None
