"""A page of rows: where it starts, how it is sorted, and how many rows there are in all."""

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sort:
    """Rows `start` to `start + limit` (0: to the end), ordered by the named attribute.

    `whole`: all rows were asked for, and `limit` is what one page may hold.
    """

    start: int = 0
    limit: int = 25
    by: str = "name"
    ascending: bool = True
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """The rows of one page and the number of rows of all pages."""

    rows: tuple[T, ...]
    total: int


def like(text: str | None) -> str | None:
    """A pattern for `ilike` that finds `text` anywhere, taken literally."""
    if not text:
        return None
    literal = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{literal}%"
