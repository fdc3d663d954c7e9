"""A driver's options, from a configuration table into its frozen dataclass of plain values."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def read_options(kind: type[T], options: Mapping[str, Any]) -> T:
    """`kind` with these options; each field of it has a default of the type it wants, a table of
    texts where that is a dict.

    Raises ValueError that names the wrong option: unknown, of another type, or negative.
    """
    known = {
        field.name: dict if field.default is MISSING else type(field.default)
        for field in fields(kind)
        if field.default is not MISSING or field.default_factory is dict
    }
    values: dict[str, Any] = {}
    for name, value in options.items():
        if name not in known:
            raise ValueError(f"{name} is none of {', '.join(sorted(known))}")
        wanted = known[name]
        if wanted is float and type(value) is int:
            value = float(value)
        if type(value) is not wanted:
            raise ValueError(f"{name} must be of type {wanted.__name__}")
        if isinstance(value, dict) and not all(type(each) is str for each in value.values()):
            raise ValueError(f"{name} must hold texts only")
        if isinstance(value, int | float) and not 0 <= value < float("inf"):
            raise ValueError(f"{name} must be a number that is not negative")
        values[name] = value
    return kind(**values)
