"""A caller finds the VMs of its own enterprise only, or all with the privilege for that.

What it may not see does not exist for it: the answer is the same VM-1.
"""

from dataclasses import dataclass
from uuid import UUID

from gateway.caller import Caller
from gateway.config.privileges import Privilege
from gateway.denial import ApiError, ErrorKind
from gateway.store import vm_insert, vms
from gateway.store.db.pool import Connection
from gateway.store.tasks import task_queries
from gateway.store.tasks.task_queries import Task
from gateway.store.vm_insert import AppliancePath
from gateway.store.vms import Vm
from gateway.tasks.submission import protected

EVERYWHERE = Privilege.ENTERPRISE_ADMINISTER_ALL.value


def conflict(
    code: str, message: str, field: str | None = None, *, task: str | None = None
) -> ApiError:
    """A refusal by a rule of the business; `task` is the one that stands in the way."""
    return ApiError(ErrorKind.CONFLICT, code, message, field=field, task=task)


def sees(caller: Caller, enterprise_id: int) -> bool:
    """Whether what belongs to this enterprise exists for the caller."""
    return caller.enterprise_id == enterprise_id or EVERYWHERE in caller.privileges


def readable(vm: Vm | None, caller: Caller) -> Vm:
    """The VM; ApiError VM-1 when there is none for this caller."""
    if vm is None or not sees(caller, vm.enterprise_id):
        raise ApiError(ErrorKind.ABSENT, "VM-1", "The virtual machine does not exist")
    return vm


def require_free(vm: Vm) -> None:
    """ApiError VM-2, with the task, while a task holds the VM."""
    if vm.open_task is not None:
        raise conflict(
            "VM-2", "The virtual machine is locked by another task", task=str(vm.open_task)
        )


def require_unprotected(vm: Vm, caller: Caller) -> None:
    """ApiError VM-120, with the reason, when the VM is protected from this caller."""
    if vm.protected and Privilege.VM_PROTECT_ACTION not in caller.privileges:
        raise protected(vm.name, vm.protected_cause)


async def find_vm(c: Connection, path: tuple[int, int, int], caller: Caller) -> Vm:
    """The VM at (virtual datacenter, appliance, VM)."""
    vdc, appliance, vm_id = path
    vm = readable(await vms.get(c, vm_id), caller)
    if (vm.virtualdatacenter_id, vm.virtualappliance_id) != (vdc, appliance):
        raise ApiError(ErrorKind.ABSENT, "VM-1", "The virtual machine does not exist")
    return vm


async def find_ground(c: Connection, path: tuple[int, int], caller: Caller) -> AppliancePath:
    """The appliance at (virtual datacenter, appliance)."""
    ground = await vm_insert.ground(c, *path)
    if ground is None or not sees(caller, ground.enterprise_id):
        raise ApiError(ErrorKind.ABSENT, "VAPP-0", "The virtual appliance does not exist")
    return ground


async def find_vdc(c: Connection, vdc: int, caller: Caller) -> None:
    """ApiError VDC-0 when this virtual datacenter does not exist for the caller."""
    enterprise = await vm_insert.enterprise_of_vdc(c, vdc)
    if enterprise is None or not sees(caller, enterprise):
        raise ApiError(ErrorKind.ABSENT, "VDC-0", "The virtual datacenter does not exist")


@dataclass(frozen=True, slots=True)
class DeletedVm:
    """Where a VM was that is deleted."""

    virtualdatacenter_id: int
    virtualappliance_id: int
    id: int


async def find_deletion(
    c: Connection, path: tuple[int, int, int], task: UUID, caller: Caller
) -> DeletedVm | None:
    """Where the VM was that this task deleted; None when it did not, or is not for the caller."""
    found = await task_queries.get(c, path[2], task)
    if found is None or not found.deletes or found.result != "success":
        return None
    return DeletedVm(*path) if sees(caller, found.enterprise_id) else None


async def find_task(c: Connection, vm: Vm | DeletedVm, task: UUID) -> Task:
    """A task of the VM; ApiError TASK-1 when there is no such."""
    found = await task_queries.get(c, vm.id, task)
    if found is None:
        raise ApiError(ErrorKind.ABSENT, "TASK-1", "The task does not exist")
    return found
