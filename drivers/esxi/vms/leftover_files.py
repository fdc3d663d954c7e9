"""What a VM leaves behind in a datastore when somebody took it out of the vCenter's inventory.

Its folder carries its id, because its name does. It is deleted only while it holds the
configuration file and one disk, and no VM that the vCenter knows uses a file in it; of everything
else it is said where it lies.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pyVmomi import vim

from drivers.contract import Outcome, Permit, Remove, Ticket, Verdict
from drivers.esxi import names, places, queries
from drivers.esxi.connection.paging import PropertyPage, along, one, read, read_each
from drivers.esxi.connection.session import Service
from drivers.esxi.connection.task_wait import Ends
from drivers.esxi.connection.vcenter import Vcenter
from drivers.esxi.connection.vcenter_tasks import Begin, TaskRunner
from drivers.esxi.faults import refusal_of
from drivers.esxi.options import EsxiOptions
from drivers.esxi.queries import RUNNING
from drivers.esxi.vms import devices, operations
from drivers.esxi.vms.operations import Check
from drivers.faults import Indeterminate, Missing, Rejected

KNOWN_MAX = 1024
_REMOVING_MAX = 3
_TASK = ("info.state", "info.error", "info.result")
_PART = re.compile(r"-(flat|delta|sesparse|ctk|rdm|rdmp|\d{6})\.vmdk$")
Find = Callable[[Service], Any]
"""The object of the order's host in a session."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder whose name carries a VM's id; `kept` says why it is not deleted, empty when it may
    be."""

    path: str
    kept: str


class Remains:
    """Removes VMs of one vCenter, with all that is theirs."""

    def __init__(
        self, vcenter: Vcenter, tasks: TaskRunner, ends: Ends, options: EsxiOptions
    ) -> None:
        self._vcenter = vcenter
        self._tasks = tasks
        self._ends = ends
        self._options = options
        self._destroyed: OrderedDict[UUID, None] = OrderedDict()

    async def remove(self, permit: Permit, order: Remove, host: Find) -> None:
        """Delete the VM, once disks of somebody else are taken off it; where it is in no inventory,
        its files. Raises Rejected that names files that stay."""
        with_files = [False]

        def removing(service: Service, check: Check) -> Any:
            task, with_files[0] = operations.remove(service, order, host(service), check)
            return task

        for _ in range(_REMOVING_MAX):
            if not await self._tasks.run(permit, order.at.host, removing):
                break
            if with_files[0]:
                self._remember(permit.task)
                return
        await self._clear(permit, order, host)

    def _remember(self, task: UUID) -> None:
        """The vCenter itself has deleted a VM with its files, for this task of ours."""
        self._destroyed[task] = None
        while len(self._destroyed) > KNOWN_MAX:
            self._destroyed.popitem(last=False)

    async def _clear(self, permit: Permit, order: Remove, host: Find) -> None:
        stays = []
        for folder in await self._found(order, host):
            if folder.kept:
                stays.append(f"{folder.path}: {folder.kept}")
                continue
            await self._tasks.run(permit, order.at.host, self._deleting(order, host, folder))
        if stays:
            raise Rejected(
                f"the VM is in no inventory, and its files stay: {'; '.join(stays)}",
                host=order.at.host,
            )

    async def settled(self, ticket: Ticket, order: Remove, host: Find) -> Outcome:
        """What became of a VM that is not in the vCenter: gone, unless something is left of it."""
        if ticket.task in self._destroyed:
            return Outcome(Verdict.DONE)
        try:
            left = [each.path for each in await self._found(order, host)]
        except (Rejected, Missing) as refused:
            left = [refused.message]
        if not left:
            return Outcome(Verdict.DONE)
        return Outcome(Verdict.ABSENT, None, f"files are left: {', '.join(left)}")

    async def _found(self, order: Remove, host: Find) -> list[Folder]:
        """The folders of the order's datastore that carry the VM's id."""
        query = [vim.host.DatastoreBrowser.FolderQuery()]
        name, files = await self._search(order, host, "", [f"*{order.vm}*"], query)
        exact = re.compile(rf"(\w+[-_])?{order.vm}(_\d+)?")
        found = []
        for each in files:
            _, inside = await self._search(order, host, each, ["*"], None)
            kept = _why_kept(inside) if exact.fullmatch(each) else "its name is not the VM's"
            found.append(Folder(f"[{name}] {each}", kept))
        return found

    async def _search(
        self, order: Remove, host: Find, folder: str, patterns: list[str], query: Any
    ) -> tuple[str, list[str]]:
        """The datastore's name, and the names in one of its folders."""

        def begin(service: Service) -> tuple[str, str]:
            store = _datastore(service, order, host(service))
            kind = vim.host.DatastoreBrowser.SearchSpec
            spec = kind(matchPattern=patterns, query=query or [])
            name = str(store.get("name"))
            task = store.get("browser").SearchDatastore_Task(f"[{name}] {folder}".strip(), spec)
            return name, task._moId

        name, task = await self._vcenter.look(begin)
        seen: list[PropertyPage] = []

        async def over() -> bool:
            seen[:] = await self._vcenter.look(
                lambda s: read(s, [one(s.ref(vim.Task, task))], {vim.Task: _TASK})
            )
            return not any(each.get("info.state") in RUNNING for each in seen)

        if not await self._ends.until(task, over, self._options.call_timeout_s) or not seen:
            raise Indeterminate(f"[{name}] is not searched in time", host=order.at.host)
        error = seen[0].get("info.error")
        if isinstance(error, vim.fault.FileNotFound):
            return name, []
        if error is not None:
            raise refusal_of(error, order.at.host)
        return name, [str(each.path) for each in seen[0].get("info.result").file or ()]

    def _deleting(self, order: Remove, host: Find, folder: Folder) -> Begin:
        return lambda s, check: self._delete(s, order, host(s), folder.path, check)

    def _delete(self, service: Service, order: Remove, host: Any, path: str, check: Check) -> Any:
        """The task that deletes a folder, once it is seen that nobody uses it."""
        if queries.find(service, order.vm) is not None:
            raise Rejected("the VM is registered again", host=order.at.host)
        store = _datastore(service, order, host)
        start = one(store.ref, along(vim.Datastore, "vm"))
        wanted = {vim.VirtualMachine: ("name", *devices.DEVICE_PATHS)}
        for vm in read_each(service, [start], wanted):
            if vm.unread:
                raise Rejected("a VM of the datastore may not be read", host=order.at.host)
            if path in devices.folders_of(vm):
                raise Rejected(f"{vm.get('name')} uses files in it", host=order.at.host)
        check()
        files = service.content.fileManager
        return files.DeleteDatastoreFile_Task(path, places.datacenter(service, self._options))


def _why_kept(files: Iterable[str]) -> str:
    """A configuration file and at most one disk are a VM's own: others may be somebody else's."""
    all_ = list(files)
    disks = [each for each in all_ if each.endswith(".vmdk") and not _PART.search(each)]
    if len(disks) > 1:
        return f"it holds {len(disks)} disks"
    return "" if any(each.endswith(".vmx") for each in all_) else "it holds no configuration file"


def _datastore(service: Service, order: Remove, host: Any) -> PropertyPage:
    found = read_each(
        service,
        [one(host, along(vim.HostSystem, "datastore"))],
        {vim.Datastore: ("name", "browser")},
    )
    readable = [each for each in found if not each.unread]
    return names.only(readable, order.at.datastore, "datastore", order.at.host)
