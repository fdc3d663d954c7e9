"""A page of rows: where it starts, how it is sorted, and how many rows there are in all.

A next page begins after the last row of the one before, by its key: rows that come and go
meanwhile move no other row out of sight, nor into it twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from gateway.denial import ApiError, ErrorKind

T = TypeVar("T")


class Key(NamedTuple):
    """What rows are sorted by: a column, and its type in PostgreSQL (whole numbers: bigint)."""

    column: str
    type: str


class Cursor(NamedTuple):
    """The row that a page begins after: its sort key and its id, as texts of PostgreSQL."""

    value: str
    id: str


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Rows `start` to `start + limit` (0: to the end), ordered by the named attribute; with a
    `cursor` those after that row instead, wherever it is or was. `whole`: all rows were asked
    for, and `limit` is what one page may hold."""

    start: int = 0
    limit: int = 25
    by: str = "name"
    ascending: bool = True
    cursor: Cursor | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """The rows of one page, the number of rows of all pages, and where the next page begins, None
    when there is none."""

    rows: tuple[T, ...]
    total: int
    next: Cursor | None = None


class Part(NamedTuple):
    """What a statement needs for one page: columns for the key, a condition, an order with its
    bounds, and their values."""

    columns: str
    condition: str
    order: str
    values: tuple[Any, ...]


def part(sort: PageRequest, key: Key, id: Key, parameters: int) -> Part:
    """That for a statement that has so many parameters before."""
    way, sign = ("asc", ">") if sort.ascending else ("desc", "<")
    condition, n = "", parameters
    given: list[Any] = []
    if sort.cursor is not None:
        condition = (
            f"and ({key.column}, {id.column})"
            f" {sign} (${n + 1}::text::{key.type}, ${n + 2}::text::{id.type})"
        )
        given, n = [_fit(sort.cursor.value, key), _fit(sort.cursor.id, id)], n + 2
    order = f"order by {key.column} {way}, {id.column} {way} offset ${n + 1} limit ${n + 2}"
    given += [0 if sort.cursor is not None else sort.start, sort.limit + 1 if sort.limit else None]
    columns = f"{key.column}::text as page_value, {id.column}::text as page_id"
    return Part(columns, condition, order, tuple(given))


def _fit(given: str, key: Key) -> str:
    """What a client gave back of a key; ApiError for what PostgreSQL would not take."""
    try:
        match key.type:
            case "bigint":
                fits = -(2**63) <= int(given) < 2**63
            case "uuid":
                fits = UUID(given).version is not None
            case "timestamptz":
                fits = datetime.fromisoformat(given).tzinfo is not None
            case _:
                fits = "\x00" not in given
    except ValueError:
        fits = False
    if not fits:
        message = "cursor: it comes from a link `next` of a list in this order"
        raise ApiError(ErrorKind.INVALID, "400-BAD-REQUEST", message, field="cursor")
    return given


def paged(rows: Sequence[Any], total: int, sort: PageRequest, made: Callable[[Any], T]) -> Page[T]:
    """The page of rows that were read so: one more than are wanted, if there are more."""
    kept = rows[: sort.limit] if sort.limit else rows
    last = kept[-1] if len(kept) < len(rows) else None
    cursor = None if last is None else Cursor(last["page_value"], last["page_id"])
    return Page(tuple(made(row) for row in kept), int(total), cursor)


def fields(row: Any) -> dict[str, Any]:
    """A row's columns without those of the key."""
    return {name: value for name, value in row.items() if name not in ("page_value", "page_id")}


def cells(row: Any) -> list[Any]:
    """The same as values in order, for a statement that has the key last."""
    return list(row.values())[:-2]


def like(text: str | None) -> str | None:
    """A pattern for `ilike` that finds `text` anywhere, taken literally."""
    if not text:
        return None
    literal = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{literal}%"
