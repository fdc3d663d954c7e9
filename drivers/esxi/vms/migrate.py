"""A move is one task of the vCenter: vMotion of a VM that runs, with its disk where that must."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim, vmodl

from drivers.contract import Relocate
from drivers.esxi import marker, places, queries
from drivers.esxi.connection.session import Service
from drivers.esxi.options import EsxiOptions
from drivers.esxi.queries import VsphereVm
from drivers.esxi.vms import devices
from drivers.esxi.vms.operations import Check, unprotected
from drivers.facts import PowerState
from drivers.faults import Busy, Missing, Rejected

_CANNOT_SAY = (
    vmodl.fault.NotSupported,
    vmodl.fault.NotImplemented,
    vmodl.fault.MethodNotFound,
    vmodl.fault.ManagedObjectNotFound,
    vim.fault.NoPermission,
)


@dataclass(frozen=True, slots=True)
class Way:
    """The objects of a move's source and target, and the options."""

    source: Any
    target: Any
    options: EsxiOptions

    def hosts(self, order: Relocate) -> dict[str, Any]:
        """Both by their names."""
        return {order.source.host: self.source, order.target.host: self.target}


def with_disk(order: Relocate) -> bool:
    """Whether the disk moves to another datastore too."""
    return order.source.datastore != order.target.datastore or (
        order.volume != order.spec.disk.volume
    )


def begin_check(service: Service, order: Relocate, way: Way) -> Any:
    """The task by which the vCenter says whether the move could be; None where it cannot say, or
    when the VM is there already."""
    seen = _ready(service, order, way)
    checker = service.content.vmProvisioningChecker
    if checker is None or seen.host == order.target.host:
        return None
    assert seen.vm is not None
    spec = _spec(service, order, way, seen)
    with suppress(*_CANNOT_SAY):
        return checker.CheckRelocate_Task(seen.vm.ref, spec, None)
    return None


def name_disk(service: Service, order: Relocate, way: Way, check: Check) -> Any:
    """Before a disk moves the VM is told its name there: the task, or None if it was."""
    seen = _ready(service, order, way)
    if seen.host == order.target.host:
        return None
    assert seen.vm is not None
    to = places.ground(service, way.target, order.target.host, way.options)
    store = to.datastore(order.target.datastore)
    if seen.mark.volumes.get(store._moId) == order.spec.disk.volume:
        return None
    change = vim.vm.ConfigSpec(extraConfig=marker.renamed(store._moId, order.spec.disk.volume))
    check()
    return seen.vm.ref.ReconfigVM_Task(change)


def begin(service: Service, order: Relocate, way: Way, check: Check) -> Any:
    """The move's task, or None when the VM is there already."""
    seen = _ready(service, order, way)
    if seen.host == order.target.host:
        return None
    assert seen.vm is not None
    spec = _spec(service, order, way, seen)
    check()
    return seen.vm.ref.RelocateVM_Task(spec, vim.VirtualMachine.MovePriority.highPriority)


def _spec(service: Service, order: Relocate, way: Way, seen: VsphereVm) -> Any:
    to = places.ground(service, way.target, order.target.host, way.options)
    spec = vim.vm.RelocateSpec(host=way.target)
    if with_disk(order):
        spec.datastore = to.datastore(order.target.datastore)
    if to.host.get("parent") != seen.hosts[order.source.host].get("parent"):
        spec.pool = to.pool
    return spec


def _ready(service: Service, order: Relocate, way: Way) -> VsphereVm:
    """The VM, on one of both hosts, with nothing going on."""
    seen = queries.see(service, order.spec.vm, way.hosts(order))
    if seen.vm is None:
        raise Missing(f"the VM does not exist on {order.source.host}", host=order.source.host)
    if seen.host is None:
        raise Rejected("the VM is on neither host", host=order.source.host)
    if seen.power is PowerState.UNKNOWN:
        raise Rejected("the VM cannot be read, so it is not moved", host=order.source.host)
    if queries.tasks_of(service, seen.vm.ref):
        raise Busy("another task of the vCenter holds the VM", host=order.source.host)
    movable(order, seen)
    return seen


def movable(order: Relocate, seen: VsphereVm) -> None:
    """Raise Rejected while something that is not ours would move with the VM."""
    assert seen.vm is not None
    unprotected(seen, order.source.host)
    if not with_disk(order) or seen.host == order.target.host:
        return
    for disk in devices.foreign_disks(seen.vm, seen.mark):  # the vCenter would move all
        raise Rejected(
            f"{disk} is attached and not part of the VM: detach it first", host=order.source.host
        )
