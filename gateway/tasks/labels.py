"""What operations are called in events and job descriptions."""

from collections.abc import Mapping
from typing import Any

from gateway.lifecycle import Operation, VmState

TITLES: Mapping[Operation, str] = {
    operation: operation.value.replace("_", " ").capitalize() for operation in Operation
}
REQUESTED: Mapping[Operation, str] = {
    **{operation: operation.value for operation in Operation},
    Operation.POWER_ON: "POWERON",
    Operation.POWER_OFF: "POWEROFF",
}
"""The event when an operation was accepted."""

ENDED: Mapping[Operation, str] = {
    **dict.fromkeys(Operation, "STATE_CHANGE"),
    Operation.DEPLOY: "DEPLOY_FINISH",
    Operation.UNDEPLOY: "UNDEPLOY_FINISH",
    Operation.RECONFIGURE: "RECONFIGURE_FINISH",
    Operation.RELOCATE: "VSM_VM_MOVED",
    Operation.RESET: "RESET_FINISH",
    Operation.REDEPLOY: "REDEPLOY_FINISH",
}
"""The event when it ended, well or not."""

FAILED: Mapping[Operation, str] = {Operation.RELOCATE: "STATE_CHANGE"}
"""The event when it failed, where that has a word of its own: nothing has moved."""

UNTOLD = "Administrators see the reason"
"""Why something failed, for who may not know of hosts, where nothing better was written."""

PROTECTED = "protected_cause"
"""In a task's payload: why its VM was protected when an administrator asked for it all the same."""

EXPECTED: Mapping[Operation, VmState] = {
    Operation.POWER_ON: VmState.ON,
    Operation.RESUME: VmState.ON,
    Operation.POWER_OFF: VmState.OFF,
    Operation.SHUTDOWN: VmState.OFF,
    Operation.PAUSE: VmState.PAUSED,
}
"""The state a power operation is to bring."""


def although(payload: Mapping[str, Any]) -> str:
    """The end of a sentence about a protected VM; nothing for one that is not."""
    return (
        f" (the virtual machine is protected: {payload[PROTECTED]})" if PROTECTED in payload else ""
    )


def protection(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The same for an event's details."""
    return {"protected": True, PROTECTED: payload[PROTECTED]} if PROTECTED in payload else {}
