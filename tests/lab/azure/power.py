"""A VM's power: started, stopped, deallocated, restarted, redeployed, evicted; what is refused."""

from tests.lab.azure import networks
from tests.lab.azure.cloud import Cloud, Vm
from tests.lab.azure.operations import Operation, accepted
from tests.lab.azure.replies import Call, Refused, Reply, fault

# What a VM's power is while such an operation goes on, and when it is done; "": as it was.
_POWER = {
    "start": ("starting", "running"),
    "poweroff": ("stopping", "stopped"),
    "deallocate": ("deallocating", "deallocated"),
    "restart": ("", "running"),
    "redeploy": ("starting", "running"),
    "reapply": ("", ""),
}
_NEEDS_RUNNING = ("restart",)


def act(cloud: Cloud, call: Call) -> Reply:
    """A power operation, a redeploy or a reapply."""
    vm, what = cloud.find_vm(call), call.names["action"].lower()
    idle(vm)
    if what in _NEEDS_RUNNING and vm.power != "running":
        message = (
            f"Operation '{what}' is not allowed on VM '{vm.name}' since the VM is not running."
        )
        raise fault(409, "OperationNotAllowed", message)
    during, after = _POWER[what]
    if what == "poweroff" and vm.power == "deallocated":
        during, after = "", ""  # an off VM that gave its compute back does not take it again
    operation = begin(cloud, call, vm, during, after)
    return accepted(operation, call, Reply(202), result=True, notify=False)


def idle(vm: Vm) -> None:
    """Passes when nothing goes on; else a conflict."""
    if vm.operation is not None and vm.operation.status == "InProgress":
        message = (
            "The request failed due to conflict with a concurrent request. To resolve it, please "
            "refer to https://aka.ms/activitylog to get more details on the conflicting requests."
        )
        raise fault(409, "Conflict", message)


def begin(cloud: Cloud, call: Call, vm: Vm, during: str, after: str) -> Operation:
    before = vm.power
    vm.properties["provisioningState"] = "Updating"

    def done() -> None:
        vm.properties["provisioningState"] = "Succeeded"
        become(cloud, vm, after, before)

    def failed() -> None:
        vm.properties["provisioningState"] = "Failed"
        vm.power = before

    operation = cloud.begin(
        call.names["of"],
        vm,
        location=vm.location,
        done=done,
        failed=failed,
        size=vm.size,
        zone=vm.zone,
    )
    vm.operation = operation
    vm.power = during or before
    return operation


def become(cloud: Cloud, vm: Vm, power: str, before: str) -> None:
    """The VM has that power now; "" is the one before."""
    vm.power = power or before
    if power == "running":
        vm.boots += 1
        networks.give_addresses(cloud, vm)
    elif power == "deallocated":
        networks.empty_addresses(cloud, vm)


def simulate_eviction(cloud: Cloud, call: Call) -> Reply:
    """A Spot VM is taken away, as its policy says; others are not to be evicted."""
    vm = cloud.find_vm(call)
    if vm.properties.get("priority") != "Spot":
        raise _not_allowed(f"Operation 'simulateEviction' is not allowed on VM '{vm.name}'.")
    become(cloud, vm, "deallocated", vm.power)
    return Reply(204)


def refused(cloud: Cloud, call: Call) -> Reply:
    """Operations that no VM here is fit for."""
    vm, what = cloud.find_vm(call), call.names["action"].lower()
    if what == "performmaintenance":
        raise _not_allowed(
            f"Operation 'performMaintenance' is not allowed on VM '{vm.name}' "
            "since the Subscription of this VM is not eligible."
        )
    if what == "converttomanageddisks":
        raise _not_allowed(f"VM '{vm.name}' is already using managed disks.")
    raise _not_allowed(
        "The Reimage and OSUpgrade Virtual Machine actions require that the virtual machine has "
        "Automatic OS Upgrades enabled."
    )


def _not_allowed(message: str) -> Refused:
    return fault(409, "OperationNotAllowed", message)
