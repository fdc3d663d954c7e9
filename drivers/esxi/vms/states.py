"""What the vCenter says of a VM's state becomes one of four, and keeps its reason.

Each reason begins with words of ours that name no place and say what leaves the state, where that
is not the opposite power action; what the vCenter says itself comes after a colon.
"""

from collections.abc import Mapping

from drivers.esxi.connection.paging import PropertyPage
from drivers.facts import PowerState

STATE_PATHS = (
    "runtime.powerState",
    "runtime.connectionState",
    "runtime.question.text",
    "runtime.consolidationNeeded",
)
CONNECTED = "connected"
POWER: Mapping[str, PowerState] = {
    "poweredOn": PowerState.ON,
    "poweredOff": PowerState.OFF,
    "suspended": PowerState.PAUSED,
}
SUSPENDED = "suspended to disk"
UNREAD: Mapping[str, str] = {
    "disconnected": "the hypervisor does not answer: reconnect it",
    "inaccessible": "its configuration file cannot be read: make its datastore accessible",
    "invalid": "its configuration file is not valid: correct it and register the VM again",
    "orphaned": "its hypervisor does not know it: register it again or remove it",
}
"""Connection states in which nothing that is said of the VM counts."""
QUESTION = "it waits for an answer to a question"
CONSOLIDATION = "its disks need consolidation"
FORBIDDEN = "the hypervisor's user may not read it"
UNNAMED = "its state is not known to this version"


def power_of(vm: PropertyPage) -> PowerState:
    """Its power; UNKNOWN when its host cannot read the VM, or we may not."""
    if vm.unread or vm.get("runtime.connectionState") != CONNECTED:
        return PowerState.UNKNOWN
    return POWER.get(str(vm.get("runtime.powerState")), PowerState.UNKNOWN)


def question_of(vm: PropertyPage) -> str:
    """The text of the question that waits for an answer; empty for none."""
    return str(vm.get("runtime.question.text") or "").strip()


def reason_of(vm: PropertyPage) -> str:
    """Why it is in its state; empty where the state says it all."""
    if vm.unread:
        return FORBIDDEN
    connection = str(vm.get("runtime.connectionState"))
    if connection != CONNECTED:
        return UNREAD.get(connection, f"{UNNAMED}: {connection}")
    power = str(vm.get("runtime.powerState"))
    said = [] if power in POWER else [f"{UNNAMED}: {power}"]
    if POWER.get(power) is PowerState.PAUSED:
        said.append(SUSPENDED)
    if vm.get("runtime.consolidationNeeded"):
        said.append(CONSOLIDATION)
    question = question_of(vm)
    if question:
        said.append(f"{QUESTION}: {question}")
    return "; ".join(said)
