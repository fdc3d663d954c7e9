"""The ledger in memory: the newest row the store told, plus what was promised here since then.

The store's own ledger decides; this one only keeps the next proposals from colliding with the
last ones until the store's numbers arrive.
"""

from dataclasses import replace
from typing import assert_never

from scheduler.demand import Demand
from scheduler.inventory import Datastore, Gone, Host, RuleSet, Scope
from scheduler.placement import Seen

Row = Host | Datastore | Scope | RuleSet
Key = tuple[str, int]
RULES: Key = ("rules", 0)
"""The key of the one row that is a RuleSet."""
Claimant = tuple[int, int]
"""A VM (the number of its UUID) and the host that it was promised: a relocating VM holds two."""
Promise = tuple[Seen, Demand]


class Entry:
    """One row as the store told it, and its use with the promises counted in (CPUs, MiB, bytes).

    Mutable, since a decision has no time to copy rows; `current` makes the row a value again.
    """

    __slots__ = ("_shown", "cpu", "disk", "enterprises", "layers", "promises", "ram", "row")

    row: Row
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
        self._shown: Row | None = None
        self.promises.clear()
        self.enterprises = self.layers = frozenset()
        self.cpu = self.ram = self.disk = 0
        match row:
            case Host():
                self.cpu, self.ram = row.cpu_used, row.ram_used_mib
                self.enterprises, self.layers = row.enterprises, row.layers
            case Datastore():
                self.disk = row.used_bytes
            case Scope():
                self.cpu, self.ram = row.cpu_used, row.ram_used_mib
                self.disk = row.disk_used_bytes
            case RuleSet():
                pass
            case _:
                assert_never(row)

    def current(self) -> Row:
        """The row with all promises counted in."""
        if not self.promises:
            return self.row
        if self._shown is None:
            self._shown = self._with_promises(self.row)
        return self._shown

    def _with_promises(self, row: Row) -> Row:
        match row:
            case Host():
                return replace(
                    row,
                    cpu_used=self.cpu,
                    ram_used_mib=self.ram,
                    enterprises=self.enterprises,
                    layers=self.layers,
                )
            case Datastore():
                return replace(row, used_bytes=self.disk)
            case Scope():
                return replace(
                    row, cpu_used=self.cpu, ram_used_mib=self.ram, disk_used_bytes=self.disk
                )
            case RuleSet():
                return row
            case _:
                assert_never(row)

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
        row = self.row
        if type(row) is Host and (demand.enterprise is not None or demand.layer is not None):
            demands = [each for _, each in self.promises.values()]
            owners = {each.enterprise for each in demands if each.enterprise is not None}
            layers = {each.layer for each in demands if each.layer is not None}
            self.enterprises = row.enterprises | owners
            self.layers = row.layers | layers
        return True


class Ledger:
    """Entries by (kind, id); of two changes to one row the one of the newer generation stays."""

    __slots__ = ("_gone", "entries")

    def __init__(self) -> None:
        """An empty ledger."""
        self.entries: dict[Key, Entry] = {}
        self._gone: dict[Key, int] = {}

    def row(self, key: Key) -> Row | None:
        """The row with all promises counted in."""
        entry = self.entries.get(key)
        return None if entry is None else entry.current()

    def apply(self, change: Row | Gone) -> bool:
        """Takes the change unless the same or a newer generation is known; promises end with it.

        At one generation Gone outranks a row, so that the order of arrival does not matter.
        """
        key = key_of(change)
        entry = self.entries.get(key)
        gone = self._gone.get(key, -1)
        if isinstance(change, Gone):
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
            self.entries[key] = Entry(change)
        else:
            entry.take(change)
        return True


def key_of(change: Row | Gone) -> Key:
    """The row that a change is about."""
    match change:
        case Host():
            return ("host", change.id)
        case Datastore():
            return ("datastore", change.id)
        case Scope() | Gone():
            return (change.kind, change.id)
        case RuleSet():
            return RULES
        case _:
            assert_never(change)
