"""Holding: the fleet proposes a place for each VM of a hold, and the ledger grants all or none."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID, uuid4

from gateway.caller import Caller
from gateway.denial import ApiError, ErrorKind
from gateway.events.event import Event, Severity, emit
from gateway.placement.advice import Adviser
from gateway.placement.decision_log import Subject, to_store
from gateway.placement.fleet_mirror import FleetMirror
from gateway.store.capacity import decisions, holds
from gateway.store.capacity.booking_deltas import Booked
from gateway.store.capacity.claims import Granted
from gateway.store.capacity.decisions import OF_NO_VM
from gateway.store.capacity.holds import NewHold, NewSeat, StoredHold
from gateway.store.db.pool import Connection, Store, StoreError
from scheduler.advice.local_inventory import LocalInventory
from scheduler.decisions import explanation
from scheduler.decisions.decision import DecisionQuestion, of_answer
from scheduler.model.demand import Demand
from scheduler.model.placement import HostVerdict, Placement, Refusal
from scheduler.model.values import replace

_log = logging.getLogger(__name__)
CONFLICTS_MAX = 20
SWEEP_S = 0.5
"""Between two looks for holds that have ended: they end at most this and a moment later."""


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """What is to be held: one demand a VM, all of one enterprise (or none) and datacenter."""

    name: str
    enterprise: int | None
    datacenter: int
    ttl_s: float
    demands: tuple[Demand, ...]


Vicinity = tuple[LocalInventory, tuple[HostVerdict, ...]]


class _NoRoom(Exception):
    """One of the VMs finds no place beside the others; `number` counts from 0."""

    def __init__(
        self, number: int, question: DecisionQuestion, refusal: Refusal, around: Vicinity
    ) -> None:
        super().__init__(number)
        self.around = around
        self.number = number
        self.question = question
        self.refusal = refusal


Chosen = list[tuple[DecisionQuestion, Placement]]
"""For each VM so far, what was asked and the place that was promised."""


@dataclass(frozen=True, slots=True)
class HoldService:
    """Makes, renews and ends holds."""

    store: Store
    planner: FleetMirror
    adviser: Adviser | None = None

    async def hold(self, wish: HoldRequest, caller: Caller) -> UUID:
        """Book places for all VMs; raises ApiError HOLD-1 with the refusal when one has none.

        HOLD-3 when others were quicker each time.
        """
        made = uuid4()
        subject = Subject("hold", OF_NO_VM, wish.enterprise or caller.enterprise_id)
        for _ in range(CONFLICTS_MAX):
            try:
                chosen = await self._choose_surely(wish)
            except _NoRoom as refused:
                raise await self._refuse(subject, refused, wish, caller) from None
            if await self._book(replace(subject, hold=made), wish, chosen, caller):
                return made
        raise ApiError(
            ErrorKind.CONFLICT, "HOLD-3", "The hosts found were taken before they were booked"
        )

    async def _refuse(
        self, subject: Subject, refused: _NoRoom, wish: HoldRequest, caller: Caller
    ) -> ApiError:
        """Put the refusal on record with the advice on it; what to tell the caller."""
        stored = to_store(subject, of_answer(refused.question, refused.refusal))
        if self.adviser is not None:
            stored = replace(stored, advice=await self.adviser.advise_on(*refused.around))
        async with self.store.transaction() as c:
            await decisions.put_many(c, [stored])
        count = len(wish.demands)
        why = explanation.summary(refused.refusal, names=caller.sees_hosts)
        told = f"VM {refused.number + 1} of {count} fits no host, so nothing is held. {why}"
        denied = ApiError(ErrorKind.CONFLICT, "HOLD-1", told)
        denied.decision = str(stored.id)
        return denied

    async def _choose_surely(self, wish: HoldRequest) -> Chosen:
        """Places for all, promised; a refusal is final at the head of the feed only."""
        try:
            return self._choose(wish)
        except _NoRoom:
            await self.planner.catch_up_to_head()
            return self._choose(wish)

    def _choose(self, wish: HoldRequest) -> Chosen:
        chosen: Chosen = []
        for demand in wish.demands:
            answer = self.planner.place(demand)
            question = self.planner.question(demand)
            if isinstance(answer, Refusal):
                around = self.planner.vicinity(answer)
                self._withdraw(chosen)
                raise _NoRoom(len(chosen), question, answer, around)
            self.planner.promise(answer, demand)
            chosen.append((question, answer))
        return chosen

    def _withdraw(self, chosen: Chosen) -> None:
        for question, placement in chosen:
            self.planner.withdraw(placement, question.demand)

    async def _book(
        self, subject: Subject, wish: HoldRequest, chosen: Chosen, caller: Caller
    ) -> bool:
        assert subject.hold is not None
        new = NewHold(
            subject.hold,
            wish.name,
            wish.enterprise,
            wish.datacenter,
            caller.user_id,
            wish.ttl_s,
            tuple(self._seat(subject, question, placement) for question, placement in chosen),
            self.planner.rules.version,
        )
        try:
            async with self.store.transaction() as c:
                answer = await holds.create(c, new)
                if isinstance(answer, Granted):
                    self._booked(chosen, answer)
                    await _tell(c, await holds.get(c, new.id), "CREATE", "Capacity held", caller)
        except BaseException:
            self._withdraw(chosen)
            raise
        if isinstance(answer, Granted):
            return True
        self._withdraw(chosen)
        await self.planner.refresh(answer.rows, answer.rules)
        return False

    def _booked(self, chosen: Chosen, granted: Granted) -> None:
        for question, placement in chosen:
            self.planner.booked(placement, question.demand, granted.generations)

    def _seat(self, subject: Subject, question: DecisionQuestion, placement: Placement) -> NewSeat:
        demand = question.demand
        host = self.planner.host(placement.host)
        assert host is not None
        booked = Booked(
            0,
            host.id,
            placement.datastore,
            host.cluster,
            host.rack,
            host.datacenter,
            demand.cpu,
            demand.ram_mib,
            demand.disk_bytes,
        )
        characters = tuple((row.kind, row.id, row.character) for row in placement.seen)
        stored = to_store(subject, of_answer(question, placement))
        return NewSeat(
            booked, demand.type, demand.network, demand.tier, demand.layer, characters, stored
        )

    async def renew(self, hold: UUID, ttl_s: float, caller: Caller) -> StoredHold:
        """Have a hold end later; raises ApiError HOLD-0 when it has ended."""
        async with self.store.transaction() as c:
            if not await holds.renew(c, hold, ttl_s):
                raise hold_not_found()
            found = await holds.get(c, hold)
            assert found is not None
            await _tell(c, found, "RENEW", "Hold renewed", caller)
        return found

    async def release(self, hold: UUID, caller: Caller) -> None:
        """End a hold now; raises ApiError HOLD-0 when there is none."""
        async with self.store.transaction() as c:
            was = await holds.release(c, hold)
            if was is None:
                raise hold_not_found()
            await _tell(c, was, "RELEASE", "Hold released", caller)

    async def sweep(self) -> int:
        """End what is over; how many were."""
        async with self.store.transaction() as c:
            ended = await holds.sweep(c)
            for one in ended:
                await _tell(c, one, "EXPIRE", "Hold expired", None)
        return len(ended)


class HoldExpirer:
    """Ends holds whose time is over, in any process, until cancelled."""

    def __init__(self, holder: HoldService, committed: Callable[[], None] = lambda: None) -> None:
        """`committed` is told that there is something for the feed."""
        self._holder = holder
        self._committed = committed

    async def run(self) -> None:
        """Look again and again; a store that is away is asked again soon."""
        while True:
            try:
                while await self._holder.sweep():
                    self._committed()
            except StoreError as away:
                _log.warning("holds wait for the store: %s", away)
            await asyncio.sleep(SWEEP_S)


def hold_not_found() -> ApiError:
    """There is no such hold, or not any more."""
    return ApiError(ErrorKind.ABSENT, "HOLD-0", "The hold does not exist or has ended")


async def _tell(
    c: Connection, hold: StoredHold | None, action: str, message: str, caller: Caller | None
) -> None:
    assert hold is not None
    free = [place for place in hold.places if place.vm_id is None]
    await emit(
        c,
        Event(
            "HOLD",
            action,
            hold.id,
            message=f"{message}: {len(free)} of {len(hold.places)} places are free",
            severity=Severity.INFO,
            enterprise_id=hold.enterprise_id,
            user_id=caller.user_id if caller else None,
            user=caller.nick if caller else "",
            entity_name=hold.name,
            details={
                "expires": hold.expires_at.isoformat(),
                "hosts": sorted({place.host for place in hold.places}),
                "free": len(free),
            },
        ),
    )
