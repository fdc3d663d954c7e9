"""What the vCenter shows of VMs, hosts and tasks; everything here only reads.

A host that the vCenter has lost is not looked at: what is said of it, and of VMs on it, is old.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pyVmomi import vim

from drivers.contract import HostLink
from drivers.esxi import marker, names
from drivers.esxi.connection.paging import PropertyPage, along, one, read, read_each, whole
from drivers.esxi.connection.session import Service
from drivers.esxi.marker import ExtraConfigMarker
from drivers.esxi.vms import devices
from drivers.esxi.vms.states import CONNECTED, STATE_PATHS, power_of, reason_of
from drivers.facts import PowerState, Sighting
from drivers.faults import Unreachable

VM_PATHS = (
    "name",
    "config.instanceUuid",
    "config.template",
    "config.hardware.numCPU",
    "config.hardware.memoryMB",
    "config.changeVersion",
    *STATE_PATHS,
    "runtime.host",
    "datastore",
)
GUEST_PATHS = ("guest.toolsRunningStatus", "guest.toolsStatus", "guest.toolsVersionStatus2")
MARKED_PATHS = (
    *VM_PATHS,
    "config.extraConfig",
    *GUEST_PATHS,
    *devices.DEVICE_PATHS,
    "snapshot",
    "runtime.faultToleranceState",
)
HOST_PATHS = ("name", "parent", "runtime.connectionState", "runtime.inMaintenanceMode")
TASK_PATHS = (
    "info.entity",
    "info.state",
    "info.descriptionId",
    "info.progress",
    "info.cancelable",
)
RUNNING = ("queued", "running")


@dataclass(frozen=True, slots=True)
class VsphereVm:
    """A VM wherever it is in the vCenter, with its mark, and the hosts that were asked about. `at`
    is what the vCenter calls the host it is on, `stores` name its datastores by their ids."""

    vm: PropertyPage | None
    mark: ExtraConfigMarker
    hosts: Mapping[str, PropertyPage]
    at: str = ""
    stores: Mapping[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str | None:
        """The name of the host it is on, if that is one of those."""
        at = self.vm.get("runtime.host") if self.vm is not None else None
        return next((name for name, host in self.hosts.items() if at == host.ref), None)

    def anywhere(self, known: Mapping[str, HostLink]) -> Sighting | None:
        """The VM on whichever of our hosts it is; `known` are those by the vCenter's names."""
        link = known.get(self.at)
        if self.vm is None or link is None:
            return None
        return sighting_of(self.vm, self.mark, link, self.stores)

    @property
    def power(self) -> PowerState:
        """Its power."""
        return power_of(self.vm) if self.vm is not None else PowerState.UNKNOWN

    def sighting(self, host: str) -> Sighting | None:
        """The VM if it is on `host`."""
        if self.vm is None or self.host != host:
            return None
        return sighting_of(self.vm, self.mark, HostLink(host, host), self.stores)


def find(service: Service, vm: UUID) -> Any:
    """The VM's object; None when the vCenter positively has none of that id."""
    return service.content.searchIndex.FindByUuid(None, str(vm), True, True)


def require_gone(service: Service, id_: str) -> None:
    """A search does not find what may not be read either: raise Unreachable if the VM that was
    known by this id is still there."""
    ref = service.ref(vim.VirtualMachine, id_)
    for _ in read(service, [one(ref)], {vim.VirtualMachine: ("config.instanceUuid",)}):
        raise Unreachable("the vCenter has the VM and does not find it")


