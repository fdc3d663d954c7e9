"""Room is the fleet at one moment as columns: a question about all hosts is a few sums.

Whether a rule other than capacity closes a host is asked of the rules themselves, once for each
kind of host; capacity is arithmetic on the columns, the same as the rules'.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from scheduler.fleet.fleet import Fleet
from scheduler.model.datastore_choice import spare, tier_allows
from scheduler.model.demand import Demand
from scheduler.model.inventory import AggregateScope, Candidate, Datastore, Host, RuleSet
from scheduler.model.reason import ReasonCode
from scheduler.rule_registry import objections

Column: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]
MOST = 2**31
"""As many VMs as are ever counted on one host: what limits nothing counts as this."""
_NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class CapacityElement:
    """A scope or datastore, and the positions of the hosts that it is about."""

    row: AggregateScope | Datastore
    members: Column


@dataclass(frozen=True, slots=True)
class FreeCapacity:
    """Spare vCPUs and MiB by host (negative where a rule was lowered below use), and what the
    hosts share. `kind` is the same number for hosts that only capacity, exclusions and layers
    tell apart; `samples` has one of each."""

    candidates: tuple[Candidate, ...]
    rules: RuleSet
    position: Mapping[int, int]
    cpu: Column
    ram_mib: Column
    kind: Column
    samples: tuple[Candidate, ...]
    datastores: tuple[CapacityElement, ...]
    scopes: tuple[CapacityElement, ...]
    _open: dict[tuple[object, ...], Mask] = field(default_factory=dict)

    def eligible(self, demand: Demand) -> Mask:
        """The hosts that nothing but capacity closes to the demand."""
        key = (demand.type, demand.datacenter, demand.network, demand.enterprise, demand.tier)
        known = self._open.get(key)
        if known is None:
            known = self._open[key] = self._opened(demand)
        if demand.layer is None and demand.only is None:
            return known
        hosts = [at.host for at in self.candidates]
        free = [demand.layer is None or demand.layer not in host.layers for host in hosts]
        asked = [demand.only is None or host.id in demand.only for host in hosts]
        named: Mask = known & np.array(free, bool) & np.array(asked, bool)
        return named

    def _opened(self, demand: Demand) -> Mask:
        bare = Demand(
            _NOBODY,
            0,
            0,
            0,
            demand.type,
            demand.datacenter,
            demand.network,
            enterprise=demand.enterprise,
            tier=demand.tier,
        )
        flags = np.array([_open(bare, at) for at in self.samples], bool)
        mask: Mask = flags[self.kind] if len(self.kind) else np.zeros(0, bool)
        apart = self.rules.excluded.get(demand.enterprise or 0, frozenset())
        if demand.enterprise is not None and apart:
            kept = [not (apart & at.host.enterprises) for at in self.candidates]
            mask = mask & np.array(kept, bool)
        return mask

    def usable(self, demand: Demand) -> list[CapacityElement]:
        """The enabled datastores that take the demand's disks by their tier."""
        return [
            each
            for each in self.datastores
            if isinstance(each.row, Datastore)
            and each.row.enabled
            and tier_allows(demand, each.row)
        ]

    def slots(self, demand: Demand) -> Column:
        """How many of the demand each host takes by its own vCPUs, MiB and rules."""
        count = np.minimum(times(self.cpu, demand.cpu), times(self.ram_mib, demand.ram_mib))
        if demand.layer is not None:
            count = np.minimum(count, 1)
        return np.where(self.eligible(demand), count, 0)


