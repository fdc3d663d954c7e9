"""A rehearsal makes the moves of a plan on a copy of the fleet, so that each is legal in its turn.

The copy answers by the rulebook. While a VM moves, both places are booked; when it has moved,
the source is free. Which moves freed the room for which others is worked out here. A host that
had an enterprise or a layer keeps it to the end of the plan, so that only room has an order.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from scheduler.fleet.fleet import Fleet
from scheduler.fleet.ranking import FitPolicy
from scheduler.fleet.usage_ledger import Key
from scheduler.model.demand import Demand
from scheduler.model.inventory import AggregateScope, Datastore, Host
from scheduler.model.placement import HostCounts, Placement, Refusal
from scheduler.model.values import replace
from scheduler.plan.moves import Blocked, MoveCause, MoveCost, Plan, PlannedMove, emptied_and_opened
from scheduler.plan.resident import MovableVm, Terms, relocation

Amounts = tuple[int, int, int]
"""Virtual CPUs, MiB, bytes."""
UNLIMITED = 1 << 62


@dataclass(slots=True)
class _Room:
    """What a row could still promise before the plan, and what the moves add and free."""

    spare: Amounts
    added: Amounts = (0, 0, 0)
    freed: list[tuple[int, Amounts]] = field(default_factory=list)


class Rehearsal:
    """The moves made so far, on a copy; the fleet itself stays as it is."""

    def __init__(self, fleet: Fleet, residents: Iterable[MovableVm], terms: Terms) -> None:
        """Nothing has moved yet."""
        self.fleet = copy_of(fleet)
        self.residents = {each.vm: each for each in residents}
        self.moves: list[PlannedMove] = []
        self._terms = terms
        self._rooms: dict[Key, _Room] = {}
        self._last: dict[UUID, int] = {}
        self._lived = self._living()

    def ask(
        self, vm: UUID, targets: frozenset[int] | None, policy: FitPolicy = FitPolicy.PROGRESSIVE
    ) -> Placement | Refusal:
        """Where the rules let the VM go now, of the targets; None is every host."""
        resident = self.residents[vm]
        demand = relocation(resident, self.fleet, self._terms.reach, targets)
        return self.fleet.place(demand, policy)

    def make(self, vm: UUID, placement: Placement, reason: MoveCause, gain: int = 0) -> None:
        """Moves the VM to where the fleet placed it a moment ago."""
        resident = self.residents[vm]
        demand = relocation(resident, self.fleet, self._terms.reach)
        added = {(seen.kind, seen.id): _amounts(seen) for seen in placement.seen}
        after = self._waits_for(vm, added)
        position = len(self.moves)
        copied = added["datastore", placement.datastore][2]
        cost = MoveCost(resident.demand.ram_mib if resident.live else 0, copied)
        target, to = placement.host, placement.datastore
        places = (resident.host, target, resident.datastore, to)
        self.moves.append(PlannedMove(vm, *places, reason, gain, cost, after))
        freed = self._frees(resident, placement, added)
        self.fleet.claim(placement, demand)
        for key, amounts in freed.items():
            self._room(key).freed.append((position, self._take_off(key, amounts)))
        self._last[vm] = position
        self.residents[vm] = replace(resident, host=target, datastore=placement.datastore)

    def plan(
        self,
        goal: str,
        blocked: Iterable[Blocked] = (),
        closes: tuple[int, ...] | None = None,
    ) -> Plan:
        """All that was rehearsed; the hosts to close are those that it empties, unless told."""
        touched = sorted({host for move in self.moves for host in (move.source, move.target)})
        lived = tuple((host, self._lived[host]) for host in touched)
        empties, opens = emptied_and_opened(lived, self.moves)
        before = sum(count > 0 for count in self._lived.values())
        return Plan(
            goal,
            tuple(self.moves),
            tuple(blocked),
            before,
            before - len(empties) + len(opens),
            empties if closes is None else closes,
            empties,
            opens,
            lived,
        )

    def _living(self) -> dict[int, int]:
        """How many VMs each host has, and one more for promises to VMs that no plan knows."""
        held: dict[int, list[Demand]] = defaultdict(list)
        for each in self.residents.values():
            held[each.host].append(each.demand)
        return {
            host.id: len(held[host.id])
            + (
                host.cpu_used > sum(each.cpu for each in held[host.id])
                or host.ram_used_mib > sum(each.ram_mib for each in held[host.id])
            )
            for host in self.fleet.hosts()
        }

    def _waits_for(self, vm: UUID, added: dict[Key, Amounts]) -> tuple[int, ...]:
        """The moves without which there is no room, whatever else was begun already.

        All that earlier moves add to a row is taken as promised, and of what they free only
        the shortest beginning that makes room: so the moves may also run side by side.
        """
        waits = {self._last[vm]} if vm in self._last else set()
        for key, amounts in added.items():
            if not any(amounts):
                continue
            room = self._room(key)
            room.added = _plus(room.added, amounts)
            left = _minus(room.spare, room.added)
            for position, freed in room.freed:
                if all(have >= 0 or not want for have, want in zip(left, amounts, strict=True)):
                    break
                waits.add(position)
                left = _plus(left, freed)
        return tuple(sorted(waits))

    def _room(self, key: Key) -> _Room:
        if key not in self._rooms:
            self._rooms[key] = _Room(_spare(self._row(key)))
        return self._rooms[key]

    def _row(self, key: Key) -> Host | Datastore | AggregateScope | None:
        kind, id = key
        match kind:
            case "host":
                return self.fleet.host(id)
            case "datastore":
                return self.fleet.datastore(id)
            case _:
                return self.fleet.scope(kind, id)

    def _frees(
        self, resident: MovableVm, placement: Placement, added: dict[Key, Amounts]
    ) -> dict[Key, Amounts]:
        """What the VM no longer holds once it has moved."""
        demand = resident.demand
        source, target = self.fleet.host(resident.host), self.fleet.host(placement.host)
        freed: dict[Key, Amounts] = {("host", resident.host): (demand.cpu, demand.ram_mib, 0)}
        if added["datastore", placement.datastore][2]:
            freed["datastore", resident.datastore] = (0, 0, demand.disk_bytes)
        assert source is not None
        assert target is not None
        held = (demand.cpu, demand.ram_mib, demand.disk_bytes)
        if source.rack != target.rack:
            freed["rack", source.rack] = held
        if source.cluster is not None and source.cluster != target.cluster:
            freed["cluster", source.cluster] = held
        return freed

    def _take_off(self, key: Key, freed: Amounts) -> Amounts:
        """Frees what the row really held of these amounts, and says how much that was."""
        row = self._row(key)
        if row is None:
            return (0, 0, 0)
        lighter = _lighter(row, freed)
        self.fleet.apply(lighter)
        return _minus(_held(row), _held(lighter))


def copy_of(fleet: Fleet) -> Fleet:
    """A fleet of the same rows, with what is promised counted in for good."""
    made = Fleet()
    for row in fleet.rows():
        made.apply(row)
    return made


def _lighter(
    row: Host | Datastore | AggregateScope, freed: Amounts
) -> Host | Datastore | AggregateScope:
    """The row without these amounts, newer than it was; it never holds less than nothing."""
    cpu, ram, disk = (max(0, have) for have in _minus(_held(row), freed))
    newer = row.generation + 1
    match row:
        case Host():
            return replace(row, cpu_used=cpu, ram_used_mib=ram, generation=newer)
        case Datastore():
            return replace(row, used_bytes=disk, generation=newer)
        case AggregateScope():
            return replace(
                row, cpu_used=cpu, ram_used_mib=ram, disk_used_bytes=disk, generation=newer
            )


def _held(row: Host | Datastore | AggregateScope) -> Amounts:
    match row:
        case Host():
            return (row.cpu_used, row.ram_used_mib, 0)
        case Datastore():
            return (0, 0, row.used_bytes)
        case AggregateScope():
            return (row.cpu_used, row.ram_used_mib, row.disk_used_bytes)


def _spare(row: Host | Datastore | AggregateScope | None) -> Amounts:
    match row:
        case Host():
            return (row.cpu_limit - row.cpu_used, row.ram_limit_mib - row.ram_used_mib, 0)
        case Datastore():
            return (0, 0, row.limit_bytes - row.used_bytes)
        case AggregateScope():
            return (
                _below(row.cpu_limit, row.cpu_used),
                _below(row.ram_limit_mib, row.ram_used_mib),
                _below(row.disk_limit_bytes, row.disk_used_bytes),
            )
        case None:
            return (UNLIMITED, UNLIMITED, UNLIMITED)


def _below(limit: int | None, used: int) -> int:
    return UNLIMITED if limit is None else limit - used


def _amounts(seen: HostCounts) -> Amounts:
    return (seen.cpu, seen.ram_mib, seen.disk_bytes)


def _plus(one: Amounts, other: Amounts) -> Amounts:
    return (one[0] + other[0], one[1] + other[1], one[2] + other[2])


def _minus(one: Amounts, other: Amounts) -> Amounts:
    return (one[0] - other[0], one[1] - other[1], one[2] - other[2])
