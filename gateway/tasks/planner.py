"""The planner keeps a fleet in step with the feed and asks it where VMs may go.

The fleet proposes; only the store's ledger grants. A refusal is final only after the fleet
has caught up with the head of the feed and was asked again.
"""

import asyncio
import logging
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from gateway.denial import Denied, Kind
from gateway.events.sequencer import Sequencer
from gateway.store import feed, inventory, vm_record
from gateway.store.feed import Change
from gateway.store.ledger import Row
from gateway.store.pool import Connection, Store, StoreError
from gateway.store.vm_record import VmRecord
from gateway.tasks.deciding import AheadOfFeed
from scheduler.decision import Question
from scheduler.demand import Demand, Origin
from scheduler.fleet import Fleet
from scheduler.inventory import NO_RULES, Datastore, Gone, Host, Scope
from scheduler.ledger import RULES, Key
from scheduler.ledger import Row as FleetRow
from scheduler.placement import HostVerdict, Placement, Refusal
from scheduler.policy import FitPolicy

_log = logging.getLogger(__name__)
_KINDS = ("host", "datastore", "rack", "datacenter")
_FOREVER = 2**62  # ids are never used again, so nothing newer can come


@dataclass(frozen=True, slots=True)
class Candidates:
    """Hosts a VM may be relocated to, gladdest first, and why the others may not."""

    fitting: tuple[int, ...]
    rejected: tuple[HostVerdict, ...]
    current: int | None


def demand_of(vm: VmRecord, *, only: frozenset[int] | None = None, moving: bool = False) -> Demand:
    """What a VM asks for; `moving` adds where it comes from."""
    origin = None
    if moving and vm.host_id is not None:
        assert vm.rack_id is not None
        assert vm.hypervisor is not None
        assert vm.datastore_id is not None
        origin = Origin(vm.host_id, vm.rack_id, vm.hypervisor, vm.datastore_id, bool(vm.shared))
    return Demand(
        vm=vm.uuid,
        cpu=vm.cpu,
        ram_mib=vm.ram_mib,
        disk_bytes=vm.disk_bytes,
        type=vm.type,
        datacenter=vm.datacenter_id,
        network=vm.nics[0][1] if vm.nics else None,
        origin=origin,
        only=only,
    )


