"""The ledger in memory: the newest row the store told, plus what was promised here since then.

The store's own ledger decides; this one only keeps the next proposals from colliding with the
last ones until the store's numbers arrive.
"""

from typing import NamedTuple, assert_never

from msgspec import structs

from scheduler.model.demand import Demand
from scheduler.model.inventory import AggregateScope, Datastore, Host, RuleSet, Tombstone
from scheduler.model.placement import HostCounts

Row = Host | Datastore | AggregateScope | RuleSet
Key = tuple[str, int]
RULES: Key = ("rules", 0)
"""The key of the one row that is a RuleSet."""
Claimant = tuple[int, int]
"""A VM (the number of its UUID) and the host that it was promised: a relocating VM holds two."""
Promise = tuple[HostCounts, Demand]
_NOBODY: frozenset[int] = frozenset()


class Use(NamedTuple):
    """What is promised of a row: virtual CPUs, MiB, bytes, and of a host by whom."""

    cpu: int
    ram_mib: int
    disk_bytes: int
    enterprises: frozenset[int]
    layers: frozenset[int]


def use_of(row: Row) -> Use:
    """What the row says is promised of it; nothing of a rule set."""
    match row:
        case Host():
            return Use(row.cpu_used, row.ram_used_mib, 0, row.enterprises, row.layers)
        case Datastore():
            return Use(0, 0, row.used_bytes, _NOBODY, _NOBODY)
        case AggregateScope():
            return Use(row.cpu_used, row.ram_used_mib, row.disk_used_bytes, _NOBODY, _NOBODY)
        case RuleSet():
            return Use(0, 0, 0, _NOBODY, _NOBODY)
        case _:
            assert_never(row)


def with_use(row: Row, use: Use) -> Row:
    """The row with that promised of it instead."""
    match row:
        case Host():
            return structs.replace(
                row,
                cpu_used=use.cpu,
                ram_used_mib=use.ram_mib,
                enterprises=use.enterprises,
                layers=use.layers,
            )
        case Datastore():
            return structs.replace(row, used_bytes=use.disk_bytes)
        case AggregateScope():
            return structs.replace(
                row, cpu_used=use.cpu, ram_used_mib=use.ram_mib, disk_used_bytes=use.disk_bytes
            )
        case RuleSet():
            return row
        case _:
            assert_never(row)


class UsageEntry:
    """One row as the store told it, and its use with the promises counted in (CPUs, MiB, bytes).

    Mutable, since a decision has no time to copy rows; `current` makes the row a value again.
    """

    __slots__ = (
        "_shown",
        "_told",
        "cpu",
        "disk",
        "enterprises",
        "layers",
        "promises",
        "ram",
        "row",
    )

    row: Row
    _shown: Row | None
    _told: Use
    cpu: int
    ram: int
    disk: int
    enterprises: frozenset[int]
    layers: frozenset[int]
    promises: dict[Claimant, Promise]

    def __init__(self, row: Row) -> None:
        """The row without a promise."""
        self.promises = {}
        self.take(row)

    def take(self, row: Row) -> None:
        """The store's numbers replace what was here, promises too."""
        self.row = row
        self.use(use_of(row))
        self._shown = row

    def use(self, told: Use) -> None:
        """So much is promised of the row in all; promises of before are in it or ended."""
        self._told = told
        self._shown = None
        self.promises.clear()
        self.cpu, self.ram, self.disk, self.enterprises, self.layers = told

    def current(self) -> Row:
        """The row with all promises counted in."""
        if self._shown is None:
            use = Use(self.cpu, self.ram, self.disk, self.enterprises, self.layers)
            self._shown = with_use(self.row, use)
        return self._shown

    def add(self, claimant: Claimant, promise: Promise) -> None:
        """Count a promise in; by one claimant it counts once."""
        if claimant in self.promises:
            self.remove(claimant)
        self.promises[claimant] = promise
        self._shown = None
        seen, demand = promise
        self.cpu += seen.cpu
        self.ram += seen.ram_mib
        self.disk += seen.disk_bytes
        if type(self.row) is Host:
            if demand.enterprise is not None and demand.enterprise not in self.enterprises:
                self.enterprises |= {demand.enterprise}
            if demand.layer is not None and demand.layer not in self.layers:
                self.layers |= {demand.layer}

    def remove(self, claimant: Claimant) -> bool:
        """Take a promise back; False when there is none, or the store's numbers replaced it."""
        promise = self.promises.pop(claimant, None)
        if promise is None:
            return False
        self._shown = None
        seen, demand = promise
        self.cpu -= seen.cpu
        self.ram -= seen.ram_mib
        self.disk -= seen.disk_bytes
        host = type(self.row) is Host
        if host and (demand.enterprise is not None or demand.layer is not None):
            demands = [each for _, each in self.promises.values()]
            owners = {each.enterprise for each in demands if each.enterprise is not None}
            layers = {each.layer for each in demands if each.layer is not None}
            self.enterprises = self._told.enterprises | owners
            self.layers = self._told.layers | layers
        return True


class Ledger:
    """Entries by (kind, id); of two changes to one row the one of the newer generation stays."""

    __slots__ = ("_gone", "entries")

    def __init__(self) -> None:
        """An empty ledger."""
        self.entries: dict[Key, UsageEntry] = {}
        self._gone: dict[Key, int] = {}

    def row(self, key: Key) -> Row | None:
        """The row with all promises counted in."""
        entry = self.entries.get(key)
        return None if entry is None else entry.current()

    def apply(self, change: Row | Tombstone) -> bool:
        """Takes the change unless the same or a newer generation is known; promises end with it.

        At one generation Gone outranks a row, so that the order of arrival does not matter.
        """
        key = key_of(change)
        entry = self.entries.get(key)
        gone = self._gone.get(key, -1)
        if isinstance(change, Tombstone):
            if change.generation <= gone:
                return False
            if entry is not None and entry.row.generation > change.generation:
                return False
            self._gone[key] = change.generation
            self.entries.pop(key, None)
            return True
        known = -1 if entry is None else entry.row.generation
        if change.generation <= max(known, gone):
            return False
        if entry is None:
            self.entries[key] = UsageEntry(change)
        else:
            entry.take(change)
        return True


def key_of(change: Row | Tombstone) -> Key:
    """The row that a change is about."""
    match change:
        case Host():
            return ("host", change.id)
        case Datastore():
            return ("datastore", change.id)
        case AggregateScope() | Tombstone():
            return (change.kind, change.id)
        case RuleSet():
            return RULES
        case _:
            assert_never(change)
