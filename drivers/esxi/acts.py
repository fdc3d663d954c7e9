"""What each verb asks of the vCenter: looks, then makes one call, whose task it returns.

Everything here blocks and runs in a lane's thread. `check` comes right before each change. None
in place of a task means that there is nothing left to do.
"""

from collections.abc import Callable
from typing import Any

from pyVmomi import vim

from drivers.capabilities import Capabilities, HypervisorType
from drivers.contract import Clear, Power, PowerRequest, Reconfigure, Remove, Reset
from drivers.esxi import looking
from drivers.esxi.looking import Seen
from drivers.esxi.session import Service
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


def found(seen: Seen, host: str) -> Any:
    """The VM's object when it is on `host`; raises Missing."""
    if seen.vm is None or seen.host != host:
        raise Missing(f"there is no such VM on {host}", host=host)
    return seen.vm.ref


def power(service: Service, order: Power, host: Any, check: Check) -> Any:
    """Ask for a state; what is so already stays so. A shutdown asks the guest, and returns a
    task only where it pulls the plug because no guest can be asked."""
    seen = looking.see(service, order.vm, {order.host: host})
    vm = found(seen, order.host)
    if seen.power is ENDS[order.request]:
        return None
    if seen.power not in _FROM[order.request]:
        raise Rejected(f"a VM that is {seen.power} cannot {order.request}", host=order.host)
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


def _shut_down(vm: Any, seen: Seen, order: Power, check: Check) -> Any:
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
    seen = looking.see(service, order.vm, {order.host: host})
    vm = found(seen, order.host)
    if seen.power is not PowerState.ON:
        raise Rejected("a VM that is not running cannot be reset", host=order.host)
    check()
    return vm.ResetVM_Task()


def reconfigure(service: Service, order: Reconfigure, host: Any, check: Check) -> Any:
    """Give a VM that is off another size."""
    seen = looking.see(service, order.spec.vm, {order.host: host})
    vm = found(seen, order.host)
    sighting = seen.sighting(order.host)
    assert sighting is not None
    assert seen.vm is not None
    if (sighting.cpu, sighting.ram_mib) == (order.spec.cpu, order.spec.ram_mib):
        return None
    if seen.power is not PowerState.OFF:
        raise Rejected("a VM that is not off cannot be reconfigured", host=order.host)
    change = vim.vm.ConfigSpec(numCPUs=order.spec.cpu, memoryMB=order.spec.ram_mib)
    # Refused by the vCenter if somebody changed the VM since we looked.
    change.changeVersion = seen.vm.get("config.changeVersion")
    check()
    return vm.ReconfigVM_Task(change)


def remove(service: Service, order: Remove, host: Any, check: Check) -> Any:
    """Delete a VM that is off, and its disk with it; what is gone stays gone."""
    seen = looking.see(service, order.vm, {order.at.host: host})
    if seen.vm is None:
        return None
    if seen.host != order.at.host:
        raise Rejected(f"the VM is not on {order.at.host} any more", host=order.at.host)
    if seen.power is not PowerState.OFF:
        raise Rejected(f"a VM that is {seen.power} is not removed", host=order.at.host)
    if seen.mark.vm != order.vm:
        raise Rejected("the VM carries no mark of ours, so it is not removed", host=order.at.host)
    check()
    return seen.vm.ref.Destroy_Task()


def clear(service: Service, order: Clear, hosts: dict[str, Any]) -> None:
    """A move leaves nothing behind in a vCenter; that the VM lives elsewhere is seen to be so."""
    seen = looking.see(service, order.vm, hosts)
    if seen.vm is None or seen.host != order.lives_on:
        raise Rejected(f"the VM was not seen living on {order.lives_on}", host=order.at.host)
    if order.at.host == order.lives_on:
        raise Rejected("the VM lives there", host=order.at.host)
    if looking.tasks_of(service, seen.vm.ref):
        raise Rejected("the VM is being moved", host=order.lives_on)