def see(service: Service, vm: UUID, hosts: Mapping[str, Any]) -> VsphereVm:
    """The VM, and these hosts; the vCenter must have in sight the host that the VM is on, and where
    that is none of these, or nowhere, these too. Raises Unreachable."""
    ref = find(service, vm)  # asked anew each time: a remembered one may be another VM's by now
    starts = [one(host) for host in hosts.values()]
    wanted: dict[Any, tuple[str, ...]] = {vim.HostSystem: HOST_PATHS}
    if ref is not None:
        kind = vim.VirtualMachine
        starts.append(one(ref, along(kind, "runtime.host"), along(kind, "datastore")))
        wanted |= {kind: MARKED_PATHS, vim.Datastore: ("name",)}
    by_ref = {each.id: each for each in read_each(service, starts, wanted)}
    vm_found = by_ref.get(ref._moId) if ref is not None else None
    if vm_found is None:
        return VsphereVm(None, ExtraConfigMarker(), _asked(by_ref, hosts))
    whole([vm_found])
    own = by_ref.get(getattr(vm_found.get("runtime.host"), "_moId", ""))
    at = str(own.get("name")) if own is not None else ""
    if own is not None and own.ref not in hosts.values():
        in_sight(own, at)
        asked = {name: by_ref[host._moId] for name, host in hosts.items() if host._moId in by_ref}
    else:
        asked = _asked(by_ref, hosts)
    stores = {
        each.id: str(each.get("name"))
        for each in by_ref.values()
        if isinstance(each.ref, vim.Datastore) and each.get("name")
    }
    mark = marker.read_from(vm_found.get("config.extraConfig", ()))
    return VsphereVm(vm_found, mark, asked, at, stores)


def _asked(by_ref: Mapping[str, PropertyPage], hosts: Mapping[str, Any]) -> dict[str, PropertyPage]:
    return {name: in_sight(by_ref.get(host._moId), name) for name, host in hosts.items()}


def in_sight(host: PropertyPage | None, name: str) -> PropertyPage:
    """The host; raises Unreachable when the vCenter has none such or has lost it."""
    if host is None:
        raise Unreachable(f"the vCenter has no such host: {name}", host=name)
    state = host.get("runtime.connectionState")
    if state != CONNECTED:
        raise Unreachable(f"the vCenter says that {name} is {state}", host=name)
    return host


def sighting_of(
    vm: PropertyPage, mark: ExtraConfigMarker, at: HostLink, stores: Mapping[str, str] | None = None
) -> Sighting:
    """A VM on a host of ours; `stores` are the names of datastores, as far as they are known."""
    own = UUID(vm.get("config.instanceUuid"))
    ours = mark.vm == own
    ids = devices.datastores_of(vm, mark)
    volumes = tuple(mark.volumes[each] for each in ids if each in mark.volumes)
    return Sighting(
        vm=own,
        host=at.name,
        state=power_of(vm),
        name=names.decoded(vm.get("name", "")),
        cpu=int(vm.get("config.hardware.numCPU", 0)),
        ram_mib=int(vm.get("config.hardware.memoryMB", 0)),
        task=mark.task if ours else None,
        volumes=volumes if ours else (),
        datastores=_named(ids, stores or {}, at.datastores),
        reason=reason_of(vm),
    )


def _named(
    ids: Iterable[str], stores: Mapping[str, str], configured: Collection[str]
) -> tuple[str, ...]:
    """Datastores as the configuration calls them; unnamed ones, which we may not read, are none."""
    return tuple(names.as_configured(stores[each], configured) for each in ids if each in stores)


def tasks_of(service: Service, entity: Any) -> list[PropertyPage]:
    """The tasks that wait or run on a VM, whoever began them."""
    starts = [
        one(service.content.taskManager, along(vim.TaskManager, "recentTask")),
        one(entity, along(vim.VirtualMachine, "recentTask")),
    ]
    found = read(service, starts, {vim.Task: TASK_PATHS})
    return [
        task
        for task in {each.id: each for each in found}.values()
        if task.get("info.entity") == entity and task.get("info.state") in RUNNING
    ]


def runs(service: Service, task: str) -> bool:
    """Whether the task of that id waits or runs; one that is known no more has ended."""
    found = read(service, [one(service.ref(vim.Task, task))], {vim.Task: ("info.state",)})
    return any(each.get("info.state") in RUNNING for each in found)


def tasks_on(service: Service, vm: UUID) -> list[PropertyPage]:
    """The same, of a VM that may not be there."""
    ref = find(service, vm)
    return [] if ref is None else tasks_of(service, ref)


def by_address(links: Iterable[HostLink]) -> dict[str, HostLink]:
    """The hosts by what the vCenter calls them."""
    return {link.address or link.name: link for link in links}
