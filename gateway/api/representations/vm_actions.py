"""Action links stand in a VM iff the caller has the privilege and the technology can do it.

They do not come and go with the state; `allowed` says whether calling one now would be taken.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from drivers.capabilities import Capabilities
from gateway.caller import Caller
from gateway.config.privileges import Privilege
from gateway.lifecycle import Operation, VmState, allowed
from gateway.store.vms import Vm

ACT = Privilege.VAPP_PERFORM_ACTIONS.value
RELOCATE = Privilege.VM_RELOCATE.value
PROTECT = Privilege.VM_PROTECT_ACTION.value
PROTECTABLE = frozenset({VmState.ON, VmState.PAUSED, VmState.OFF})

_POWER = (
    Operation.POWER_ON,
    Operation.POWER_OFF,
    Operation.SHUTDOWN,
    Operation.PAUSE,
    Operation.RESUME,
)


@dataclass(frozen=True, slots=True)
class Action:
    """One action link: its rel, its path below the VM, its type and title."""

    rel: str
    path: str
    media: str
    title: str
    allowed: bool


def free(vm: Vm, caller: Caller) -> bool:
    """Whether neither a task nor a protection stands in this caller's way."""
    return vm.open_task is None and (not vm.protected or PROTECT in caller.privileges)


def power_allowed(vm: Vm, caller: Caller) -> bool:
    """Whether some change of power would be taken now."""
    can = ACT in caller.privileges and free(vm, caller)
    return can and any(allowed(operation, vm.state) for operation in _POWER)


def actions(vm: Vm, caller: Caller, capabilities: Mapping[str, Capabilities]) -> tuple[Action, ...]:
    """The action links this caller gets for this VM."""
    able = capabilities.get(vm.type)
    found: list[Action] = []

    def offer(operation: Operation, rel: str) -> None:
        found.append(
            Action(
                rel,
                f"action/{rel}",
                "acceptedrequest",
                f"virtual machine {rel}",
                free(vm, caller) and allowed(operation, vm.state),
            )
        )

    if ACT in caller.privileges:
        offer(Operation.DEPLOY, "deploy")
        offer(Operation.UNDEPLOY, "undeploy")
        if able is None or able.reset:
            offer(Operation.RESET, "reset")
        if able is not None and able.redeploy:
            offer(Operation.REDEPLOY, "redeploy")
    if PROTECT in caller.privileges:
        found.extend(_protection(vm))
    if RELOCATE in caller.privileges and able is not None and able.relocation:
        offer(Operation.RELOCATE, "relocate")
        found.append(
            Action(
                "relocatecandidates",
                "action/relocatecandidates",
                "machines",
                "virtual machine relocate candidates",
                allowed(Operation.RELOCATE, vm.state),
            )
        )
    return tuple(found)


def _protection(vm: Vm) -> tuple[Action, Action]:
    idle = vm.open_task is None
    protectable = idle and not vm.protected and vm.state in PROTECTABLE
    return (
        Action("protect", "action/protect", "text/plain", "virtual machine protect", protectable),
        Action(
            "unprotect",
            "action/unprotect",
            "text/plain",
            "virtual machine unprotect",
            idle and vm.protected,
        ),
    )
