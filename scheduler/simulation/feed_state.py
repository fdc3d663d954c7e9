"""What history told: the rows at each decision, and what was promised of them.

A row that only gets fuller or emptier stays the same value beside its use: few rows change.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from scheduler.decisions.overlay import Overlay, apply_overlay
from scheduler.decisions.replay import ReplayRows
from scheduler.fleet.usage_ledger import Key, Row, Use, use_of, with_use
from scheduler.model.inventory import Host, RuleSet, Tombstone
from scheduler.model.serialization import from_mapping
from scheduler.simulation.divergence import NOTHING, Sums, plus


class RowState(NamedTuple):
    """A row as it was told whole the last time, its use since then, and its generation."""

    row: Row
    use: Use
    generation: int


Changes = Mapping[Key, RowState | None]
"""Rows that are otherwise than before; None for one that is gone."""

_USE = frozenset({
    "cpu_used", "ram_used_mib", "used_bytes", "disk_used_bytes", "enterprises", "layers",
    "generation",
})  # fmt: skip


class FeedState:
    """The rows as the feed told them, with those that were ahead of it at the last decision.

    `use` is all that is promised: virtual CPUs and MiB of the hosts, bytes of the datastores.
    """

    def __init__(self, picture: ReplayRows) -> None:
        """All rows are news at first."""
        self._stands = {key: row_state_of(row) for key, row in picture.rows.items()}
        self._news = set(picture.rows)
        self._over: dict[Key, RowState | None] = {}
        self.use = NOTHING
        for key, stand in self._stands.items():
            self.use = plus(self.use, _promised(key, stand), 1)

    def stand(self, key: Key) -> RowState | None:
        """A row as the feed told it."""
        return self._stands.get(key)

    def hear(self, key: Key, payload: Mapping[str, Any]) -> None:
        """Take in the next change of the feed, unless a newer one is known."""
        known = self._stands.get(key)
        found = _after(known, payload)
        if found is known:
            return
        if found is None:
            del self._stands[key]
        else:
            self._stands[key] = found
        if key[0] in ("host", "datastore"):
            self.use = plus(plus(self.use, _promised(key, found), 1), _promised(key, known), -1)
        self._news.add(key)

    def at(self, ahead: Sequence[Overlay]) -> Changes:
        """What changed since the last call, with these rows ahead; ValueError where the log
        lacks one."""
        before, told = self._over, self._stands
        over = {(kind, id): self._ahead(kind, id, values) for kind, id, values in ahead}
        changed = {key: told.get(key) for key in self._news if key not in over}
        for key in before.keys() - over.keys():
            changed[key] = told.get(key)
        changed |= {
            key: stand for key, stand in over.items() if key not in before or before[key] != stand
        }
        self._news.clear()
        self._over = over
        return changed

    def _ahead(self, kind: str, id: int, values: Mapping[str, Any] | None) -> RowState | None:
        told = self._stands.get((kind, id))
        if values is None:
            return None
        if told is not None and values.keys() <= _USE:
            return _fuller(told, values)
        below = {} if told is None else {(kind, id): with_use(told.row, told.use)}
        return row_state_of(apply_overlay(below, [(kind, id, values)])[kind, id])


def row_state_of(row: Row) -> RowState:
    """The row as it is told whole."""
    return RowState(row, use_of(row), row.generation)


def _after(known: RowState | None, payload: Mapping[str, Any]) -> RowState | None:
    """The row once the feed told this of it; None when it is gone."""
    word = payload.get("row")
    generation = int(payload["version"] if word == "rules" else payload["generation"])
    # At one generation a row that is gone outranks one that is there, as in a ledger.
    if known is not None and generation < known.generation + (word != "gone"):
        return known
    if word is not None:
        row = from_mapping(payload)
        return None if isinstance(row, Tombstone) else row_state_of(row)
    if known is None or isinstance(known.row, RuleSet):
        return None
    use = Use(
        payload["cpu_used"],
        payload["ram_used"],
        0 if isinstance(known.row, Host) else payload["disk_used"],
        frozenset(payload.get("enterprises", ())),
        frozenset(payload.get("layers", ())),
    )
    return RowState(known.row, use, generation)


def _fuller(told: RowState, values: Mapping[str, Any]) -> RowState:
    """The row with other use; values are named as the row's fields are."""
    cpu, ram_mib, disk, enterprises, layers = told.use
    disk = values.get("disk_used_bytes", disk)
    use = Use(
        values.get("cpu_used", cpu),
        values.get("ram_used_mib", ram_mib),
        values.get("used_bytes", disk),
        frozenset(values["enterprises"]) if "enterprises" in values else enterprises,
        frozenset(values["layers"]) if "layers" in values else layers,
    )
    return RowState(told.row, use, values.get("generation", told.generation))


def _promised(key: Key, stand: RowState | None) -> Sums:
    if stand is None or key[0] not in ("host", "datastore"):
        return NOTHING
    return (stand.use.cpu, stand.use.ram_mib, stand.use.disk_bytes)
