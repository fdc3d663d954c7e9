"""The ledger in memory: the newest row the store told, plus what was promised here since then.

The store's own ledger decides; this one only keeps the next proposals from colliding with the
last ones until the store's numbers arrive.
"""

from dataclasses import replace
from typing import assert_never
from uuid import UUID

from scheduler.inventory import Datastore, Gone, Host, RuleSet, Scope
from scheduler.placement import Seen

Row = Host | Datastore | Scope | RuleSet
Key = tuple[str, int]
RULES: Key = ("rules", 0)
"""The key of the one row that is a RuleSet."""
Claimant = tuple[UUID, int]
"""A VM and the host that it was promised: a relocating VM may hold two."""


class Ledger:
    """Rows by (kind, id); of two changes to one row the one of the newer generation stays."""

    __slots__ = ("_gone", "_promises", "_rows", "_stored")

    def __init__(self) -> None:
        """An empty ledger."""
        self._stored: dict[Key, Row] = {}
        self._gone: dict[Key, int] = {}
        self._promises: dict[Key, dict[Claimant, Seen]] = {}
        self._rows: dict[Key, Row] = {}

    def row(self, key: Key) -> Row | None:
        """The row with all promises counted in."""
        return self._rows.get(key)

    def apply(self, change: Row | Gone) -> bool:
        """Takes the change unless the same or a newer generation is known; promises end with it.

        At one generation Gone outranks a row, so that the order of arrival does not matter.
        """
        key = key_of(change)
        stored = self._stored.get(key)
        if isinstance(change, Gone):
            known = self._gone.get(key, -1)
            if change.generation <= known or _newer(stored, change.generation):
                return False
            self._gone[key] = change.generation
            self._stored.pop(key, None)
        else:
            known = -1 if stored is None else stored.generation
            if change.generation <= max(known, self._gone.get(key, -1)):
                return False
            self._stored[key] = change
        self._promises.pop(key, None)
        self._refresh(key)
        return True

    def promise(self, claimant: Claimant, seen: Seen) -> None:
        """Adds what was seen to be added; promised twice by one claimant it counts once."""
        key = (seen.kind, seen.id)
        if key in self._stored:
            self._promises.setdefault(key, {})[claimant] = seen
            self._refresh(key)

    def withdraw(self, claimant: Claimant, key: Key) -> None:
        """Takes a promise back; nothing happens when the store's numbers replaced it."""
        if self._promises.get(key, {}).pop(claimant, None) is not None:
            self._refresh(key)

    def _refresh(self, key: Key) -> None:
        stored = self._stored.get(key)
        if stored is None:
            self._rows.pop(key, None)
        else:
            self._rows[key] = _promised(stored, list(self._promises.get(key, {}).values()))


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


def _newer(stored: Row | None, generation: int) -> bool:
    return stored is not None and stored.generation > generation


def _promised(row: Row, promises: list[Seen]) -> Row:
    if not promises:
        return row
    cpu = sum(seen.cpu for seen in promises)
    ram_mib = sum(seen.ram_mib for seen in promises)
    disk_bytes = sum(seen.disk_bytes for seen in promises)
    match row:
        case Host():
            return replace(
                row, cpu_used=row.cpu_used + cpu, ram_used_mib=row.ram_used_mib + ram_mib
            )
        case Datastore():
            return replace(row, used_bytes=row.used_bytes + disk_bytes)
        case RuleSet():
            return row
        case Scope():
            return replace(
                row,
                cpu_used=row.cpu_used + cpu,
                ram_used_mib=row.ram_used_mib + ram_mib,
                disk_used_bytes=row.disk_used_bytes + disk_bytes,
            )
        case _:
            assert_never(row)
