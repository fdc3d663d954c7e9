"""Seating: a VM that was promised a hold takes one of its places over, and no other place."""

from uuid import UUID

from gateway.store import seats
from gateway.store.decisions import NewDecision
from gateway.store.pool import Store
from gateway.store.seats import Seat, Wanted
from gateway.store.vm_record import VmRecord
from gateway.tasks.deciding import Subject, refusal_detail, to_store
from gateway.tasks.planner import Planner
from gateway.tasks.steps import StepFailed
from scheduler import decision as decisions
from scheduler import explanation
from scheduler.decision import Question
from scheduler.demand import Demand
from scheduler.held import Held
from scheduler.placement import Placement, Refusal


def wanted_of(vm: VmRecord, hold: str) -> Wanted:
    """What a VM asks of a hold."""
    return Wanted(
        UUID(hold),
        vm.uuid,
        vm.cpu,
        vm.ram_mib,
        vm.disk_bytes,
        vm.enterprise_id,
        vm.layer_id,
        vm.type,
    )


async def seated(
    store: Store, planner: Planner, demand: Demand, wanted: Wanted, subject: Subject
) -> tuple[Placement, NewDecision, Seat]:
    """The smallest free seat that will do, and the decision to go there; raises StepFailed.

    It refuses only at the head of the feed.
    """
    found = await _first(store, planner, demand, wanted)
    if found is None or isinstance(found[1], Refusal):
        await planner.catch_up_to_head()
        found = await _first(store, planner, demand, wanted)
    if found is None:
        told = f"Hold {wanted.hold} has no free slot for this virtual machine, or has ended."
        raise StepFailed(told, {"hold": str(wanted.hold)}, told=told)
    question, answer, seat = found
    made = decisions.of_answer(question, answer)
    stored = to_store(subject, made)
    if isinstance(answer, Refusal):
        head = f"Hold {wanted.hold} has no slot that fits this virtual machine. "
        detail = refusal_detail(stored, made) | {"hold": str(wanted.hold)}
        told = head + explanation.summary(answer, names=False)
        raise StepFailed(head + explanation.summary(answer), detail, stored, told)
    return answer, stored, seat


async def _first(
    store: Store, planner: Planner, demand: Demand, wanted: Wanted
) -> tuple[Question, Placement | Refusal, Seat] | None:
    """The first seat that will do, else why the first will not; None where there is none."""
    async with store.read() as c:
        found = await seats.fitting(c, wanted)
    refused = None
    for seat in found:
        question, answer = planner.decide_held(demand, held_by(seat))
        if isinstance(answer, Placement):
            return question, answer, seat
        refused = refused or (question, answer, seat)
    return refused


def held_by(seat: Seat) -> Held:
    """The seat in the scheduler's words."""
    return Held(
        seat.booked.host_id,
        seat.booked.datastore_id,
        seat.booked.cpu,
        seat.booked.ram_mib,
        seat.booked.disk_bytes,
        seat.layer,
    )