def times(room: Column, wanted: int) -> Column:
    """How often `wanted` fits into each; adding nothing always fits."""
    if wanted == 0:
        return np.full(room.shape, MOST, np.int64)
    count: Column = np.minimum(np.maximum(room, 0) // wanted, MOST)
    return count


def times_of(limit: int | None, used: int, wanted: int) -> int:
    """How often `wanted` fits under one limit; None is no limit."""
    if limit is None or wanted == 0:
        return MOST
    return min(max(limit - used, 0) // wanted, MOST)


def room_of(fleet: Fleet) -> FreeCapacity:
    """The fleet as it is now, claims counted in."""
    hosts = fleet.hosts()
    seen = {each: fleet.datastore(each) for host in hosts for each in host.datastores}
    keys = {key for host in hosts for key in _scopes(host)}
    scopes = {key: fleet.scope(*key) for key in keys}
    return _build(
        hosts,
        {id: row for id, row in seen.items() if row is not None},
        {key: row for key, row in scopes.items() if row is not None},
        fleet.rules,
    )


def fleet_of(
    hosts: Iterable[Host],
    datastores: Iterable[Datastore] = (),
    scopes: Iterable[AggregateScope] = (),
    rules: RuleSet | None = None,
) -> Fleet:
    """A fleet that was told just these rows."""
    fleet = Fleet()
    rows: list[Host | Datastore | AggregateScope | RuleSet] = [*datastores, *scopes, *hosts]
    for row in rows if rules is None else [*rows, rules]:
        fleet.apply(row)
    return fleet


def _build(
    hosts: tuple[Host, ...],
    datastores: Mapping[int, Datastore],
    scopes: Mapping[tuple[str, int], AggregateScope],
    rules: RuleSet,
) -> FreeCapacity:
    candidates = []
    sights: dict[int, list[int]] = {}
    parts: dict[tuple[str, int], list[int]] = {}
    kinds: dict[tuple[object, ...], int] = {}
    samples: list[Candidate] = []
    kind = []
    for n, host in enumerate(hosts):
        seen = tuple(datastores[each] for each in host.datastores if each in datastores)
        at = Candidate(host, seen, rules=rules)
        candidates.append(at)
        number = kinds.setdefault(_kind(at), len(kinds))
        if number == len(samples):
            samples.append(at)
        kind.append(number)
        for datastore in seen:
            sights.setdefault(datastore.id, []).append(n)
        for key in _scopes(host):
            parts.setdefault(key, []).append(n)
    return FreeCapacity(
        candidates=tuple(candidates),
        rules=rules,
        position={host.id: n for n, host in enumerate(hosts)},
        cpu=np.array([host.cpu_limit - host.cpu_used for host in hosts], np.int64),
        ram_mib=np.array([host.ram_limit_mib - host.ram_used_mib for host in hosts], np.int64),
        kind=np.array(kind, np.int64),
        samples=tuple(samples),
        datastores=tuple(
            CapacityElement(datastores[id], np.array(members, np.int64))
            for id, members in sights.items()
        ),
        scopes=tuple(
            CapacityElement(scopes[key], np.array(members, np.int64))
            for key, members in parts.items()
            if key in scopes
        ),
    )


def _scopes(host: Host) -> list[tuple[str, int]]:
    found = [("rack", host.rack), ("datacenter", host.datacenter)]
    return found if host.cluster is None else [("cluster", host.cluster), *found]


def _kind(at: Candidate) -> tuple[object, ...]:
    """All that the rules look at, but capacity, exclusions and layers."""
    host = at.host
    disks = frozenset((each.enabled, each.tier and each.tier.id) for each in at.datastores)
    return (
        host.datacenter,
        host.type,
        host.state,
        host.reachable,
        host.networks,
        host.reserved_for,
        disks,
    )


def _open(bare: Demand, at: Candidate) -> bool:
    """A demand of nothing meets no lack of capacity; the exclusions are asked host by host."""
    return all(reason.lack is ReasonCode.EXCLUDED for reason in objections(bare, at))


def room_for_disk(room: FreeCapacity, demand: Demand) -> Column:
    """The most bytes that one usable datastore of each host still takes."""
    most = np.full(len(room.candidates), -1, np.int64)
    for each in room.usable(demand):
        assert isinstance(each.row, Datastore)
        most[each.members] = np.maximum(most[each.members], spare(each.row))
    return most
