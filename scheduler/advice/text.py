"""Telling says advice to people, one sentence each, and to programs as rows."""

from typing import Any, assert_never

from scheduler.advice.changes import (
    AddCapacity,
    Advice,
    AllowHost,
    AllowReach,
    AttachDatastore,
    Change,
    EnableDatastore,
    LeaveLayer,
    LeaveTier,
    LiftExclusion,
    LiftReservation,
    LiftRestriction,
    ManageHost,
    MapNetwork,
    MoveVm,
    OpenTier,
    RaiseRule,
    ReconnectHost,
    ReserveHost,
    ShrinkDemand,
    WaitHold,
)
from scheduler.decisions.explanation import size
from scheduler.snapshot.json_values import to_json


def row(advice: Advice) -> dict[str, Any]:
    """Advice ready for JSON, its sentence included."""
    made: dict[str, Any] = to_json(advice)
    return {**made, "sentence": sentence(advice)}


def sentence(advice: Advice) -> str:
    """All of it in one sentence."""
    told = "; and ".join(clause(change) for change in advice.changes)
    return f"{told[0].upper()}{told[1:]}."


def clause(change: Change) -> str:
    """One change as what to do, without a full stop."""
    match change:
        case RaiseRule():
            return _rule(change)
        case AddCapacity():
            return f"free or add {_amounts(change)} on {change.place} {change.name}"
        case MoveVm():
            place = f"from {change.host_name} to {change.to_host_name}"
            return f"move VM {change.name or change.vm} ({_amounts(change)}) {place}"
        case WaitHold():
            count = len(change.holds)
            holds = "a hold ends" if count == 1 else f"{count} holds end"
            return f"wait until {change.until}, when {holds}"
        case ShrinkDemand():
            amounts = f"{change.cpu} CPU, {change.ram_mib} MiB of RAM and {size(change.disk_bytes)}"
            return f"ask for no more than {amounts} of disk"
        case AllowReach():
            return f"let relocations reach the whole {change.reach.value.lower()}"
        case AllowHost():
            return f"ask for host {change.name} too"
        case LeaveLayer():
            return f"take the VM out of layer {change.layer}"
        case LeaveTier():
            return f"let the disks go to datastores outside tier {change.tier}"
        case _:
            return _edit(change)


def _edit(
    change: ManageHost
    | ReconnectHost
    | MapNetwork
    | AttachDatastore
    | EnableDatastore
    | OpenTier
    | LiftExclusion
    | LiftReservation
    | LiftRestriction
    | ReserveHost,
) -> str:
    """An edit of a place, or of who may use it."""
    match change:
        case ManageHost():
            return f"put host {change.name} back to MANAGED (it is {change.state})"
        case ReconnectHost():
            return f"make host {change.name} reachable again"
        case MapNetwork():
            return f"map network {change.network} on host {change.name}"
        case AttachDatastore():
            return f"let host {change.name} see datastore {change.datastore_name}"
        case EnableDatastore():
            return f"enable datastore {change.name}"
        case OpenTier():
            whom = "" if change.enterprise is None else f" to enterprise {change.enterprise}"
            return f"open tier {change.name}{whom}"
        case LiftExclusion():
            return f"let {change.name} and {change.other_name} share hosts"
        case LiftReservation():
            return f"end the reservation of host {change.name}"
        case LiftRestriction():
            return f"let {change.name} use hosts that are not reserved to it"
        case ReserveHost():
            return f"reserve host {change.name} to {change.enterprise_name}"
        case _:
            assert_never(change)


def _rule(change: RaiseRule) -> str:
    steps = (("CPU", change.cpu), ("RAM", change.ram), ("disk space", change.storage))
    if change.rule is None:
        told = " and ".join(f"{step.after} % of {name}" for name, step in steps if step is not None)
        return f"add a load rule for {change.level.value} {change.name} that allows {told}"
    told = " and ".join(
        f"{name} from {step.before} % to {step.after} %" for name, step in steps if step is not None
    )
    return f"raise {change.name}: {told}"


def _amounts(change: AddCapacity | MoveVm) -> str:
    """What is not nothing."""
    told = (
        f"{change.cpu} CPU" if change.cpu else "",
        f"{change.ram_mib} MiB of RAM" if change.ram_mib else "",
        f"{size(change.disk_bytes)} of disk space" if change.disk_bytes else "",
    )
    return ", ".join(each for each in told if each)
