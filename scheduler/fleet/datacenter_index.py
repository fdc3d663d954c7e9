"""The index answers for one datacenter as the rules would if they were asked of every host.

A sort of request that is new is searched in columns; asked again it gets a window of its own.
Both pass by what is one host's own (CPU, memory, its own disks, state, type, network, tenants);
what many hosts share (wide datastores, aggregated elements) and layers are the last look at the
one host. Where that fails often, columns are made of it too. Relocations and requests that
name hosts ask the scalar rules, host by host, of those that may do at all.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scheduler.fleet.datastore_columns import DatastoreIndex, FreeDiskColumn
from scheduler.fleet.eligibility import EligibilityMask
from scheduler.fleet.host_columns import AMOUNT_MAX, Bools, HostColumns
from scheduler.fleet.ranking import rank_key
from scheduler.fleet.request_class import RequestClass
from scheduler.fleet.shared_constraints import SharedState, final_check
from scheduler.fleet.usage_ledger import UsageEntry
from scheduler.model.demand import Demand, RelocationScope
from scheduler.model.fit_policy import FitPolicy
from scheduler.model.host_partition import HostPartition, contains, rendezvous_weight
from scheduler.model.inventory import RuleSet
from scheduler.model.values import replace
from scheduler.scores.best_fit_residue import short_of_unused

_PACKING: Final = FitPolicy.PACKING
SORTS_MAX = 256
"""Sorts of requests known in a datacenter; beyond, all are learnt anew."""
Known = tuple[FitPolicy, bool, str, str | None, int | None, int | None, HostPartition | None]


class Index:
    """The hosts of one datacenter and every order of them that was asked for."""

    __slots__ = ("_queues", "_shared", "_shelves", "_sorts", "section")

    def __init__(self, shared: SharedState) -> None:
        """No hosts yet."""
        self._shared = shared
        self.section = HostColumns()
        self._shelves: dict[tuple[int | None, int | None], FreeDiskColumn] = {}
        self._queues: dict[HostPartition, tuple[int, NDArray[np.intp]]] = {}
        self.forget()

    @property
    def rules(self) -> RuleSet:
        """What the active rules say beyond the limits of the rows."""
        return self._shared.rules

    @property
    def stores(self) -> DatastoreIndex:
        """All datastores."""
        return self._shared.stores

    @property
    def scoped(self) -> bool:
        """Whether there may be aggregated elements."""
        return bool(self._shared.scopes)

    def forget(self) -> None:
        """Drop what was worked out from the rules and the tenants, which changed."""
        self._sorts: dict[Known, RequestClass] = {}

    def short(self, policy: FitPolicy, freed: int = 0) -> bool:
        """Whether unused hosts, with those `freed` counted in, are so few that the policy tries
        them last."""
        section = self.section
        return policy is _PACKING and short_of_unused(section.unused + freed, len(section.ids))

    def put(self, id: int, entry: UsageEntry) -> None:
        """A host came or changed otherwise than by a promise."""
        self.section.put(id, entry)
        self.restock(id)

    def drop(self, id: int) -> None:
        """A host left."""
        self.section.drop(id)

    def restock(self, id: int) -> None:
        """A datastore that the host sees changed."""
        slot = self.section.slots.get(id)
        if slot is None or slot >= len(self.section.ids):
            return
        for shelf in self._shelves.values():
            shelf.refresh(self.section, slot, self._shared.stores)
        if self._shelves:
            self.section.log.append(slot)

    def touch(self, id: int) -> None:
        """Something was promised of the host, or taken back."""
        slot = self.section.slots.get(id)
        if slot is not None:
            self.section.touch(slot)

    def find(
        self, demand: Demand, policy: FitPolicy, share: HostPartition | None
    ) -> tuple[int, UsageEntry] | None:
        """The slot of the gladdest host that takes a VM which is nowhere yet, and its datastore.

        None when no host does.
        """
        section, shared = self.section, self._shared
        if section.ready():
            self.forget()
        if not section.ids:
            return None
        owner = demand.enterprise if demand.enterprise in shared.special else None
        known = (policy, self.short(policy), demand.type, demand.network, owner, demand.tier, share)
        sort = self._sorts.get(known)
        if sort is None:
            sort = self._sort(known, demand, owner)
        sort.kind.follow(section)
        sort.shelf.follow(section, shared.stores)
        return sort.find(demand, section, final_check(demand, shared, section))

    def _sort(self, known: Known, demand: Demand, owner: int | None) -> RequestClass:
        if len(self._sorts) >= SORTS_MAX:
            self.forget()
        kind = EligibilityMask(replace(demand, enterprise=owner), self._shared.rules, known[-1])
        sort = RequestClass(known[:2], kind, self._shelf(demand, owner), self._shared)
        self._sorts[known] = sort
        return sort

    def among(
        self, demand: Demand, policy: FitPolicy, share: HostPartition | None = None
    ) -> Iterable[int]:
        """Slots that may take a VM that moves or names its hosts: of the share first, then
        gladdest first."""
        section = self.section
        if section.ready():
            self.forget()
        if demand.only is not None:
            slots = [section.slots[id] for id in demand.only if id in section.slots]
        else:
            slots = self._near(demand).nonzero()[0].tolist()
        glad = rank_key(policy, demand, self.short(policy))
        slots = sorted(slots, key=lambda slot: (-glad(section, slot), slot))
        if share is None:
            return slots
        own = [slot for slot in slots if contains(section.ids[slot], share)]
        if policy.fills:
            return own + self.others(demand, share)
        return own + [slot for slot in slots if not contains(section.ids[slot], share)]

    def others(self, demand: Demand, share: HostPartition) -> list[int]:
        """Slots beyond the share that may take a VM that names no hosts, in the share's order."""
        if self.section.ready():
            self.forget()
        queue = self._queues.get(share)
        if queue is None or queue[0] != self.section.membership:
            ids = self.section.ids
            slots = [slot for slot, id in enumerate(ids) if not contains(id, share)]
            slots.sort(key=lambda slot: (-rendezvous_weight(ids[slot], share.part), slot))
            queue = self._queues[share] = (self.section.membership, np.array(slots, np.intp))
        found: list[int] = queue[1][self._near(demand)[queue[1]]].tolist()
        return found

    def _near(self, demand: Demand) -> Bools:
        section = self.section
        near = np.ones(len(section.ids), bool)
        if demand.origin is not None and demand.origin.reach is RelocationScope.RACK:
            near &= section.rack.array == demand.origin.rack
        if not section.beyond and max(demand.cpu, demand.ram_mib) <= AMOUNT_MAX:
            near &= section.cpu.array >= (demand.cpu or -(2**31))
            near &= section.ram.array >= (demand.ram_mib or -(2**31))
        return near

    def shelf(self, demand: Demand) -> FreeDiskColumn:
        """What room for disks each host has for such a demand, up to date."""
        owner = demand.enterprise if demand.enterprise in self._shared.special else None
        shelf = self._shelf(demand, owner)
        shelf.follow(self.section, self._shared.stores)
        return shelf

    def _shelf(self, demand: Demand, owner: int | None) -> FreeDiskColumn:
        shelf = self._shelves.get((demand.tier, owner))
        if shelf is None:
            if len(self._shelves) >= SORTS_MAX:
                self._shelves.clear()
                self.forget()
            shelf = self._shelves[demand.tier, owner] = FreeDiskColumn(
                replace(demand, enterprise=owner)
            )
        return shelf
