"""Seating: a VM that was promised a hold takes one of its places over, and no other place."""

from uuid import UUID

from gateway.placement.decision_log import Subject, refusal_detail, to_store
from gateway.placement.fleet_mirror import FleetMirror
from gateway.store.capacity import hold_slots
from gateway.store.capacity.decisions import NewDecision
from gateway.store.capacity.hold_slots import HoldSlot, Wanted
from gateway.store.db.pool import Store
from gateway.store.vm_record import VmRecord
from gateway.tasks.step_actions import StepFailed
from scheduler.decisions import decision as decisions
from scheduler.decisions import explanation
from scheduler.decisions.decision import DecisionQuestion
from scheduler.fleet.hold_placement import Held
from scheduler.model.demand import Demand
from scheduler.model.placement import Placement, Refusal


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
    store: Store, planner: FleetMirror, demand: Demand, wanted: Wanted, subject: Subject
) -> tuple[Placement, NewDecision, HoldSlot]:
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
    store: Store, planner: FleetMirror, demand: Demand, wanted: Wanted
) -> tuple[DecisionQuestion, Placement | Refusal, HoldSlot] | None:
    """The first seat that will do, else why the first will not; None where there is none."""
    async with store.read() as c:
        found = await hold_slots.fitting(c, wanted)
    refused = None
    for seat in found:
        question, answer = planner.decide_held(demand, held_by(seat))
        if isinstance(answer, Placement):
            return question, answer, seat
        refused = refused or (question, answer, seat)
    return refused


def held_by(seat: HoldSlot) -> Held:
    """The seat in the scheduler's words."""
    return Held(
        seat.booked.host_id,
        seat.booked.datastore_id,
        seat.booked.cpu,
        seat.booked.ram_mib,
        seat.booked.disk_bytes,
        seat.layer,
    )
