"""What the vCenter shows of VMs, hosts and tasks; everything here only reads.

A host that the vCenter has lost is not looked at: what is said of it, and of VMs on it, is old.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pyVmomi import vim

from drivers.contract import HostLink
from drivers.esxi import marker
from drivers.esxi.marker import Marker
from drivers.esxi.reading import Found, along, one, read
from drivers.esxi.session import Service
from drivers.facts import PowerState, Sighting
from drivers.faults import Unreachable

VM_PATHS = (
    "name",
    "config.instanceUuid",
    "config.template",
    "config.hardware.numCPU",
    "config.hardware.memoryMB",
    "config.changeVersion",
    "runtime.powerState",
    "runtime.connectionState",
    "runtime.host",
    "datastore",
)
GUEST_PATHS = ("guest.toolsRunningStatus", "guest.toolsStatus", "guest.toolsVersionStatus2")
MARKED_PATHS = (*VM_PATHS, "config.extraConfig", *GUEST_PATHS)
HOST_PATHS = ("name", "parent", "runtime.connectionState", "runtime.inMaintenanceMode")
TASK_PATHS = (
    "info.entity",
    "info.state",
    "info.descriptionId",
    "info.progress",
    "info.cancelable",
)
_POWER = {
    "poweredOn": PowerState.ON,
    "poweredOff": PowerState.OFF,
    "suspended": PowerState.PAUSED,
}
RUNNING = ("queued", "running")


@dataclass(frozen=True, slots=True)
class Seen:
    """A VM wherever it is in the vCenter, with its mark, and the hosts that were asked about."""

    vm: Found | None
    mark: Marker
    hosts: Mapping[str, Found]

    @property
    def host(self) -> str | None:
        """The name of the host it is on, if that is one of those."""
        at = self.vm.get("runtime.host") if self.vm is not None else None
        return next((name for name, host in self.hosts.items() if at == host.ref), None)

    @property
    def power(self) -> PowerState:
        """Its power."""
        return power_of(self.vm) if self.vm is not None else PowerState.UNKNOWN

    def sighting(self, host: str) -> Sighting | None:
        """The VM if it is on `host`."""
        if self.vm is None or self.host != host:
            return None
        return sighting_of(self.vm, self.mark, host)


def find(service: Service, vm: UUID) -> Any:
    """The VM's object; None when the vCenter positively has none of that id."""
    return service.content.searchIndex.FindByUuid(None, str(vm), True, True)


def see(service: Service, vm: UUID, hosts: Mapping[str, Any]) -> Seen:
    """The VM and these hosts, all of which the vCenter must have in sight; raises Unreachable."""
    ref = find(service, vm)  # asked anew each time: a remembered one may be another VM's by now
    starts = [one(host) for host in hosts.values()]
    wanted: dict[Any, tuple[str, ...]] = {vim.HostSystem: HOST_PATHS}
    if ref is not None:
        starts.append(one(ref))
        wanted[vim.VirtualMachine] = MARKED_PATHS
    found = read(service, starts, wanted)
    by_ref = {each.id: each for each in found}
    seen = {name: in_sight(by_ref.get(host._moId), name) for name, host in hosts.items()}
    vm_found = by_ref.get(ref._moId) if ref is not None else None
    if vm_found is None:
        return Seen(None, Marker(), seen)
    return Seen(vm_found, marker.read_from(vm_found.get("config.extraConfig", ())), seen)


def in_sight(host: Found | None, name: str) -> Found:
    """The host; raises Unreachable when the vCenter has none such or has lost it."""
    if host is None:
        raise Unreachable(f"the vCenter has no such host: {name}", host=name)
    state = host.get("runtime.connectionState")
    if state != "connected":
        raise Unreachable(f"the vCenter says that {name} is {state}", host=name)
    return host


def sighting_of(
    vm: Found, mark: Marker, host: str, names: Mapping[str, str] | None = None
) -> Sighting:
    """A VM on the host called `host`; `names` are those of datastores, as far as they are known."""
    own = UUID(vm.get("config.instanceUuid"))
    ours = mark.vm == own
    stores = [each._moId for each in vm.get("datastore", ())]
    volumes = tuple(mark.volumes[each] for each in stores if each in mark.volumes)
    return Sighting(
        vm=own,
        host=host,
        state=power_of(vm),
        name=vm.get("name", ""),
        cpu=int(vm.get("config.hardware.numCPU", 0)),
        ram_mib=int(vm.get("config.hardware.memoryMB", 0)),
        task=mark.task if ours else None,
        volumes=volumes if ours else (),
        datastores=tuple([names[each] for each in stores if each in names]) if names else (),
    )


def power_of(vm: Found) -> PowerState:
    """Its power; UNKNOWN when its host cannot read the VM."""
    if vm.get("runtime.connectionState") != "connected":
        return PowerState.UNKNOWN
    return _POWER.get(str(vm.get("runtime.powerState")), PowerState.UNKNOWN)


def tasks_of(service: Service, entity: Any) -> list[Found]:
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


def tasks_on(service: Service, vm: UUID) -> list[Found]:
    """The same, of a VM that may not be there."""
    ref = find(service, vm)
    return [] if ref is None else tasks_of(service, ref)


def names_of(links: Iterable[HostLink]) -> dict[str, str]:
    """What the vCenter calls the hosts, to their own names."""
    return {link.address or link.name: link.name for link in links}
