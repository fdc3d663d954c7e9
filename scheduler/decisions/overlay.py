"""What a fleet knew of a row beyond the feed, as absolute values of the fields that differ.

Promises of its own and rows refreshed after a conflict are ahead of the feed; to ask a question
again, they are laid over the rows as the feed had told them.
"""

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import structs

from scheduler.fleet.usage_ledger import RULES, Key, Row
from scheduler.model.inventory import AggregateScope, Datastore, Host, RuleSet, Tombstone
from scheduler.model.serialization import from_mapping, with_usage

Overlay = tuple[str, int, Mapping[str, Any] | None]
"""Kind, id and the values that differ; None for a row that is gone."""

_FIELDS = {
    kind: tuple(field.name for field in structs.fields(kind))
    for kind in (Host, Datastore, AggregateScope, RuleSet)
}
_VALUES = {kind: attrgetter(*names) for kind, names in _FIELDS.items()}


def diff(key: Key, told: Row | None, present: Row | None) -> Overlay | None:
    """How the present row differs from the told one; None when it does not."""
    if present is told:
        return None
    if present is None:
        return (*key, None)
    if told is None:
        return (*key, _plain(present))
    values = _VALUES[type(present)]
    changed = {
        name: _plain(value)
        for name, value, before in zip(
            _FIELDS[type(present)], values(present), values(told), strict=True
        )
        if value is not before and value != before
    }
    return (*key, changed) if changed else None


def apply_change(told: Row | None, payload: Mapping[str, Any]) -> Row | None:
    """The row once the feed told this of it; None when it is gone.

    A whole row replaces what was told; mere use changes it, and is lost on a row that is not
    there. Raises ValueError for what is no row.
    """
    if "row" not in payload:
        return None if told is None or isinstance(told, RuleSet) else with_usage(told, payload)
    found = from_mapping(payload)
    return None if isinstance(found, Tombstone) else found


def apply_overlay(rows: Mapping[Key, Row], ahead: Iterable[Overlay]) -> dict[Key, Row]:
    """The rows with what was ahead of them; raises ValueError where a row is missing below."""
    found = dict(rows)
    for kind, id, values in ahead:
        key = (kind, id)
        if values is None:
            found.pop(key, None)
            continue
        told = found.get(key)
        base = {} if told is None else _plain(told)
        try:
            found[key] = msgspec.convert({**base, **values}, kind_of(key), str_keys=True)
        except msgspec.ValidationError as missing:
            raise ValueError(f"{kind} {id} is not in the log: {missing}") from missing
    return found


def kind_of(key: Key) -> type[Row]:
    """The class of the row with this key."""
    match key:
        case ("host", _):
            return Host
        case ("datastore", _):
            return Datastore
        case _:
            return RuleSet if key == RULES else AggregateScope


def _plain(value: object) -> Any:
    return msgspec.to_builtins(value, str_keys=True, order="deterministic")
