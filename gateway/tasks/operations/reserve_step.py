"""Reserving: the fleet proposes a place, the ledger grants it, and a conflict asks again."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from msgspec import Struct

from drivers.contract import LeaseLost
from gateway.placement.advice import Adviser
from gateway.placement.claim_batcher import ClaimBatcher
from gateway.placement.decision_log import Subject, refusal_detail, to_store
from gateway.placement.demand import demand_of
from gateway.placement.fleet_mirror import FleetMirror
from gateway.store.capacity.claims import Claim, Fenced, Granted
from gateway.store.capacity.decisions import NewDecision
from gateway.store.capacity.hold_slots import HoldSlot
from gateway.store.db.pool import Store
from gateway.tasks.labels import TITLES
from gateway.tasks.operations.reserve_from_hold import seated, wanted_of
from gateway.tasks.saga import refusals
from gateway.tasks.step_actions import StepContext, StepFailed
from scheduler.decisions import decision as decisions
from scheduler.decisions import explanation
from scheduler.model.demand import Demand
from scheduler.model.placement import Placement, Refusal
from scheduler.model.values import replace

CONFLICTS_MAX = 20


class Contended(Exception):
    """Others were quicker each time; the task goes back to the queue for a moment."""


class PlacementProposal(Struct, frozen=True):
    """A place the fleet proposes, and the decision that goes on record if it is granted. `seat`
    is the held place that it takes over."""

    placement: Placement
    decision: NewDecision
    seat: HoldSlot | None = None


@dataclass(frozen=True, slots=True)
class Reserver:
    """Places VMs for the executor."""

    store: Store
    planner: FleetMirror
    granter: ClaimBatcher
    adviser: Adviser | None = None

    async def reserve(self, at: StepContext, step: str, *, moving: bool) -> dict[str, Any]:
        """Book a place for the VM; returns what was journalled with the grant.

        Raises StepFailed with the explained refusal, Contended, or LeaseLost.
        """
        target = at.task.payload.get("host_id")
        demand = demand_of(
            at.vm, moving=moving, only=frozenset({int(target)}) if target is not None else None
        )
        refused = tuple((each["host_id"], each["said"]) for each in refusals(at.journal))
        if refused:
            demand = replace(demand, refused=refused)
        hold = at.task.payload.get("hold")
        if hold is not None:
            return await self._reserve_held(at, step, demand, str(hold))
        for _ in range(CONFLICTS_MAX):
            question, answer = await self.planner.decide(demand)
            made = decisions.of_answer(question, answer)
            stored = to_store(_subject(at), made)
            if isinstance(answer, Refusal):
                advice = [] if self.adviser is None else await self.adviser.advise(answer)
                detail = refusal_detail(stored, made) | {"advice": advice}
                on_record = replace(stored, advice=advice)
                told = explanation.summary(answer, names=False)
                raise StepFailed(explanation.summary(answer), detail, on_record, told)
            granted = await self._try(at, step, demand, PlacementProposal(answer, stored))
            if granted is not None:
                return granted
        raise Contended(f"{CONFLICTS_MAX} proposed hosts were taken before they were booked")

    async def advised(self, failed: StepFailed) -> StepFailed:
        """A refusal to grow with the advice on it; in no transaction, for it may take a moment."""
        if failed.outgrows is not None and failed.decision is not None and self.adviser is not None:
            advice = await self.adviser.advise_growth(*failed.outgrows)
            failed.detail["advice"] = advice
            failed.decision = replace(failed.decision, advice=advice)
        return failed

    async def _reserve_held(
        self, at: StepContext, step: str, demand: Demand, hold: str
    ) -> dict[str, Any]:
        """Take over a place of a hold; it is refused once none of its places will do."""
        for _ in range(CONFLICTS_MAX):
            wanted = wanted_of(at.vm, hold)
            found = await seated(self.store, self.planner, demand, wanted, _subject(at))
            detail = await self._try(at, step, demand, PlacementProposal(*found))
            if detail is not None:
                return detail
        raise Contended(f"the slots of hold {hold} were taken before they were booked")

    async def _try(
        self, at: StepContext, step: str, demand: Demand, proposed: PlacementProposal
    ) -> dict[str, Any] | None:
        placement, seat = proposed.placement, proposed.seat
        if seat is None:  # what is held counts already
            self.planner.promise(placement, demand)
        try:
            claim = await self._claim(at, step, demand, proposed)
            answer = await self.granter.claim(
                claim, partial(self.planner.booked, placement, demand)
            )
        except BaseException:
            self.planner.withdraw(placement, demand)
            raise
        if isinstance(answer, Granted):
            return claim.detail
        self.planner.withdraw(placement, demand)
        if isinstance(answer, Fenced):
            raise LeaseLost(f"task {at.task.id} is held by another worker")
        await self.planner.refresh(answer.rows, answer.rules)
        return None

    async def _claim(
        self, at: StepContext, step: str, demand: Demand, proposed: PlacementProposal
    ) -> Claim:
        placement, decision = proposed.placement, proposed.decision
        host = self.planner.host(placement.host)
        assert host is not None
        disk = sum(row.disk_bytes for row in placement.seen if row.kind == "datastore")
        moving = demand.origin is not None
        seat = proposed.seat
        detail: dict[str, Any] = {
            "host_id": host.id,
            "host": host.name,
            "datastore_id": placement.datastore,
            "policy": placement.policy.value,
            "score": placement.score,
            "decision": str(decision.id),
        }
        if moving:
            detail |= await self._route(at, host.name, placement.datastore)
        if seat is not None:
            detail["hold"] = str(seat.hold)
        return Claim(
            task=at.task.id,
            epoch=at.task.epoch,
            step=step,
            vm_id=at.vm.id,
            host_id=host.id,
            rack_id=host.rack,
            datacenter_id=host.datacenter,
            datastore_id=placement.datastore,
            cpu=demand.cpu,
            ram_mib=demand.ram_mib,
            disk_bytes=disk,
            characters=tuple((row.kind, row.id, row.character) for row in placement.seen),
            detail=detail,
            event=_event(at, host.name, decision),
            moving=moving,
            cluster_id=host.cluster,
            rules=decision.rule_set,
            decision=decision,
            seat=None if seat is None else seat.id,
        )

    async def _route(self, at: StepContext, target: str, datastore_id: int) -> dict[str, Any]:
        """Both places of a move, in the drivers' words."""
        vm = at.vm
        async with self.store.read() as c:
            there = await c.fetchrow(
                "select pool, shared from datastore where id = $1", datastore_id
            )
        assert there is not None
        same = vm.datastore_id == datastore_id
        return {
            "source": {"host": vm.host, "datastore": vm.pool, "shared": bool(vm.shared)},
            "target": {"host": target, "datastore": there["pool"], "shared": there["shared"]},
            "source_host_id": vm.host_id,
            "source_volume": vm.volume,
            "target_volume": vm.volume if same else f"{vm.uuid}-{at.task.id}",
        }


def _subject(at: StepContext) -> Subject:
    return Subject(at.task.operation.value.lower(), at.vm.id, at.task.enterprise_id, at.task.id)


def _event(at: StepContext, host: str, decision: NewDecision) -> dict[str, Any]:
    return {
        "type": "VIRTUAL_MACHINE",
        "action": "SCHEDULER",
        "severity": "INFO",
        "message": f"{TITLES[at.task.operation]}: placed on {host}",
        "told": f"{TITLES[at.task.operation]}: placed",
        "enterprise_id": at.task.enterprise_id,
        "user_id": at.task.user_id,
        "user": at.task.payload.get("nick", ""),
        "entity_name": at.task.vm_name,
        "task_id": str(at.task.id),
        "details": {"host": host, "decision": str(decision.id)},
    }
