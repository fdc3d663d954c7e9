"""Rows of the inventory as plain mappings, and back without loss: how they travel and are kept.

A mapping holds only what JSON knows; sets become ordered lists, so that equal rows are equal
text. `row` says what it is: host, datastore, scope, rules or gone.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, assert_never

from msgspec import structs

from scheduler.model.fit_policy import FitPolicy
from scheduler.model.inventory import (
    AggregateScope,
    Datastore,
    Host,
    HostState,
    RuleSet,
    Tier,
    Tombstone,
)

Row = Host | Datastore | AggregateScope | RuleSet | Tombstone

_TYPES: Mapping[str, type[Row]] = {
    "host": Host,
    "datastore": Datastore,
    "scope": AggregateScope,
    "rules": RuleSet,
    "gone": Tombstone,
}
_WORDS = {type_: word for word, type_ in _TYPES.items()}


def to_mapping(row: Row) -> dict[str, Any]:
    """The row as a mapping that JSON can carry."""
    return {"row": _WORDS[type(row)], **_fields_of(row)}


def from_mapping(told: Mapping[str, Any]) -> Row:
    """The row that `to_mapping` made the mapping of; fields left out have their defaults.

    Raises ValueError where it is none.
    """
    type_ = _TYPES.get(told.get("row", ""))
    if type_ is None:
        raise ValueError(f"a row is one of {', '.join(_TYPES)}, not {told.get('row')!r}")
    row: Row = _read(type_, {name: value for name, value in told.items() if name != "row"})
    return row


def with_usage(
    row: Host | Datastore | AggregateScope, told: Mapping[str, Any]
) -> Host | Datastore | AggregateScope:
    """The row with what is promised of it as `told`, in absolute values under a generation.

    That is how the feed tells of mere use: cpu_used, ram_used, disk_used, generation, and of a
    host enterprises and layers.
    """
    generation = told["generation"]
    match row:
        case Host():
            return structs.replace(
                row,
                cpu_used=told["cpu_used"],
                ram_used_mib=told["ram_used"],
                enterprises=frozenset(told["enterprises"]),
                layers=frozenset(told["layers"]),
                generation=generation,
            )
        case Datastore():
            return structs.replace(row, used_bytes=told["disk_used"], generation=generation)
        case AggregateScope():
            return structs.replace(
                row,
                cpu_used=told["cpu_used"],
                ram_used_mib=told["ram_used"],
                disk_used_bytes=told["disk_used"],
                generation=generation,
            )
        case _:
            assert_never(row)


def _fields_of(value: Any) -> dict[str, Any]:
    return {each.name: _plain(getattr(value, each.name)) for each in structs.fields(value)}


def _plain(value: Any) -> Any:
    match value:
        case StrEnum():
            return value.value
        case Tier():
            return _fields_of(value)
        case frozenset():
            return sorted(value)
        case tuple():
            return list(value)
        case Mapping():
            return {str(key): _plain(value[key]) for key in sorted(value)}
        case _:
            return value


def _read(type_: Any, told: Mapping[str, Any]) -> Any:
    known = {each.name: each for each in structs.fields(type_)}
    strange = told.keys() - known.keys()
    missing = {name for name, each in known.items() if each.required and name not in told}
    if strange or missing:
        raise ValueError(f"{type_.__name__}: unknown {sorted(strange)}, missing {sorted(missing)}")
    readers = _READERS.get(type_, {})
    return type_(
        **{name: readers[name](value) if name in readers else value for name, value in told.items()}
    )


def _tier(told: Mapping[str, Any] | None) -> Tier | None:
    tier: Tier | None = None if told is None else _read(Tier, told)
    return tier


def _everybody_or(told: list[int] | None) -> frozenset[int] | None:
    return None if told is None else frozenset(told)


def _by_id(read: Callable[[Any], Any]) -> Callable[[Mapping[str, Any]], dict[int, Any]]:
    return lambda told: {int(key): read(value) for key, value in told.items()}


_READERS: Mapping[type, Mapping[str, Callable[[Any], Any]]] = {
    Host: {
        "state": HostState,
        "networks": frozenset,
        "datastores": tuple,
        "enterprises": frozenset,
        "layers": frozenset,
    },
    Tier: {"enterprises": _everybody_or},
    Datastore: {"tier": _tier},
    RuleSet: {
        "policies": _by_id(FitPolicy),
        "excluded": _by_id(frozenset),
        "restricted": frozenset,
        "enterprises": _by_id(str),
        "tiers": _by_id(str),
    },
}
