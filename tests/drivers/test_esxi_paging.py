"""What pyvmomi hands to the driver of ESXi hosts is read to the end or not at all; what the lab's
vCenter cannot do, such as pages, is played by a double here."""

from dataclasses import dataclass, field
from http.client import HTTPException, RemoteDisconnected
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from pyVmomi import vim, vmodl

from drivers.esxi import marker
from drivers.esxi.connection.paging import Collector, one, read
from drivers.esxi.connection.session import Service
from drivers.esxi.connection.tls import NoConnection
from drivers.esxi.connection.versions import _numbers, _offered
from drivers.esxi.diagnostics import _privileges
from drivers.esxi.faults import fault_of, refusal_of
from drivers.esxi.options import EsxiOptions
from drivers.esxi.role import PRIVILEGES
from drivers.esxi.vms.state_changes import VcenterState
from drivers.faults import Busy, Fault, Indeterminate, Missing, Rejected, Unreachable

HOST = vim.HostSystem("host-1")
NAMES = {vim.VirtualMachine: ("name",)}


def content(number: int, *, missing: Any = None) -> Any:
    """One VM as the property collector tells of it."""
    found = Collector.ObjectContent(obj=vim.VirtualMachine(f"vm-{number}"))
    if missing is not None:
        found.missingSet = [Collector.MissingProperty(path="name", fault=missing)]
    else:
        found.propSet = [vmodl.DynamicProperty(name="name", val=f"vm-{number}")]
    return found


@dataclass
class Pages:
    """A property collector with several pages, or with an error in place of one."""

    pages: list[Any]
    asked: list[str] = field(default_factory=list)

    def RetrievePropertiesEx(self, specs: Any, options: Any) -> Any:
        self.asked = [f"first of {options.maxObjects}"]
        return self._page(0)

    def ContinueRetrievePropertiesEx(self, token: str) -> Any:
        self.asked.append(token)
        return self._page(int(token))

    def _page(self, number: int) -> Any:
        page = self.pages[number]
        if isinstance(page, Exception):
            raise page
        token = str(number + 1) if number + 1 < len(self.pages) else None
        return SimpleNamespace(objects=page, token=token)


def service(pages: list[Any]) -> Any:
    """A session of such a collector."""
    return Service(None, SimpleNamespace(propertyCollector=Pages(pages)))


def test_a_listing_is_read_to_its_last_page() -> None:
    pages = [[content(1), content(2)], [content(3)], []]
    at = service(pages)
    assert [each.get("name") for each in read(at, [one(HOST)], NAMES, 2)] == [
        "vm-1",
        "vm-2",
        "vm-3",
    ]
    assert at.content.propertyCollector.asked == ["first of 2", "1", "2"]


def test_a_listing_with_a_page_missing_is_none() -> None:
    with pytest.raises(RemoteDisconnected):
        read(service([[content(1)], RemoteDisconnected("gone")]), [one(HOST)], NAMES)


def test_what_may_not_be_read_is_not_left_out_silently() -> None:
    denied = vim.fault.NoPermission(privilegeId="System.Read")
    with pytest.raises(Unreachable, match=r"name may not be read: .*NoPermission"):
        read(service([[content(1), content(2, missing=denied)]]), [one(HOST)], NAMES)


def test_a_session_that_ended_is_told_by_the_property_too() -> None:
    with pytest.raises(vim.fault.NotAuthenticated):
        read(service([[content(1, missing=vim.fault.NotAuthenticated())]]), [one(HOST)], NAMES)


def test_what_has_vanished_is_left_out() -> None:
    gone = vmodl.fault.ManagedObjectNotFound(obj=vim.VirtualMachine("vm-1"))
    found = read(service([[content(1, missing=gone), content(2)]]), [one(HOST)], NAMES)
    assert [each.id for each in found] == ["vm-2"]


def test_a_view_that_has_vanished_hides_nothing() -> None:
    """An empty listing would be taken for an empty vCenter."""
    view = vim.view.ContainerView("view-1")
    gone = vmodl.fault.ManagedObjectNotFound(obj=view)
    with pytest.raises(vmodl.fault.ManagedObjectNotFound):
        read(service([gone]), [one(view)], NAMES)


@pytest.mark.parametrize(
    ("error", "reading", "changing"),
    [
        (NoConnection("refused"), Unreachable, Unreachable),
        (TimeoutError("timed out"), Unreachable, Indeterminate),
        (RemoteDisconnected("gone"), Unreachable, Indeterminate),
        (HTTPException("503 Service Unavailable"), Busy, Indeterminate),
        (HTTPException("502 Bad Gateway"), Unreachable, Indeterminate),
        (TypeError("nonsense"), Unreachable, Indeterminate),
        (vmodl.fault.HostNotConnected(), Unreachable, Indeterminate),
        (vmodl.fault.SystemError(), Unreachable, Indeterminate),
        (vim.fault.NotAuthenticated(), Unreachable, Unreachable),
        (vim.fault.TaskInProgress(), Busy, Busy),
        (vmodl.fault.ManagedObjectNotFound(), Missing, Missing),
        (vim.fault.InvalidPowerState(), Rejected, Rejected),
    ],
    ids=lambda each: each.__name__ if isinstance(each, type) else type(each).__name__,
)
def test_what_an_error_of_a_call_means(
    error: Exception, reading: type[Fault], changing: type[Fault]
) -> None:
    """Unreachable and Busy only where certainly nothing began."""
    assert type(fault_of(error, "vc", changing=False)) is reading
    assert type(fault_of(error, "vc", changing=True)) is changing


