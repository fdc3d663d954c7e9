"""The planner keeps a fleet in step with the feed and asks it where VMs may go.

The fleet proposes; only the store's ledger grants. A refusal is final only after the fleet
has caught up with the head of the feed and was asked again.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

from msgspec import structs

from gateway.denial import ApiError, ErrorKind
from gateway.events.sequencer import Sequencer
from gateway.lifecycle import Operation
from gateway.placement.candidates import Candidates
from gateway.placement.decision_log import AheadOfFeed
from gateway.placement.demand import demand_of
from gateway.placement.pending_claims import Promises
from gateway.store import objections, vm_record
from gateway.store.capacity import inventory
from gateway.store.capacity.ledger import Row
from gateway.store.db.pool import Connection, Store, StoreError
from gateway.store.feed import feed
from gateway.store.feed.feed import FeedChange
from gateway.store.rules import rule_set
from scheduler.advice.growth import growing
from scheduler.advice.local_inventory import LocalInventory
from scheduler.advice.nearby_hosts import vicinity
from scheduler.decisions.decision import DecisionQuestion
from scheduler.decisions.overlay import diff
from scheduler.fleet.candidates import iter_candidates
from scheduler.fleet.fleet import Fleet
from scheduler.fleet.hold_placement import Held, asked_of, place_held, rows_without
from scheduler.fleet.usage_ledger import RULES, Key, key_of
from scheduler.fleet.usage_ledger import Row as FleetRow
from scheduler.model.demand import Demand
from scheduler.model.host_partition import HostPartition
from scheduler.model.inventory import NO_RULES, AggregateScope, Datastore, Host, RuleSet, Tombstone
from scheduler.model.placement import HostVerdict, Placement, Refusal
from scheduler.model.reason import Reason, ReasonCode
from scheduler.model.serialization import from_mapping, with_usage
from scheduler.model.values import replace
from scheduler.plan.moves import PlannedMove
from scheduler.plan.preconditions import surprises
from scheduler.plan.resident import MovableVm, Terms

LISTED_AT_ONCE = 100
"""Hosts that are asked without a pause: about 2 ms."""

_log = logging.getLogger(__name__)
_KINDS = ("host", "datastore", "cluster", "rack", "datacenter")


class FleetMirror:
    """One a process. `load` first; `run` follows the feed until cancelled."""

    def __init__(self, store: Store, sequencer: Sequencer) -> None:
        self._store = store
        self._sequencer = sequencer
        self._fleet = Fleet()
        self._position = 0
        self._share: HostPartition | None = None
        self._turn = asyncio.Lock()
        self._promises = Promises()
        self._ahead = AheadOfFeed(self._present)

    async def load(self) -> None:
        """Read everything once; changes after the position read first come by the feed."""
        async with self._store.read() as c:
            await self._read_all(c)
        # What was read may be ahead of the position: once it is told, both agree exactly.
        await self._sequencer.flush()
        await self.catch_up()

    async def _read_all(self, c: Connection) -> None:
        self._fleet = Fleet()
        self._ahead = AheadOfFeed(self._present)
        self._position = await feed.head(c)
        for kind in _KINDS:
            await self._fetch(c, kind, None)
        self._fleet.apply(await rule_set.read(c))

    async def run(self) -> None:
        """Follow the feed; a store that is away is tried again by the listener."""
        async with aclosing(self._store.listen(feed.FEED_CHANNEL)) as woken:
            async for _ in woken:
                try:
                    await self.catch_up()
                except StoreError as away:
                    _log.warning("the planner waits for the store: %s", away)

    async def catch_up(self) -> None:
        """Apply every change up to the feed's head; read everything where some are not kept."""
        async with self._turn:
            while True:
                async with self._store.read() as c:
                    head, trimmed = await feed.bounds(c)
                    if trimmed > self._position:
                        await self._read_all(c)
                    changes = await feed.after(c, self._position, "inventory")
                    await self._apply(c, changes)
                    if not changes:
                        self._position = max(self._position, head)
                        return

    def place(self, demand: Demand) -> Placement | Refusal:
        """Ask the fleet as it is now."""
        return self._fleet.place(demand, self.rules.policy(demand.datacenter), self._share)

    def take_share(self, share: HostPartition | None) -> None:
        """Try these hosts first from now on; None when no other process places VMs."""
        self._share = share

    async def place_surely(self, demand: Demand) -> Placement | Refusal:
        """Ask the fleet; before it refuses, sequence what is committed, catch up, ask again.

        Likewise before it leaves its share: where another process places VMs, what was heard a
        moment ago is probably old.
        """
        answer = self.place(demand)
        if isinstance(answer, Refusal) or answer.share != self._share:
            await self._sequencer.flush()
            await self.catch_up()
            answer = self.place(demand)
        return answer

    async def catch_up_to_head(self) -> None:
        """Apply all that is committed now, also what nobody has sequenced yet."""
        await self._sequencer.flush()
        await self.catch_up()

    def decide_held(
        self, demand: Demand, held: Held
    ) -> tuple[DecisionQuestion, Placement | Refusal]:
        """The demand at a place that is held for it, as the fleet is now, with the question."""
        question = self.question(asked_of(demand, held))
        ahead = [diff(key_of(row), None, row) for row in rows_without(self._fleet, held)]
        question = replace(
            question, ahead=(*question.ahead, *(each for each in ahead if each)), share=None
        )
        return question, place_held(self._fleet, demand, held)

    def surprises(self, move: PlannedMove, resident: MovableVm, terms: Terms) -> tuple[str, ...]:
        """Why a planned move is not as planned any more, as the fleet is now."""
        return surprises(move, self._fleet, resident, terms)

    async def decide(self, demand: Demand) -> tuple[DecisionQuestion, Placement | Refusal]:
        """As `place_surely`, with the question as it is put on record: nothing ran in between."""
        answer = await self.place_surely(demand)
        return self.question(demand), answer

    def question(self, demand: Demand) -> DecisionQuestion:
        """The question that an answer given at this very moment answers."""
        return DecisionQuestion(
            demand,
            self.rules.policy(demand.datacenter),
            self._position,
            self.rules.version,
            self._ahead.rows(),
            self._share,
        )

    def vicinity(self, refusal: Refusal) -> tuple[LocalInventory, tuple[HostVerdict, ...]]:
        """What a refusal that was given at this very moment is about, small enough to be sent."""
        return vicinity(self._fleet, refusal, self.rules.policy(refusal.demand.datacenter))

    def growing(
        self, demand: Demand, place: Held
    ) -> tuple[LocalInventory, tuple[HostVerdict, ...]] | None:
        """What a VM that outgrows its place is refused for there; None where it fits."""
        return growing(self._fleet, demand, place)

    def promise(self, placement: Placement, demand: Demand) -> None:
        """Count a placement at once, so that this process does not offer the room twice."""
        self._ahead.touch((row.kind, row.id) for row in placement.seen)
        self._fleet.claim(placement, demand)
        self._promises.make(placement, demand)

    def booked(self, placement: Placement, demand: Demand, generations: Mapping[Key, int]) -> None:
        """The placement is granted if the transaction commits, which counts it in these rows."""
        over = self._promises.booked(placement, demand, generations)
        self._ahead.touch((row.kind, row.id) for row in over)
        self._fleet.release(structs.replace(placement, seen=over), demand)

    def withdraw(self, placement: Placement, demand: Demand) -> None:
        """The placement was not granted."""
        self._ahead.touch((row.kind, row.id) for row in placement.seen)
        self._promises.end(placement, demand)
        self._fleet.release(placement, demand)

    async def refresh(self, rows: tuple[Row, ...], rules: int) -> None:
        """Take in the present ledger rows of a conflict, and the rules at least of that version."""
        if rules > self.rules.version:
            await self._sequencer.flush()
            await self.catch_up()
        self._ahead.touch((row.kind, row.id) for row in rows)
        unknown = [row for row in rows if not self._use(row.kind, row.id, row.payload())]
        if unknown:
            async with self._store.read() as c:
                for row in unknown:
                    await self._fetch(c, row.kind, [row.id])

    def host(self, host_id: int) -> Host | None:
        """The host as the fleet knows it."""
        return self._fleet.host(host_id)

    @property
    def rules(self) -> RuleSet:
        """What the rules say as far as the fleet knows; its version goes with a claim."""
        return self._fleet.rules

    async def candidates(self, vm_id: int) -> Candidates:
        """Where a VM may be relocated to now; raises ApiError VM-1 when there is no such VM.

        Others have their turn in between, so hosts are told as they are when theirs comes.
        """
        await self._sequencer.flush()
        await self.catch_up()
        async with self._store.read() as c:
            try:
                vm = await vm_record.load(c, vm_id)
            except LookupError:
                raise ApiError(
                    ErrorKind.ABSENT, "VM-1", "The virtual machine does not exist"
                ) from None
            said = await objections.against(c, vm_id, Operation.RELOCATE)
        demand = demand_of(vm, moving=True)
        fitting: list[int] = []
        rejected: list[HostVerdict] = []
        policy = self.rules.policy(demand.datacenter)
        for n, (host, _, reasons) in enumerate(iter_candidates(self._fleet, demand, policy), 1):
            if n % LISTED_AT_ONCE == 0:
                await asyncio.sleep(0)
            if said and host.id != vm.host_id:
                reasons = (*reasons, Reason(ReasonCode.REFUSED, spare=said))
            if reasons:
                rejected.append(HostVerdict(host.id, host.name, reasons))
            else:
                fitting.append(host.id)
        return Candidates(tuple(fitting), tuple(rejected), vm.host_id)

    def _present(self, key: Key) -> FleetRow | None:
        """A row as the fleet shows it, promises counted in."""
        kind, id = key
        match kind:
            case "host":
                return self._fleet.host(id)
            case "datastore":
                return self._fleet.datastore(id)
            case _ if key == RULES:
                return None if self._fleet.rules is NO_RULES else self._fleet.rules
            case _:
                return self._fleet.scope(kind, id)

    async def _apply(self, c: Connection, changes: list[FeedChange]) -> None:
        again: dict[str, set[int]] = {}
        for change in changes:
            self._ahead.hear((change.entity, int(change.entity_id)), change.payload)
            self._position = change.position
            if "row" in change.payload:
                self._take(from_mapping(change.payload))
            elif not self._use(change.entity, int(change.entity_id), change.payload):
                again.setdefault(change.entity, set()).add(int(change.entity_id))
        # Nothing is awaited before here: the rows and the position change at one moment.
        for kind, ids in again.items():
            await self._fetch(c, kind, sorted(ids))

    def _use(self, kind: str, number: int, values: Mapping[str, Any]) -> bool:
        """Apply new use of a known row; False when the whole row must be fetched."""
        known: Host | Datastore | AggregateScope | None
        match kind:
            case "host":
                known = self._fleet.host(number)
            case "datastore":
                known = self._fleet.datastore(number)
            case _:
                known = self._fleet.scope(kind, number)
        if known is None or known.character != values["character"]:
            return False
        self._take(with_usage(known, values))
        return True

    def _take(self, row: FleetRow | Tombstone) -> None:
        """The fleet takes the row; what was promised of it and is not in its numbers stays."""
        if not self._fleet.apply(row) or isinstance(row, RuleSet | Tombstone):
            return
        key = key_of(row)
        for placement, demand in self._promises.beyond(key, row.generation):
            self._ahead.touch([key])
            self._fleet.claim(placement, demand)

    async def _fetch(self, c: Connection, kind: str, ids: list[int] | None) -> None:
        for row in await inventory.fetch(c, kind, ids):
            if ids is not None:
                self._ahead.touch([(kind, row.id)])
            self._take(row)
