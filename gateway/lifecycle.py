"""Which operation a VM takes in which state, and what the states are called outside."""

from enum import StrEnum

from gateway.denial import ApiError, ErrorKind


class VmState(StrEnum):
    """A VM's state as clients see it; LOCKED is derived from an open task, never stored."""

    NOT_ALLOCATED = "NOT_ALLOCATED"
    ALLOCATED = "ALLOCATED"
    CONFIGURED = "CONFIGURED"
    ON = "ON"
    PAUSED = "PAUSED"
    OFF = "OFF"
    LOCKED = "LOCKED"
    UNKNOWN = "UNKNOWN"

    @property
    def number(self) -> int:
        """`idState` on the wire: 1 for NOT_ALLOCATED to 8 for UNKNOWN."""
        return tuple(VmState).index(self) + 1


def public_reason(reason: str) -> str:
    """Return the part of a state's reason that names no place: all before the first colon."""
    return reason.partition(":")[0]


class Operation(StrEnum):
    """What a task does to a VM; the values are the task types of the API."""

    DEPLOY = "DEPLOY"
    UNDEPLOY = "UNDEPLOY"
    POWER_ON = "POWER_ON"
    POWER_OFF = "POWER_OFF"
    SHUTDOWN = "SHUTDOWN"
    PAUSE = "PAUSE"
    RESUME = "RESUME"
    RESET = "RESET"
    REDEPLOY = "REDEPLOY"
    RECONFIGURE = "RECONFIGURE"
    RELOCATE = "RELOCATE"


_S = VmState
_FROM: dict[Operation, frozenset[VmState]] = {
    Operation.DEPLOY: frozenset({_S.NOT_ALLOCATED}),
    Operation.UNDEPLOY: frozenset(
        {_S.ALLOCATED, _S.CONFIGURED, _S.ON, _S.PAUSED, _S.OFF, _S.UNKNOWN}
    ),
    Operation.POWER_ON: frozenset({_S.OFF, _S.CONFIGURED}),
    Operation.POWER_OFF: frozenset({_S.ON, _S.PAUSED}),
    Operation.SHUTDOWN: frozenset({_S.ON}),
    Operation.PAUSE: frozenset({_S.ON}),
    Operation.RESUME: frozenset({_S.PAUSED}),
    Operation.RESET: frozenset({_S.ON}),
    Operation.REDEPLOY: frozenset({_S.ON}),
    Operation.RECONFIGURE: frozenset({_S.OFF, _S.CONFIGURED}),
    Operation.RELOCATE: frozenset({_S.ON, _S.OFF, _S.PAUSED, _S.CONFIGURED}),
}
_REFUSED: dict[Operation, tuple[str, str]] = {
    Operation.DEPLOY: ("VM-7", "Only a virtual machine that is not deployed can be deployed"),
    Operation.UNDEPLOY: ("VM-12", "Only a deployed virtual machine can be undeployed"),
    Operation.POWER_ON: ("VM-4", "The virtual machine cannot be powered on"),
    Operation.POWER_OFF: ("VM-4", "The virtual machine cannot be powered off"),
    Operation.SHUTDOWN: ("VM-4", "The virtual machine cannot be shut down"),
    Operation.PAUSE: ("VM-4", "The virtual machine cannot be paused"),
    Operation.RESUME: ("VM-4", "The virtual machine cannot be resumed"),
    Operation.RESET: ("VM-26", "Only a virtual machine that is on can be reset"),
    Operation.REDEPLOY: ("VM-REDEPLOY-1", "Only a virtual machine that is on can be redeployed"),
    Operation.RECONFIGURE: ("VM-10", "Only a virtual machine that is off can be reconfigured"),
    Operation.RELOCATE: ("VM-RELOCATE-4", "Only a deployed virtual machine can be relocated"),
}


def allowed(operation: Operation, state: VmState) -> bool:
    """Whether `operation` may begin while the VM is in `state`."""
    return state in _FROM[operation]


def require(operation: Operation, state: VmState, *, releasing: bool = False) -> None:
    """Raise ApiError (CONFLICT, with Abiquo's code) unless `operation` may begin in `state`.

    `releasing`: a power off shall also give the compute back, which one that is off can do too.
    """
    if allowed(operation, state):
        return
    if releasing and operation is Operation.POWER_OFF and state is VmState.OFF:
        return
    if operation is Operation.POWER_ON and state is VmState.NOT_ALLOCATED:
        raise ApiError(
            ErrorKind.CONFLICT, "VM-11", "The virtual machine is not allocated to any host"
        )
    code, sentence = _REFUSED[operation]
    raise ApiError(ErrorKind.CONFLICT, code, f"{sentence}; it is {state}")


def power_operation(wanted: VmState, now: VmState, *, graceful: bool) -> Operation | None:
    """The operation that brings a VM from `now` to `wanted`; None when no state is asked for
    that a caller may ask for."""
    match wanted:
        case VmState.ON:
            return Operation.RESUME if now is VmState.PAUSED else Operation.POWER_ON
        case VmState.OFF:
            return Operation.SHUTDOWN if graceful else Operation.POWER_OFF
        case VmState.PAUSED:
            return Operation.PAUSE
        case _:
            return None
