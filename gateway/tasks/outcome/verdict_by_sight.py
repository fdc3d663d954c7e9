"""Where the VM is seen now says what became of a call that did not end well.

It runs where the call was to bring it: done. It is where it was: not done. It is on another host:
it is followed. It is positively nowhere: that is off and undefined for whoever removes it, and
lost for everybody else.
"""

from dataclasses import dataclass, replace

from drivers.contract import (
    Clear,
    Deploy,
    Order,
    Outcome,
    Power,
    PowerRequest,
    Relocate,
    Remove,
    Ticket,
    Verdict,
)
from drivers.facts import PowerState
from drivers.faults import Busy, Fault, Unreachable
from gateway.lifecycle import Operation
from gateway.tasks import fault_policy
from gateway.tasks.fault_policy import Limits, Then
from gateway.tasks.outcome.ruling import Fate, Ruling, RulingContext, follow, made
from gateway.tasks.outcome.whereabouts import Reading, Word
from gateway.tasks.saga import NextAction, tries

_ENDS = {
    PowerRequest.ON: PowerState.ON,
    PowerRequest.RESUME: PowerState.ON,
    PowerRequest.OFF: PowerState.OFF,
    PowerRequest.SHUTDOWN: PowerState.OFF,
    PowerRequest.PAUSE: PowerState.PAUSED,
}


def removing(at: RulingContext, move: NextAction) -> bool:
    """Whether the step takes the VM away, or takes back what made it."""
    return move.undoing or at.record.task.operation is Operation.UNDEPLOY


@dataclass(frozen=True, slots=True)
class CallFailure:
    """Why a call was not carried out, as it was said, and whether that may pass."""

    said: str
    then: Then
    full: bool = False
    fault: Fault | None = None


def why_not(fault: Fault | None, outcome: Outcome | None, unclear: Fault | None) -> CallFailure:
    """Why, of what the call raised, what its driver made of it, and why it made nothing."""
    if fault is not None:
        lasting = fault_policy.after(fault, 0, Limits()) is Then.FAIL
        then = Then.FAIL if lasting else Then.AGAIN
        return CallFailure(fault.message, then, fault_policy.no_capacity(fault), fault)
    if outcome is not None:
        return CallFailure(outcome.reason, Then.FAIL, outcome.no_capacity)
    assert unclear is not None
    return CallFailure(unclear.message, Then.AGAIN, fault=unclear)


def judge(
    at: RulingContext, move: NextAction, ticket: Ticket, seen: tuple[Reading, CallFailure]
) -> Ruling:
    """The fate of a call that did not end well, by where the VM is now."""
    reading, why = seen
    order, sighting = ticket.order, reading.sighting
    if reading.word is not Word.AT or sighting is None:
        return _nowhere(at, move, order, (reading, why))
    there = Outcome(Verdict.DONE, sighting)
    match order:
        case Relocate(target=target) if sighting.host == target.host:
            return Ruling(Fate.DONE, there)
        case Clear(at=place):
            if sighting.host == place.host or sighting.host != order.lives_on:
                return follow(reading, why.said)
            return _not_done(at, move, ticket, (reading, why))
        case Deploy() if not made(at, sighting):
            ruling = _told(order, why)
            return replace(ruling, clean=True)
        case _ if sighting.host != at.vm.host:
            return follow(reading, why.said)
        case Power(release=False, request=request) if sighting.state is _ENDS[request]:
            return Ruling(Fate.DONE, there)
        case _:
            return _not_done(at, move, ticket, (reading, why))


def _nowhere(
    at: RulingContext, move: NextAction, order: Order, seen: tuple[Reading, CallFailure]
) -> Ruling:
    """Positively absent counts as off and undefined for whoever removes it; else it is lost."""
    reading, why = seen
    gone = Outcome(Verdict.DONE)
    if reading.word is Word.NOWHERE and removing(at, move):
        if isinstance(order, Power):
            return Ruling(Fate.DONE, gone)
        if isinstance(order, Remove):
            return _rest(at, move, (reading, why))
    if isinstance(order, Deploy) and reading.word is Word.NOWHERE:
        refused = _told(order, why)  # its disk may be there all the same
        return refused if why.then is Then.FAIL else _vain(at, move, refused)
    said = "; ".join(each for each in (why.said, reading.said) if each)
    told = "Its host is not known; administrators can see more"
    return Ruling(Fate.LOST, Outcome(Verdict.FAILED), said, told, reading=reading)


def _rest(at: RulingContext, move: NextAction, seen: tuple[Reading, CallFailure]) -> Ruling:
    """The VM is gone and its disk may be left: that is tried some times more, and then told."""
    reading, why = seen
    vain = tries(at.record.lines, move.step.name)
    if vain + 1 < at.limits.attempts_max:
        return Ruling(Fate.AGAIN, Outcome(Verdict.ABSENT), why.said, reading=reading)
    return Ruling(Fate.LEFT, Outcome(Verdict.DONE), why.said, reading=reading)


def _not_done(
    at: RulingContext, move: NextAction, ticket: Ticket, seen: tuple[Reading, CallFailure]
) -> Ruling:
    """The VM is where it was, and the call had no effect, or not all of it."""
    reading, why = seen
    ruling = _told(ticket.order, why)
    if move.step.blind and not isinstance(why.fault, Unreachable | Busy):
        unclear = why.fault is None or why.then is Then.AGAIN
        said = f"Indeterminate: {why.said}" if unclear else why.said
        return replace(
            ruling, said=said, told=fault_policy.NOBODY_KNOWS if unclear else ruling.told
        )
    if isinstance(ticket.order, Relocate) and reading.idle:
        said = f"{why.said}; what it left on {' and '.join(reading.idle)} is deleted"
        return replace(ruling, said=said)
    if isinstance(ticket.order, Clear):
        vain = tries(at.record.lines, move.step.name)
        if vain + 1 >= at.limits.attempts_max * 2:
            return Ruling(Fate.LEFT, Outcome(Verdict.DONE), why.said, reading=reading)
    if why.then is Then.FAIL:
        return ruling
    return _vain(at, move, ruling)


def _vain(at: RulingContext, move: NextAction, ruling: Ruling) -> Ruling:
    """Again, unless that was tried often enough."""
    vain = tries(at.record.lines, move.step.name)
    counted = 0 if fault_policy.cannot_roll_back(move) else vain
    if counted + 1 < at.limits.attempts_max:
        return replace(ruling, fate=Fate.AGAIN)
    return ruling


def as_said(at: RulingContext, move: NextAction, ticket: Ticket, fault: Fault) -> Ruling:
    """Nobody answered, and nobody does: the fault says that nothing was begun."""
    why = CallFailure(fault.message, Then.AGAIN, fault=fault)
    vain = tries(at.record.lines, move.step.name)
    if isinstance(ticket.order, Clear) and vain + 1 >= at.limits.attempts_max * 2:
        return Ruling(Fate.LEFT, Outcome(Verdict.DONE), fault.message)
    return _vain(at, move, replace(_told(ticket.order, why), clean=True))


def _told(order: Order, why: CallFailure) -> Ruling:
    told = (
        fault_policy.REFUSED if why.fault is None else fault_policy.public_message(why.fault, order)
    )
    return Ruling(Fate.FAILED, Outcome(Verdict.FAILED), why.said, told, why.full)
