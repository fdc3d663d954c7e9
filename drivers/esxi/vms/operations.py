"""What each verb asks of the vCenter: looks, then makes one call, whose task it returns.

Everything here blocks and runs in a lane's thread. `check` comes right before each change. None
in place of a task means that there is nothing left to do.
"""

from collections.abc import Callable
from typing import Any

from pyVmomi import vim

from drivers.capabilities import Capabilities, HypervisorType
from drivers.contract import Clear, Power, PowerRequest, Reconfigure, Remove, Reset
from drivers.esxi import queries
from drivers.esxi.connection.session import Service
from drivers.esxi.queries import VsphereVm
from drivers.esxi.vms import devices
from drivers.esxi.vms.states import reason_of
from drivers.facts import PowerState
from drivers.faults import Missing, Rejected

Check = Callable[[], None]
CAPABILITIES = Capabilities(
    type=HypervisorType.VMX_04,
    live_relocation=True,
    storage_relocation=True,
    pause=True,
    graceful_shutdown=True,
    reset=True,
    progress=True,
    # Of the newest virtual hardware; an older one, or a host, may take less and then says so.
    cpu_max=768,
    ram_max_mib=24 * 2**20,
    ram_step_mib=4,
)
ENDS = {
    PowerRequest.ON: PowerState.ON,
    PowerRequest.RESUME: PowerState.ON,
    PowerRequest.OFF: PowerState.OFF,
    PowerRequest.SHUTDOWN: PowerState.OFF,
    PowerRequest.PAUSE: PowerState.PAUSED,
}
_FROM = {
    PowerRequest.ON: (PowerState.OFF,),
    PowerRequest.RESUME: (PowerState.PAUSED,),
    PowerRequest.OFF: (PowerState.ON, PowerState.PAUSED),
    PowerRequest.SHUTDOWN: (PowerState.ON,),
    PowerRequest.PAUSE: (PowerState.ON,),
}
TOOLS_RUN = "guestToolsRunning"
_UNPROTECTED = "notConfigured"


def found(seen: VsphereVm, host: str) -> Any:
    """The VM's object when it is on `host`; raises Missing."""
    if seen.vm is None:
        raise Missing(f"the VM does not exist on {host}", host=host)
    if seen.host != host:
        raise Missing(f"the VM is on {seen.at}, not on {host}", host=host)
    return seen.vm.ref


def power(service: Service, order: Power, host: Any, check: Check) -> Any:
    """Ask for a state; what is so already stays so. A shutdown asks the guest, and returns a
    task only where it pulls the plug because no guest can be asked."""
    seen = queries.see(service, order.vm, {order.host: host})
    if seen.vm is not None and seen.power is ENDS[order.request]:
        return None  # wherever it is: settling says where
    vm = found(seen, order.host)
    if seen.power not in _FROM[order.request]:
        why = f": {reason_of(seen.vm)}" if seen.vm is not None and reason_of(seen.vm) else ""
        raise Rejected(f"a VM that is {seen.power} cannot {order.request}{why}", host=order.host)
    match order.request:
        case PowerRequest.ON | PowerRequest.RESUME:
            check()
            return vm.PowerOnVM_Task(None)
        case PowerRequest.OFF:
            check()
            return vm.PowerOffVM_Task()
        case PowerRequest.PAUSE:
            check()
            return vm.SuspendVM_Task()
        case PowerRequest.SHUTDOWN:
            return _shut_down(vm, seen, order, check)


def _shut_down(vm: Any, seen: VsphereVm, order: Power, check: Check) -> Any:
    assert seen.vm is not None
    if seen.vm.get("guest.toolsRunningStatus") == TOOLS_RUN:
        check()
        vm.ShutdownGuest()
        return None
    if not order.force:
        raise Rejected(
            "no guest tools run in the VM, so its guest cannot be asked to shut down",
            host=order.host,
        )
    check()
    return vm.PowerOffVM_Task()


def reset(service: Service, order: Reset, host: Any, check: Check) -> Any:
    """Press the button of a running VM."""
    seen = queries.see(service, order.vm, {order.host: host})
    vm = found(seen, order.host)
    if seen.power is not PowerState.ON:
        raise Rejected("a VM that is not running cannot be reset", host=order.host)
    check()
    return vm.ResetVM_Task()


