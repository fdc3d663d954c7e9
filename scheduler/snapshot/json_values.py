"""Values become what JSON can hold, and come back checked, each error with its place."""

from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec

T = TypeVar("T")


def to_json(value: Any) -> Any:
    """Values as mappings, sets as sorted lists, enumerations and UUIDs as text."""
    return msgspec.to_builtins(value, str_keys=True, order="deterministic")


def from_json(mapping: Mapping[str, Any], sort: type[T], where: str = "$") -> T:
    """The value of that sort; ValueError with the place of what is wrong or unknown."""
    _known(mapping, sort, where)
    try:
        return msgspec.convert(mapping, sort, str_keys=True)
    except (msgspec.ValidationError, ValueError) as wrong:
        raise ValueError(_placed(str(wrong), where)) from None


def _known(value: Any, sort: Any, where: str) -> None:
    """A misspelt field would otherwise be taken for one left out."""
    if not isinstance(value, Mapping):
        return
    inside = _fields(sort)
    for name in value:
        if name not in inside:
            raise ValueError(f"{where}.{name}: there is no such field")
    for name in value.keys() & {each for each, nested in inside.items() if nested}:
        rows = value[name]
        for n, row in enumerate(rows if isinstance(rows, list | tuple) else ()):
            _known(row, inside[name], f"{where}.{name}[{n}]")
        _known(rows, inside[name], f"{where}.{name}")


@cache
def _fields(sort: Any) -> dict[str, Any]:
    """The fields of a value, each with the value that it holds, if any."""
    return {name: _nested(hint) for name, hint in get_type_hints(sort).items()}


def _nested(hint: Any) -> Any:
    inside = get_args(hint) if get_origin(hint) is not None or get_args(hint) else (hint,)
    return next((each for each in inside if _is_value(each)), None)


def _is_value(hint: Any) -> bool:
    return is_dataclass(hint) or (isinstance(hint, type) and issubclass(hint, msgspec.Struct))


def _placed(told: str, where: str) -> str:
    """The place first: "$.hosts[0].cpus: Expected `int`, got `str`"."""
    told, _, place = told.partition(" - at `")
    place = place.removeprefix("key` in `").rstrip("`").removeprefix("$")
    return f"{where}{place}: {told}"
