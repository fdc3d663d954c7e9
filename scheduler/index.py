"""The index answers for one datacenter as the rules would if they were asked of every host.

A sort of request that is new is searched in columns; asked again it gets a window of its own.
Both pass by what is one host's own (CPU, memory, its own disks, state, type, network, tenants);
what many hosts share (wide datastores, aggregated elements) and layers are the last look at the
one host. Where that fails often, columns are made of it too. Relocations and requests that
name hosts ask the scalar rules, host by host, of those that may do at all.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scheduler.capacity import fits
from scheduler.demand import Demand, Reach
from scheduler.fit_policy import FitPolicy
from scheduler.inventory import NO_RULES, Host, RuleSet, Scope
from scheduler.kind import Kind
from scheduler.ledger import Entry, Key
from scheduler.policy import glad_column, glad_of
from scheduler.section import AMOUNT_MAX, Bools, Section
from scheduler.shape import Found, Shape
from scheduler.share import Share
from scheduler.shelf import ROOM, Shelf, Stores, pick

SHAPES_MAX = 128
"""Windows kept in a datacenter; the oldest goes first."""
NEW_MAX = 4096


@dataclass(slots=True)
class Shared:
    """What all sections look at: every entry, the datastores, the rule set, special enterprises.

    `special` are enterprises that a reservation, restriction, exclusion or tier names: the others
    are all alike. `scoped` tells whether any aggregated element is known.
    """

    entries: dict[Key, Entry]
    stores: Stores
    rules: RuleSet = NO_RULES
    special: set[int] = field(default_factory=set)
    scoped: bool = False


class Index:
    """The hosts of one datacenter and every order of them that was asked for."""

    __slots__ = ("_kinds", "_new", "_shapes", "_shared", "_shelves", "section")

    def __init__(self, shared: Shared) -> None:
        """No hosts yet."""
        self._shared = shared
        self.section = Section()
        self.forget()

    @property
    def rules(self) -> RuleSet:
        """What the active rules say beyond the limits of the rows."""
        return self._shared.rules

    @property
    def stores(self) -> Stores:
        """All datastores."""
        return self._shared.stores

    @property
    def scoped(self) -> bool:
        """Whether there may be aggregated elements."""
        return self._shared.scoped

    def forget(self) -> None:
        """Drop all that was worked out: the rules or the tenants changed."""
        self._kinds: dict[tuple[object, ...], Kind] = {}
        self._shelves: dict[tuple[int | None, int | None], Shelf] = {}
        self._shapes: dict[tuple[object, ...], Shape] = {}
        self._new: set[tuple[object, ...]] = set()

    def put(self, id: int, entry: Entry) -> None:
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

    def find(self, demand: Demand, policy: FitPolicy, share: Share | None) -> int:
        """The slot of the gladdest host that takes a VM which is nowhere yet; -1 if none does."""
        section = self.section
        if section.ready():
            self.forget()
        if not section.ids:
            return -1
        owner = demand.enterprise if demand.enterprise in self._shared.special else None
        amounts = (demand.cpu, demand.ram_mib, demand.disk_bytes)
        key = (amounts, demand.type, demand.network, owner, demand.tier, policy, share)
        shape = self._shapes.get(key)
        last = self._last_look(demand, owner)
        if shape is None:
            shape = self._shape(demand, owner, share)
            if key not in self._new:
                return self._first_time(key, shape, demand, policy, last)
            self._keep(key, shape)
        shape.follow(section, self._shared.stores)
        glad = glad_of(policy, demand)
        found = shape.look(section, glad, last)
        if isinstance(found, int):
            return found
        if found is Found.NOBODY:
            return -1
        passing = shape.mask(section)
        column = glad_column(policy, demand, section)
        shape.open(section, column, passing)
        found = shape.look(section, glad, last)
        if isinstance(found, int):
            return found
        return self._thorough(demand, shape, column, passing, last)

    def among(self, demand: Demand, policy: FitPolicy) -> Iterable[int]:
        """Slots that may take a VM that moves or names its hosts, gladdest first."""
        section = self.section
        if section.ready():
            self.forget()
        if demand.only is not None:
            slots = [section.slots[id] for id in demand.only if id in section.slots]
        else:
            slots = self._near(demand).nonzero()[0].tolist()
        glad = glad_of(policy, demand)
        return sorted(slots, key=lambda slot: (-glad(section, slot), slot))

    def _near(self, demand: Demand) -> Bools:
        section = self.section
        near = np.ones(len(section.ids), bool)
        if demand.origin is not None and demand.origin.reach is Reach.RACK:
            near &= section.rack.array == demand.origin.rack
        if not section.beyond and max(demand.cpu, demand.ram_mib) <= AMOUNT_MAX:
            near &= section.cpu.array >= (demand.cpu or -(2**31))
            near &= section.ram.array >= (demand.ram_mib or -(2**31))
        return near

    def _first_time(
        self,
        key: tuple[object, ...],
        shape: Shape,
        demand: Demand,
        policy: FitPolicy,
        last: Callable[[int], bool],
    ) -> int:
        """One search in columns; the next request of that sort gets a window."""
        if len(self._new) >= NEW_MAX:
            self._new.clear()
        self._new.add(key)
        section = self.section
        shape.follow(section, self._shared.stores)
        passing = shape.mask(section)
        column = glad_column(policy, demand, section)
        scored = np.multiply(column, passing)
        slot = int(scored.argmax())
        if not scored[slot]:
            return -1
        return slot if last(slot) else self._thorough(demand, shape, column, passing, last)

    def _thorough(
        self,
        demand: Demand,
        shape: Shape,
        column: NDArray[np.int64],
        passing: Bools,
        last: Callable[[int], bool],
    ) -> int:
        """The last look in columns too."""
        scored = np.multiply(column, self._baked(demand, shape, passing))
        while True:
            slot = int(scored.argmax())
            if not scored[slot]:
                return -1
            if last(slot):
                return slot
            scored[slot] = 0

    def _baked(self, demand: Demand, shape: Shape, passing: Bools) -> Bools:
        section = self.section
        whole = self._shared.entries.get(("datacenter", demand.datacenter))
        if whole is not None and not _scope_takes(demand, whole):
            return np.zeros_like(passing)
        passing = passing.copy()
        for kind, column in (("rack", section.rack), ("cluster", section.cluster)):
            full = [
                id
                for (of, id), entry in self._shared.entries.items()
                if of == kind and not _scope_takes(demand, entry)
            ]
            if full:
                passing &= ~np.isin(column.array, full)
        entries = section.entries
        slots = passing.nonzero()[0]
        wide: dict[tuple[int, ...], bool] = {}
        stores = self._shared.stores.entries
        for slot in slots.tolist():
            entry = entries[slot]
            if demand.layer in entry.layers or not shape.apart.isdisjoint(entry.enterprises):
                passing[slot] = False
            elif shape.shelf.free.values[slot] == ROOM:
                row = entry.row
                assert isinstance(row, Host)
                if row.datastores not in wide:
                    wide[row.datastores] = pick(demand, row, stores) is not None
                passing[slot] = wide[row.datastores]
        return passing

    def _last_look(self, demand: Demand, owner: int | None) -> Callable[[int], bool]:
        shared, entries = self._shared, self.section.entries
        stores = shared.stores.entries
        layer = demand.layer
        apart = shared.rules.excluded.get(owner, frozenset()) if owner is not None else frozenset()
        scopes = shared.entries if shared.scoped else None

        def last(slot: int) -> bool:
            entry = entries[slot]
            if layer is not None and layer in entry.layers:
                return False
            if apart and not apart.isdisjoint(entry.enterprises):
                return False
            row = entry.row
            assert isinstance(row, Host)
            if scopes is not None and not _scopes_take(demand, row, scopes):
                return False
            return pick(demand, row, stores) is not None

        return last

    def _shape(self, demand: Demand, owner: int | None, share: Share | None) -> Shape:
        shared = self._shared
        known = (demand.type, demand.network, owner, share)
        kind = self._kinds.get(known)
        if kind is None:
            kind = self._kinds[known] = Kind(demand, shared.rules, share)
        shelf = self._shelves.get((demand.tier, owner))
        if shelf is None:
            shelf = self._shelves[demand.tier, owner] = Shelf(demand)
        apart = shared.rules.excluded.get(owner, frozenset()) if owner is not None else frozenset()
        return Shape((demand.cpu, demand.ram_mib, demand.disk_bytes), kind, shelf, apart)

    def _keep(self, key: tuple[object, ...], shape: Shape) -> None:
        if len(self._shapes) >= SHAPES_MAX:
            del self._shapes[next(iter(self._shapes))]
        self._shapes[key] = shape


def _scopes_take(demand: Demand, host: Host, entries: Mapping[Key, Entry]) -> bool:
    places = (("cluster", host.cluster), ("rack", host.rack), ("datacenter", host.datacenter))
    for kind, id in places:
        entry = None if id is None else entries.get((kind, id))
        if entry is not None and not _scope_takes(demand, entry):
            return False
    return True


def _scope_takes(demand: Demand, entry: Entry) -> bool:
    """Whether an aggregated element takes a VM that is nowhere yet."""
    row = entry.row
    assert isinstance(row, Scope)
    return (
        fits(row.cpu_limit, entry.cpu, demand.cpu)
        and fits(row.ram_limit_mib, entry.ram, demand.ram_mib)
        and fits(row.disk_limit_bytes, entry.disk, demand.disk_bytes)
    )