def reconfigure(service: Service, order: Reconfigure, host: Any, check: Check) -> Any:
    """Give a VM that is off another size."""
    seen = queries.see(service, order.spec.vm, {order.host: host})
    vm = found(seen, order.host)
    sighting = seen.sighting(order.host)
    assert sighting is not None
    assert seen.vm is not None
    if (sighting.cpu, sighting.ram_mib) == (order.spec.cpu, order.spec.ram_mib):
        return None
    if seen.power is not PowerState.OFF:
        raise Rejected("a VM that is not off cannot be reconfigured", host=order.host)
    unprotected(seen, order.host)
    change = vim.vm.ConfigSpec(numCPUs=order.spec.cpu, memoryMB=order.spec.ram_mib)
    # Refused by the vCenter if somebody changed the VM since we looked.
    change.changeVersion = seen.vm.get("config.changeVersion")
    check()
    return vm.ReconfigVM_Task(change)


def remove(service: Service, order: Remove, host: Any, check: Check) -> tuple[Any, bool]:
    """Delete a VM that is off, and its disk with it: the task, and True. While disks of somebody
    else are attached, which would be deleted too, the task only takes them off: it, and False.
    What is gone stays gone: None."""
    seen = queries.see(service, order.vm, {order.at.host: host})
    if seen.vm is None:
        return None, False
    _removable(seen, order)
    foreign = devices.foreign_disks(seen.vm, seen.mark)
    if not foreign:
        check()
        return seen.vm.ref.Destroy_Task(), True
    spec = vim.vm.device.VirtualDeviceSpec
    change = vim.vm.ConfigSpec(
        deviceChange=[spec(operation=spec.Operation.remove, device=each.device) for each in foreign]
    )
    change.changeVersion = seen.vm.get("config.changeVersion")
    check()
    return seen.vm.ref.ReconfigVM_Task(change), False


def _removable(seen: VsphereVm, order: Remove) -> None:
    """Raise Rejected unless the VM may be removed."""
    assert seen.vm is not None
    if seen.host != order.at.host:
        raise Rejected(f"the VM is on {seen.at}, not on {order.at.host}", host=order.at.host)
    if seen.power is not PowerState.OFF:
        raise Rejected(f"a VM that is {seen.power} is not removed", host=order.at.host)
    if seen.mark.vm != order.vm:
        raise Rejected("the VM was not created by vmgate, so it is not removed", host=order.at.host)
    loose(seen, order.at.host)


def loose(seen: VsphereVm, host: str) -> None:
    """Raise Rejected while something that is not ours would go with the VM."""
    assert seen.vm is not None
    unprotected(seen, host)
    foreign = devices.foreign_disks(seen.vm, seen.mark)
    if foreign and seen.vm.get("snapshot") is not None:
        raise Rejected(
            f"{foreign[0]} is attached and not part of the VM, and a snapshot may need it: delete "
            "the snapshots or detach it",
            host=host,
        )


def unprotected(seen: VsphereVm, host: str) -> None:
    """Raise Rejected while Fault Tolerance keeps a second copy of the VM."""
    assert seen.vm is not None
    state = seen.vm.get("runtime.faultToleranceState", _UNPROTECTED)
    if state != _UNPROTECTED:
        raise Rejected(f"Fault Tolerance of the VM is {state}: turn it off first", host=host)


def clear(service: Service, order: Clear, hosts: dict[str, Any]) -> None:
    """A move leaves nothing behind in a vCenter; that the VM lives elsewhere is seen to be so."""
    seen = queries.see(service, order.vm, hosts)
    if seen.vm is None or seen.host != order.lives_on:
        raise Rejected(f"the VM was not seen living on {order.lives_on}", host=order.at.host)
    if order.at.host == order.lives_on:
        raise Rejected("the VM lives there", host=order.at.host)
    if queries.tasks_of(service, seen.vm.ref):
        raise Rejected("the VM is being moved", host=order.lives_on)
