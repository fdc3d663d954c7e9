"""The last look is at what many hosts share: aggregated elements, datastores; and at layers.

Columns that a search reads have only what is one host's own, or every change of a shared thing
would touch all that share it. Where many hosts fail the last look, it is taken in columns too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from scheduler.fleet.datastore_columns import ROOM, DatastoreIndex, FreeDiskColumn, pick
from scheduler.fleet.host_columns import Bools, HostColumns
from scheduler.fleet.usage_ledger import Key, UsageEntry
from scheduler.model.arithmetic import fits
from scheduler.model.demand import Demand
from scheduler.model.inventory import NO_RULES, AggregateScope, Host, RuleSet

Last = Callable[[int], UsageEntry | None]
"""The last look at one slot: the datastore that takes the disks."""


@dataclass(slots=True)
class SharedState:
    """What all sections look at: aggregated elements, datastores, rules, special enterprises.

    `special` are enterprises that a reservation, restriction, exclusion or tier names: the others
    are all alike.
    """

    scopes: dict[Key, UsageEntry] = field(default_factory=dict)
    stores: DatastoreIndex = field(default_factory=DatastoreIndex)
    rules: RuleSet = NO_RULES
    special: set[int] = field(default_factory=set)


def final_check(demand: Demand, shared: SharedState, section: HostColumns) -> Last:
    """How one slot is looked at last."""
    entries, stores, scopes = section.entries, shared.stores.entries, shared.scopes
    layer = demand.layer

    def last(slot: int) -> UsageEntry | None:
        entry = entries[slot]
        if layer is not None and layer in entry.layers:
            return None
        row = entry.row
        assert isinstance(row, Host)
        if scopes and not _scopes_take(demand, row, scopes):
            return None
        return pick(demand, row, stores)

    return last


def final_check_all(
    demand: Demand, passing: Bools, at: tuple[HostColumns, FreeDiskColumn], shared: SharedState
) -> Bools:
    """Who of those that pass by columns passes the last look too."""
    section, shelf = at
    scopes, stores = shared.scopes, shared.stores.entries
    whole = scopes.get(("datacenter", demand.datacenter))
    if whole is not None and not _scope_takes(demand, whole):
        return np.zeros_like(passing)
    passing = passing.copy()
    if scopes:
        takes = [_scopes_take(demand, host, scopes) for host in section.place.hosts]
        passing &= np.array(takes, bool)[section.place.array]
    sharing = passing & (shelf.free.array == ROOM)
    room = np.ones(len(section.view.hosts), bool)
    for view in np.unique(section.view.array[sharing]).tolist():
        room[view] = pick(demand, section.view.hosts[view], stores) is not None
    passing &= ~sharing | room[section.view.array]
    if demand.layer is not None:
        entries, layer = section.entries, demand.layer
        passing &= ~np.array([layer in entry.layers for entry in entries], bool)
    return passing


def _scopes_take(demand: Demand, host: Host, scopes: Mapping[Key, UsageEntry]) -> bool:
    places = (("cluster", host.cluster), ("rack", host.rack), ("datacenter", host.datacenter))
    for kind, id in places:
        entry = None if id is None else scopes.get((kind, id))
        if entry is not None and not _scope_takes(demand, entry):
            return False
    return True


def _scope_takes(demand: Demand, entry: UsageEntry) -> bool:
    """Whether an aggregated element takes a VM that is nowhere yet."""
    row = entry.row
    assert isinstance(row, AggregateScope)
    return (
        fits(row.cpu_limit, entry.cpu, demand.cpu)
        and fits(row.ram_limit_mib, entry.ram, demand.ram_mib)
        and fits(row.disk_limit_bytes, entry.disk, demand.disk_bytes)
    )
