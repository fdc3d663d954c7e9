"""What a fault means for a step: the one place that decides to retry, look, or give up."""

from dataclasses import dataclass
from enum import StrEnum

from drivers.contract import Order, Power, PowerRequest
from drivers.facts import Sighting
from drivers.faults import (
    Busy,
    Fault,
    Indeterminate,
    Missing,
    Rejected,
    Unreachable,
    Unsupported,
)
from gateway.lifecycle import Operation
from gateway.tasks.saga import ActionKind, NextAction

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 15.0
REFUSED = "The hypervisor refused the request; administrators can see the cause"
IN_VAIN = "The hypervisor did not carry out the request; administrators can see the cause"
NOBODY_KNOWS = "Indeterminate: it is not known whether the operation happened"


class Then(StrEnum):
    """After a fault. AGAIN: nothing began, try later. LOOK: settle. FAIL: take back."""

    AGAIN = "AGAIN"
    LOOK = "LOOK"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long tasks try. Times in seconds; `hosts_max` are tried for one deployment before a
    hypervisor's want of capacity is the end of it. `failures_max` failures of our own make a task
    stuck; `cancel_s` after a cancellation what does not answer is not waited for."""

    attempts_max: int = 5
    hosts_max: int = 5
    settle_for_s: float = 300.0
    poll_s: float = 0.5
    failures_max: int = 5
    cancel_s: float = 6.0


def after(fault: Fault, tries: int, limits: Limits) -> Then:
    """What to do after `fault`, when the step was tried in vain `tries` times before."""
    match fault:
        case Unreachable() | Busy():
            return Then.AGAIN if tries + 1 < limits.attempts_max else Then.FAIL
        case Rejected() | Missing() | Unsupported():
            return Then.FAIL
        case Indeterminate():
            return Then.LOOK
        case _:
            # A Fault of no known kind is a driver's bug: nobody knows what it did.
            return Then.LOOK


def retry_elsewhere(operation: Operation, refused: int, limits: Limits) -> bool:
    """Whether another host is tried after one refused for want of capacity, the `refused`th."""
    return operation is Operation.DEPLOY and refused < limits.hosts_max


def no_capacity(fault: Fault) -> bool:
    """Whether it is capacity that was wanting, so that another place may do."""
    return isinstance(fault, Rejected) and fault.no_capacity


def leaves_nothing(fault: Fault) -> bool:
    """Whether the fault itself says that nothing of the call is left behind."""
    match fault:
        case Unreachable() | Busy() | Unsupported():
            return True
        case _:
            return False


def public_message(fault: Fault, order: Order) -> str:
    """What who may not know of hosts hears of a fault: a driver's words may name any place."""
    match fault, order:
        case Unreachable(), _:
            return "The hypervisor does not answer"
        case Busy(), _:
            return "The hypervisor is busy"
        case Rejected(), Power(request=PowerRequest.SHUTDOWN):
            return "The guest did not shut down"
        case ((Rejected() | Missing() | Unsupported()), _):
            return REFUSED
        case _:
            return NOBODY_KNOWS


def wait_s(tries: int) -> float:
    """Seconds before try number `tries` (from 0): doubling, up to the longest."""
    return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(tries, 10))


def cannot_roll_back(move: NextAction) -> bool:
    """Whether the saga cannot turn back at this move: it undoes, or is past returning."""
    return move.step.final or move.undoing


def without_effect(attempts: int, sighting: Sighting | None) -> str:
    """Return why a call without effect is given up, with the hypervisor's reason for the state."""
    tried = f"{attempts} attempts had no effect"
    if sighting is None or not sighting.reason:
        return tried
    return f"{tried}: the virtual machine is {sighting.state} ({sighting.reason})"


def is_exhausted(move: NextAction, vain: int, limits: Limits) -> bool:
    """Whether enough was tried in vain. What was settled after a person's resolve and cannot turn
    back is called once more."""
    resumed = move.act in (ActionKind.SETTLE, ActionKind.SETTLE_UNDO) and cannot_roll_back(move)
    return vain >= limits.attempts_max and not resumed