class Planner:
    """One a process. `load` first; `run` follows the feed until cancelled."""

    def __init__(self, store: Store, sequencer: Sequencer) -> None:
        self._store = store
        self._sequencer = sequencer
        self._fleet = Fleet()
        self._policies: dict[int, FitPolicy] = {}
        self._position = 0
        self._turn = asyncio.Lock()
        self._scopes: dict[tuple[str, int], Scope] = {}
        self._ahead = AheadOfFeed(self._present)

    async def load(self) -> None:
        """Read everything once; changes after the position read first come by the feed."""
        async with self._store.read() as c:
            self._position = await feed.head(c)
            for kind in _KINDS:
                await self._fetch(c, kind, None)
            await self._read_policies(c)
            self._ahead.untold(await inventory.unsequenced(c))

    async def run(self) -> None:
        """Follow the feed; a store that is away is tried again by the listener."""
        async with aclosing(self._store.listen(feed.FEED_CHANNEL)) as woken:
            async for _ in woken:
                try:
                    await self.catch_up()
                except StoreError as away:
                    _log.warning("the planner waits for the store: %s", away)

    async def catch_up(self) -> None:
        """Apply every change up to the feed's head."""
        async with self._turn:
            while True:
                async with self._store.read() as c:
                    changes = await feed.after(c, self._position, "inventory")
                    await self._apply(c, changes)
                if not changes:
                    return
                self._position = changes[-1].position

    def place(self, demand: Demand) -> Placement | Refusal:
        """Ask the fleet as it is now."""
        return self._fleet.place(demand, self._policy(demand.datacenter))

    async def place_surely(self, demand: Demand) -> Placement | Refusal:
        """Ask the fleet; before it refuses, sequence what is committed, catch up, ask again."""
        answer = self.place(demand)
        if isinstance(answer, Refusal):
            await self._sequencer.flush()
            await self.catch_up()
            answer = self.place(demand)
        return answer

    async def decide(self, demand: Demand) -> tuple[Question, Placement | Refusal]:
        """As `place_surely`, with the question as it is put on record: nothing ran in between."""
        answer = await self.place_surely(demand)
        return self.question(demand), answer

    def question(self, demand: Demand) -> Question:
        """The question that an answer given at this very moment answers."""
        return Question(
            demand,
            self._policy(demand.datacenter),
            self._position,
            self._fleet.rules.version,
            self._ahead.rows(),
        )

    def promise(self, placement: Placement, demand: Demand) -> None:
        """Count a placement at once, so that this process does not offer the room twice."""
        self._ahead.touch((row.kind, row.id) for row in placement.seen)
        self._fleet.claim(placement, demand)

    def withdraw(self, placement: Placement, demand: Demand) -> None:
        """The placement was not granted."""
        self._ahead.touch((row.kind, row.id) for row in placement.seen)
        self._fleet.release(placement, demand)

    async def refresh(self, rows: tuple[Row, ...]) -> None:
        """Take in the present ledger rows of a conflict."""
        unknown = [row for row in rows if not self._use(row.kind, row.id, row.payload())]
        if unknown:
            async with self._store.read() as c:
                for row in unknown:
                    await self._fetch(c, row.kind, [row.id])

    def host(self, host_id: int) -> Host | None:
        """The host as the fleet knows it."""
        return self._fleet.host(host_id)

    async def candidates(self, vm_id: int) -> Candidates:
        """Where a VM may be relocated to now; raises Denied VM-1 when there is no such VM."""
        await self._sequencer.flush()
        await self.catch_up()
        async with self._store.read() as c:
            try:
                vm = await vm_record.load(c, vm_id)
            except LookupError:
                raise Denied(Kind.ABSENT, "VM-1", "The virtual machine does not exist") from None
        demand = demand_of(vm, moving=True)
        fitting: list[int] = []
        rejected: list[HostVerdict] = []
        for host, _, reasons in self._fleet.candidates(demand, self._policy(demand.datacenter)):
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

    def _policy(self, datacenter: int) -> FitPolicy:
        return self._policies.get(datacenter, self._policies.get(0, FitPolicy.PROGRESSIVE))

    async def _apply(self, c: Connection, changes: list[Change]) -> None:
        again: dict[str, set[int]] = {}
        for change in changes:
            number = int(change.entity_id)
            if change.entity == "policy":
                await self._read_policies(c)
            elif change.payload.get("gone"):
                self._fleet.apply(Gone(change.entity, number, _FOREVER))
            elif change.payload.get("changed") or not self._use(
                change.entity, number, change.payload
            ):
                again.setdefault(change.entity, set()).add(number)
        for kind, ids in again.items():
            await self._fetch(c, kind, sorted(ids))

    def _use(self, kind: str, number: int, values: dict[str, Any]) -> bool:
        """Apply new use of a known row; False when the whole row must be fetched."""
        known: Host | Datastore | Scope | None
        match kind:
            case "host":
                known = self._fleet.host(number)
            case "datastore":
                known = self._fleet.datastore(number)
            case _:
                known = self._scopes.get((kind, number))
        if known is None or known.character != values["character"]:
            return False
        generation = values["generation"]
        match known:
            case Host():
                self._fleet.apply(
                    replace(
                        known,
                        cpu_used=values["cpu_used"],
                        ram_used_mib=values["ram_used"],
                        generation=generation,
                    )
                )
            case Datastore():
                self._fleet.apply(
                    replace(known, used_bytes=values["disk_used"], generation=generation)
                )
            case Scope():
                changed = replace(
                    known,
                    cpu_used=values["cpu_used"],
                    ram_used_mib=values["ram_used"],
                    disk_used_bytes=values["disk_used"],
                    generation=generation,
                )
                if self._fleet.apply(changed):
                    self._scopes[kind, number] = changed
        return True

    async def _fetch(self, c: Connection, kind: str, ids: list[int] | None) -> None:
        for row in await inventory.fetch(c, kind, ids):
            if self._fleet.apply(row) and isinstance(row, Scope):
                self._scopes[row.kind, row.id] = row

    async def _read_policies(self, c: Connection) -> None:
        rows = await c.fetch("select element_id, fit_policy from rule where kind = 'fit_policy'")
        self._policies = {row["element_id"]: FitPolicy(row["fit_policy"]) for row in rows}
