"""What becomes of a step once its call has ended, or may have: what is seen decides, never the
name that a driver gave to an error.

The driver is asked first, which waits for what still runs. Only where it says that the call was
done, or where no error is known and nothing was begun, is that the end of it. Else all hosts that
may have the VM are looked at, and a verdict that cannot be is looked for twice.
"""

import asyncio
from dataclasses import replace

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
from drivers.faults import Busy, Fault, Indeterminate, Unreachable
from gateway.lifecycle import Operation, VmState
from gateway.tasks import fault_policy
from gateway.tasks.ending.requeue import look_later, park
from gateway.tasks.outcome.ruling import Fate, Ruling, RulingContext, follow, hosts_of, made
from gateway.tasks.outcome.settle_call import settled
from gateway.tasks.outcome.verdict_by_sight import as_said, judge, removing, why_not
from gateway.tasks.outcome.whereabouts import Reading, Word, look_around, read, with_datastores
from gateway.tasks.saga import ABSENT, NextAction, failure, tries

_STARTS = (PowerRequest.ON, PowerRequest.RESUME)


async def rule(
    at: RulingContext,
    move: NextAction,
    ticket: Ticket,
    fault: Fault | None = None,
    *,
    called: bool = True,
) -> Ruling:
    """The fate of a step; parks where it cannot be known now. `fault` is what its call raised;
    not `called` is a look before the call."""
    if move.step.blind and not ticket.kept and fault is None:
        # Whoever made the call is gone, and it leaves no trace: a look would tell nothing of it.
        said = fault_policy.NOBODY_KNOWS
        return Ruling(Fate.FAILED, Outcome(Verdict.FAILED), said, said)
    outcome, unclear = await _asked(at, move, ticket, fault)
    if outcome is not None and outcome.verdict is Verdict.DONE:
        seen = outcome.sighting
        if seen is not None and seen.host not in hosts_of(ticket.order):
            return await _placed(at, follow(Reading(Word.AT, seen), ""))
        unseen = isinstance(ticket.order, Remove) and outcome.reason and _was_gone(at)
        return Ruling(Fate.LEFT if unseen else Fate.DONE, outcome, outcome.reason)
    vain = tries(at.record.lines, move.step.name) + 1
    last = (
        called
        and isinstance(ticket.order, Remove)
        and fault_policy.is_exhausted(move, vain, at.limits)
    )
    if outcome is not None and outcome.verdict is Verdict.ABSENT and fault is None and not last:
        return Ruling(Fate.ABSENT, outcome, outcome.reason)
    if isinstance(unclear, Unreachable | Busy):
        return as_said(at, move, ticket, unclear)
    reading = await _found(at, move, ticket.order)
    if reading.word is Word.UNCLEAR:
        await look_later(at.record, at.limits, Indeterminate(reading.said))
    why = why_not(fault, outcome, unclear)
    if not why.said:
        sighting = None if outcome is None else outcome.sighting
        why = replace(why, said=fault_policy.without_effect(vain, sighting))
    return await _placed(at, judge(at, move, ticket, (reading, why)))


async def _placed(at: RulingContext, ruling: Ruling) -> Ruling:
    """Who follows a VM must know what its disk is on."""
    seen = ruling.reading.sighting
    if ruling.fate is not Fate.FOLLOW or seen is None or seen.host == at.vm.host:
        return ruling
    found = replace(ruling.reading, sighting=await with_datastores(at.driver, seen))
    return replace(ruling, reading=found)


def _was_gone(at: RulingContext) -> bool:
    """Whether somebody else had taken the VM away before this task came to remove it."""
    return any(line.step == "power" and line.detail.get(ABSENT) for line in at.record.lines)


async def _asked(
    at: RulingContext, move: NextAction, ticket: Ticket, fault: Fault | None
) -> tuple[Outcome | None, Fault | None]:
    """The driver's verdict once nothing runs any more, or why it has none: that nobody answers
    counts only where the call itself said so, or where nothing but a leftover is at stake."""
    if move.step.blind and not ticket.kept:
        return None, Indeterminate("it leaves no trace")
    try:
        return await settled(at.stopper, ticket), None
    except (Unreachable, Busy) as away:
        if isinstance(fault, Unreachable | Busy):
            return None, fault
        if isinstance(ticket.order, Clear):
            return None, away
        await park(at.record, away.message)
    except Fault as unclear:
        return None, unclear


async def _found(at: RulingContext, move: NextAction, order: Order) -> Reading:
    """Where the VM is; a place that cannot be is believed once it was seen so twice."""
    reading = await _looked(at, move, order)
    if reading.word in (Word.NOWHERE, Word.DOUBLED):
        await asyncio.sleep(at.limits.poll_s)
        reading = await _looked(at, move, order)
    return reading


async def _looked(
    at: RulingContext, move: NextAction, order: Order, *, widely: bool = False
) -> Reading:
    home, named = at.vm.host or hosts_of(order)[0], hosts_of(order)
    widely = widely or (isinstance(order, Power) and order.request in _STARTS)
    found = await look_around(at.driver, at.vm.uuid, named, widely=widely)
    if not (at.vm.shared and removing(at, move) and not isinstance(order, Deploy)):
        # Only whoever would delete a disk that other hosts see has to know of all of them.
        found = found.without(set(found.silent) - set(named))
    one_disk = not isinstance(order, Relocate) or order.volume == order.spec.disk.volume
    reading = read(found, home, one_disk=one_disk)
    resting = reading.sighting is not None and reading.sighting.state is PowerState.OFF
    blind = sorted(set(named) & set(found.silent))
    if isinstance(order, Relocate) and resting and blind:
        return Reading(Word.UNCLEAR, said=found.silent[blind[0]])
    return reading


async def forbidden(at: RulingContext, move: NextAction, ticket: Ticket) -> Ruling | None:
    """Why a call that takes the VM away is not to be made, None where it may be.

    What a deployment made is not taken back once it runs, other than at the word of a person,
    nor what another task made. Who removes a VM that was lost sight of looks at all hosts first.
    """
    operation = at.record.task.operation
    if operation is Operation.UNDEPLOY and at.vm.state is VmState.UNKNOWN and not move.undoing:
        reading = await _looked(at, move, ticket.order, widely=True)
        if reading.word is Word.DOUBLED:
            said = f"{reading.said}: stop one of them, it is not known which one is current"
            return Ruling(Fate.FAILED, Outcome(Verdict.FAILED), said, clean=True)
        elsewhere = reading.sighting is not None and reading.sighting.host != at.vm.host
        return await _placed(at, follow(reading, "")) if elsewhere else None
    if operation is not Operation.DEPLOY or not move.undoing:
        return None
    reading = await _looked(at, move, ticket.order)
    if reading.word is Word.DOUBLED:
        return Ruling(Fate.LOST, Outcome(Verdict.FAILED), reading.said, reading=reading)
    seen = reading.sighting
    if seen is None:
        return None
    if not made(at, seen):
        said = f"what is on {seen.host} was made by another task, and stays"
        return Ruling(Fate.LEFT, Outcome(Verdict.DONE), said, reading=reading)
    failed = failure(at.record.lines)
    ordered = failed is not None and bool(failed.detail.get("cancelled"))
    runs = seen.state is not PowerState.OFF and not (ordered and seen.host == at.vm.host)
    if runs or seen.host != at.vm.host:
        return await _placed(at, follow(reading, ""))
    return None