@pytest.mark.parametrize(
    ("error", "fault", "said"),
    [
        (vim.fault.NoDiskSpace(), Rejected, "no capacity"),
        (vim.fault.InsufficientMemoryResourcesFault(), Rejected, "no capacity"),
        (vim.fault.DuplicateName(name="web"), Rejected, "the name web is taken"),
        (vim.fault.NoPermission(privilegeId="VirtualMachine.Interact.Reset"), Rejected, "Reset"),
        (vim.fault.ConcurrentAccess(), Busy, "ConcurrentAccess"),
        (vmodl.fault.HostNotReachable(), Indeterminate, "lost"),
        (vmodl.fault.RequestCanceled(), Rejected, "RequestCanceled"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_what_an_error_of_a_task_means(error: Any, fault: type[Fault], said: str) -> None:
    found = refusal_of(error, "esxi-1")
    assert type(found) is fault
    assert said in found.message


def test_versions_are_read_and_compared_as_numbers() -> None:
    """The newest is 10.0, not 9.9; what is no number, and other APIs, do not count."""
    document = b"""<namespaces version="1.0"><namespace><name>urn:vim25</name>
    <version>10.0.0.0</version><priorVersions><version>9.9</version><version>2.5u2</version>
    </priorVersions></namespace><namespace><name>urn:sms</name><version>11.0</version></namespace>
    </namespaces>"""
    assert sorted(_offered(document)) == [(9, 9), (10,)]
    assert _numbers("7.0.0.0") == _numbers("7.0") == (7,)
    with pytest.raises(ValueError, match="not XML"):
        _offered(b"<html>")


def test_marks_are_read_as_they_are_written() -> None:
    """The last of a key counts, and what is no id is none."""
    vm, task = uuid4(), uuid4()
    written = [*marker.written(vm, task, "ds-1", "old"), *marker.renamed("ds-2", "new")]
    found = marker.read_from(written)
    assert (found.vm, found.task) == (vm, task)
    assert found.volumes == {"ds-1": "old", "ds-2": "new"}
    broken = vim.option.OptionValue(key="vmgate.task", value="x")
    assert marker.read_from([*written, broken]).task is None
    assert marker.read_from([]) == marker.ExtraConfigMarker()


def test_changes_of_hosts_that_are_not_ours_are_not_told() -> None:
    """A VM that comes from such a host arrives; nothing is said of the other."""
    vm = uuid4()
    world = VcenterState("vc", {"esxi-1": "first"}.get)
    for moid, name in (("host-1", "esxi-1"), ("host-2", "esxi-2")):
        world.hear(moid, {"name": name, "runtime.connectionState": "connected"})
    where = {"config.instanceUuid": str(vm), "runtime.powerState": "poweredOn"}
    world.hear("vm-1", {**where, "runtime.host": vim.HostSystem("host-2")})
    assert world.changes(silent=True) == []
    world.hear("vm-1", {"runtime.host": vim.HostSystem("host-1")})
    told = [(each.host, each.what.value, each.vm) for each in world.changes()]
    assert told == [("first", "ARRIVED", vm)]
    assert world.changes() == []


def test_missing_privileges_are_named() -> None:
    """The lab's vCenter lets its user do all."""
    lacking = ("Resource.HotMigrate", "VirtualMachine.Interact.Reset")
    held = SimpleNamespace(
        privAvailability=[
            SimpleNamespace(privId=each, isGranted=each not in lacking) for each in PRIVILEGES
        ]
    )
    asked: list[list[str]] = []

    def answer(entities: Any, session: str, privileges: list[str]) -> Any:
        asked.append(privileges)
        return [held]

    at: Any = SimpleNamespace(
        content=SimpleNamespace(
            searchIndex=SimpleNamespace(FindByInventoryPath=lambda path: path),
            sessionManager=SimpleNamespace(
                currentSession=SimpleNamespace(key="1", userName="LAB\\vmgate")
            ),
            authorizationManager=SimpleNamespace(HasPrivilegeOnEntities=answer),
        )
    )
    remark = _privileges(at, "vc", EsxiOptions(datacenter="lab"))
    assert asked == [list(PRIVILEGES)]
    assert not remark.well
    assert remark.said == "LAB\\vmgate lacks Resource.HotMigrate, VirtualMachine.Interact.Reset"
