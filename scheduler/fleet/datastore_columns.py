"""A shelf says, for one sort of demand, how much disk space each host's best datastore has.

A datastore that many hosts see is no host's own: it is left to the last look, and the column
says that there may be room. So no change of one datastore touches more than WIDE hosts.
"""

from collections.abc import Mapping

import numpy as np

from scheduler.fleet.host_columns import Column, HostColumns
from scheduler.fleet.usage_ledger import UsageEntry
from scheduler.model.datastore_choice import tier_allows
from scheduler.model.demand import Demand
from scheduler.model.inventory import Datastore, Host

WIDE = 32
"""A datastore with more lookers than this is wide."""
ROOM = 2**62
"""May have room."""
NOWHERE = -(2**62)
"""No usable datastore at all; no demand is as small."""


class DatastoreIndex:
    """All datastores, and the hosts that look at each."""

    __slots__ = ("entries", "lookers")

    def __init__(self) -> None:
        """None yet."""
        self.entries: dict[int, UsageEntry] = {}
        self.lookers: dict[int, set[int]] = {}

    def put(self, id: int, entry: UsageEntry | None) -> None:
        """A datastore came, changed, or (None) left."""
        if entry is None:
            self.entries.pop(id, None)
        else:
            self.entries[id] = entry

    def look(self, id: int, old: Host | None, new: Host | None) -> list[int]:
        """A host looks at other datastores; those that got wide or narrow, which concerns all."""
        before = set(old.datastores) if old is not None else set()
        after = set(new.datastores) if new is not None else set()
        turned = []
        for each in sorted(before ^ after):
            was = self.wide(each)
            watching = self.lookers.setdefault(each, set())
            (watching.add if each in after else watching.discard)(id)
            if was != self.wide(each):
                turned.append(each)
        return turned

    def wide(self, id: int) -> bool:
        """Whether so many hosts see it that it is looked at last."""
        return len(self.lookers.get(id, ())) > WIDE


class FreeDiskColumn:
    """Bytes free on the best datastore of each slot that a tier and an enterprise may use."""

    __slots__ = ("_demand", "_version", "free")

    def __init__(self, demand: Demand) -> None:
        """Only the tier and the enterprise of the demand count."""
        self._demand = demand
        self._version = -1
        self.free = Column(np.int64, 0)

    def follow(self, section: HostColumns, stores: DatastoreIndex) -> None:
        """Make the column anew where hosts came or left."""
        if self._version == section.membership:
            return
        self._version = section.membership
        self.free = Column(np.int64, len(section.ids))
        for slot in range(len(section.ids)):
            self.free.append(self._room(section.entries[slot], stores))

    def refresh(self, section: HostColumns, slot: int, stores: DatastoreIndex) -> None:
        """A datastore of the host changed, or which it sees."""
        if self._version == section.membership:
            room = self._room(section.entries[slot], stores)
            self.free.values[slot] = self.free.array[slot] = room

    def _room(self, entry: UsageEntry, stores: DatastoreIndex) -> int:
        row = entry.row
        assert isinstance(row, Host)
        best = NOWHERE
        for id in row.datastores:
            found = stores.entries.get(id)
            if found is None:
                continue
            datastore = found.row
            assert isinstance(datastore, Datastore)
            if not datastore.enabled or not tier_allows(self._demand, datastore):
                continue
            if stores.wide(id):
                return ROOM
            best = max(best, datastore.limit_bytes - found.disk)
        return best


def pick(demand: Demand, host: Host, entries: Mapping[int, UsageEntry]) -> UsageEntry | None:
    """The same as `disks.choose` for a VM that is nowhere yet, on entries instead of rows."""
    best: UsageEntry | None = None
    most, lowest = 0, 0
    for id in host.datastores:
        found = entries.get(id)
        if found is None:
            continue
        row = found.row
        assert isinstance(row, Datastore)
        if not row.enabled or not tier_allows(demand, row):
            continue
        spare = row.limit_bytes - found.disk
        if best is None or spare > most or (spare == most and id < lowest):
            best, most, lowest = found, spare, id
    if best is None or (demand.disk_bytes > most and demand.disk_bytes > 0):
        return None
    chosen = best.row
    assert isinstance(chosen, Datastore)
    if chosen.tier is not None and chosen.tier.progressive:
        return _fullest(demand, host, entries, chosen)
    return best


def _fullest(
    demand: Demand, host: Host, entries: Mapping[int, UsageEntry], like: Datastore
) -> UsageEntry | None:
    """The datastore of the same tier with the least room that takes the disks."""
    found: list[tuple[int, int]] = []
    for id in host.datastores:
        entry = entries.get(id)
        if entry is None:
            continue
        row = entry.row
        assert isinstance(row, Datastore)
        spare = row.limit_bytes - entry.disk
        takes = demand.disk_bytes <= spare or demand.disk_bytes <= 0
        if row.enabled and row.tier == like.tier and takes:
            found.append((spare, id))
    return entries[min(found)[1]] if found else None
