"""A tally says of every host what it lacks, counted in columns; the nearest misses in full.

It finds for each host the same lacks as the scalar rules would, without asking them host by host:
what is equal for many hosts is asked once for all of them.
"""

from collections.abc import Callable, Iterable

import numpy as np

from scheduler.fleet.datacenter_index import Index
from scheduler.fleet.datastore_columns import NOWHERE, ROOM
from scheduler.fleet.host_columns import Bools
from scheduler.fleet.usage_ledger import UsageEntry
from scheduler.model.demand import Demand, RelocationScope
from scheduler.model.inventory import Candidate, Host
from scheduler.model.reason import ReasonCode
from scheduler.rule_registry import AGGREGATED, DISKS, SELDOM, Rule

NEAREST_MAX = 20
"""Hosts told of in full."""
_BITS = {lack: 1 << n for n, lack in enumerate(ReasonCode)}
_SUMS = _BITS[ReasonCode.AGGREGATED_CPU] | _BITS[ReasonCode.AGGREGATED_MEMORY]
_SUMS |= _BITS[ReasonCode.AGGREGATED_STORAGE]
_CAPACITY = sum(bit for lack, bit in _BITS.items() if lack.capacity)
_PARTS = 10**6
Lacks = tuple[ReasonCode, ...]


class RefusalStatistics:
    """What each slot of an index lacks for one demand, as bits."""

    def __init__(
        self, index: Index, demand: Demand, candidate: Callable[[UsageEntry], Candidate]
    ) -> None:
        """Looks at every host of the index, in columns."""
        self._index = index
        self._demand = demand
        self._candidate = candidate
        self.bits = np.zeros(len(index.section.ids), np.int64)
        if len(self.bits):
            self._seldom()
            self._moving()
            self._amounts()
            self._disks()
            self._sums()
            self._tenants()

    def patterns(self) -> tuple[tuple[Lacks, int], ...]:
        """How many hosts lack just the same, the most frequent first."""
        found, counts = np.unique(self.bits, return_counts=True)
        told = [
            (tuple(lack for lack, bit in _BITS.items() if bits & bit), count)
            for bits, count in zip(found.tolist(), counts.tolist(), strict=True)
        ]
        return tuple(sorted(told, key=lambda each: (-each[1], each[0])))

    def nearest(self, most: int = NEAREST_MAX) -> list[int]:
        """The hosts, by id, that lack least (few things, then small shares of what is wanted), and
        of those that would do if they were emptier as many."""
        section, demand = self._index.section, self._demand
        things = np.zeros(len(self.bits), np.int64)
        for bit in _BITS.values():
            things += (self.bits & bit) != 0
        short = np.zeros(len(self.bits), np.int64)
        for column, wanted, lack in (
            (section.cpu, demand.cpu, ReasonCode.CPU),
            (section.ram, demand.ram_mib, ReasonCode.MEMORY),
        ):
            missing = np.clip(wanted - column.array.astype(np.int64), 0, 2**40)
            share = missing * _PARTS // max(wanted, 1)
            short += np.where(self.bits & _BITS[lack], share, 0)
        order = np.lexsort((np.arange(len(short)), short, things))
        emptier = order[(self.bits[order] & ~_CAPACITY) == 0][:most]
        told = {*order[:most].tolist(), *emptier.tolist()}
        return [section.ids[slot] for slot in sorted(told)]

    def lasting(self) -> bool:
        """Whether waiting cannot help any host."""
        section, demand = self._index.section, self._demand
        lasts = sum(bit for lack, bit in _BITS.items() if lack.lasting)
        never = (self.bits & lasts) != 0
        for lack, limit, wanted in (
            (ReasonCode.CPU, section.cpu_limit, demand.cpu),
            (ReasonCode.MEMORY, section.ram_limit, demand.ram_mib),
        ):
            never |= ((self.bits & _BITS[lack]) != 0) & (limit.array < wanted)
        for slot in (~never).nonzero()[0].tolist():
            summed = int(self.bits[slot]) & _SUMS
            if not summed or not self._never_in_scope(section.entries[slot]):
                return False
        return True

    def _never_in_scope(self, entry: UsageEntry) -> bool:
        at = self._candidate(entry)
        return any(
            reason is not None and reason.lasting
            for reason in (rule(self._demand, at) for rule in AGGREGATED)
        )

    def _mark(self, lack: ReasonCode, where: Bools) -> None:
        self.bits |= np.where(where, _BITS[lack], 0)

    def _seldom(self) -> None:
        section = self._index.section
        table = [
            self._found(SELDOM, Candidate(host, rules=self._index.rules))
            for host in section.profile.hosts
        ]
        self.bits |= np.array(table, np.int64)[section.profile.array]

    def _found(self, rules: Iterable[Rule], at: Candidate) -> int:
        found = (rule(self._demand, at) for rule in rules)
        lacks = {reason.lack for reason in found if reason is not None}
        return sum(_BITS[lack] for lack in lacks)

    def _moving(self) -> None:
        section, demand = self._index.section, self._demand
        if demand.only is not None:
            self._mark(ReasonCode.NOT_ASKED, ~np.isin(np.array(section.ids), list(demand.only)))
        if demand.refused:
            refused = [host for host, _ in demand.refused]
            self._mark(ReasonCode.REFUSED, np.isin(np.array(section.ids), refused))
        origin = demand.origin
        if origin is None:
            return
        self._mark(ReasonCode.SAME_HOST, np.array(section.ids) == origin.host)
        if origin.reach is RelocationScope.RACK:
            self._mark(ReasonCode.SAME_RACK, section.rack.array != origin.rack)
        others = [_host(each).hypervisor != origin.hypervisor for each in section.entries]
        self._mark(ReasonCode.SAME_HYPERVISOR, np.array(others, bool))

    def _amounts(self) -> None:
        section, demand = self._index.section, self._demand
        own = np.zeros(len(self.bits), bool)
        if demand.origin is not None:
            own = np.array(section.ids) == demand.origin.host
        if section.beyond:
            entries = section.entries
            cpu = np.array([_host(each).cpu_limit - each.cpu < demand.cpu for each in entries])
            ram = np.array([_host(e).ram_limit_mib - e.ram < demand.ram_mib for e in entries])
        else:
            cpu = section.cpu.array.astype(np.int64) < demand.cpu
            ram = section.ram.array.astype(np.int64) < demand.ram_mib
        if demand.cpu > 0:
            self._mark(ReasonCode.CPU, cpu & ~own)
        if demand.ram_mib > 0:
            self._mark(ReasonCode.MEMORY, ram & ~own)

    def _disks(self) -> None:
        """Hosts with datastores of their own by column, those that share by what they see."""
        section, demand = self._index.section, self._demand
        free = self._index.shelf(demand).free.array
        told = (free != ROOM) & (free != NOWHERE)
        origin = demand.origin
        if origin is not None:
            told[[section.slots[id] for id in self._lookers(origin.datastore)]] = False
        if demand.disk_bytes > 0:
            self._mark(ReasonCode.STORAGE, told & (free < demand.disk_bytes))
        own = -1 if origin is None else section.slots.get(origin.host, -1)
        table = np.zeros(len(section.view.hosts), np.int64)
        for view in np.unique(section.view.array[~told]).tolist():
            slots = (section.view.array == view).nonzero()[0]
            slot = int(slots[0] if slots[0] != own or len(slots) == 1 else slots[1])
            table[view] = self._found(DISKS, self._candidate(section.entries[slot]))
        self.bits |= np.where(told, 0, table[section.view.array])
        if own >= 0 and not told[own]:
            bits = sum(
                _BITS[lack]
                for lack in (ReasonCode.NO_DATASTORE, ReasonCode.TIER, ReasonCode.STORAGE)
            )
            found = self._found(DISKS, self._candidate(section.entries[own]))
            self.bits[own] = (int(self.bits[own]) & ~bits) | found

    def _lookers(self, datastore: int) -> list[int]:
        slots = self._index.section.slots
        return [id for id in self._index.stores.lookers.get(datastore, ()) if id in slots]

    def _sums(self) -> None:
        section = self._index.section
        if not self._index.scoped:
            return
        table = [
            self._found(AGGREGATED, self._around(host, place))
            for place, host in enumerate(section.place.hosts)
        ]
        self.bits |= np.array(table, np.int64)[section.place.array]

    def _around(self, host: Host, place: int) -> Candidate:
        """A host of the place; the sample itself may have moved on."""
        section = self._index.section
        slots = (section.place.array == place).nonzero()[0]
        if not len(slots):
            return Candidate(host)
        return self._candidate(section.entries[int(slots[0])])

    def _tenants(self) -> None:
        demand, entries = self._demand, self._index.section.entries
        if demand.layer is not None:
            self._mark(
                ReasonCode.LAYER, np.array([demand.layer in each.layers for each in entries])
            )
        owner = demand.enterprise
        apart = self._index.rules.excluded.get(owner, frozenset()) if owner is not None else None
        if apart:
            there = [not apart.isdisjoint(each.enterprises) for each in entries]
            self._mark(ReasonCode.EXCLUDED, np.array(there))


def _host(entry: UsageEntry) -> Host:
    row = entry.row
    assert isinstance(row, Host)
    return row
