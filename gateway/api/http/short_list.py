"""Short lists are given whole, unless the query asks for a part: the same words as for pages."""

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from gateway.api.http import paging
from gateway.api.http.links import Linker
from gateway.store.db.paged import Cursor, Page

Row = Mapping[str, Any]
_NAMES = ("name", "label", "nick")
BY = ("name", "id")


def body(request: web.Request, links: Linker, rows: Sequence[Row]) -> dict[str, Any]:
    """The list, found by `has`, sorted by `by` and `asc`, and of it the part that is asked for;
    with its size and links to the other parts then."""
    query = request.query
    found = [row for row in rows if _has(row, query.get("has"))]
    in_parts = not query.keys().isdisjoint({"limit", "startwith", "cursor"})
    if not in_parts and query.keys().isdisjoint({"by", "asc"}):
        return {"links": [], "collection": found}
    sort = paging.read({"limit": "0", **query}, BY, by="name", ascending=True)
    found.sort(key=lambda row: _key(row, sort.by), reverse=not sort.ascending)
    if not in_parts:
        return {"links": [], "collection": found}
    rest = found[sort.start :]
    if sort.cursor is not None:
        at = (sort.cursor.value, sort.cursor.id)
        rest = [row for row in found if (_key(row, sort.by) > at) is sort.ascending]
        rest = [row for row in rest if _key(row, sort.by) != at]
    part = rest[: sort.limit] if sort.limit else rest
    following = Cursor(*_key(part[-1], sort.by)) if 0 < len(part) < len(rest) else None
    return paging.body(request, links, part, Page(tuple(part), len(found), following), sort)


def _has(row: Row, wanted: str | None) -> bool:
    if wanted is None:
        return True
    return any(wanted.casefold() in str(row.get(name) or "").casefold() for name in _NAMES)


def _key(row: Row, by: str) -> tuple[str, str]:
    """A row's place in the list; numbers of one length sort as they count."""
    id = str(row.get("id", ""))
    name = next((str(row[each]) for each in _NAMES if row.get(each)), "")
    return ("" if by == "id" else name, id.zfill(20) if id.isdigit() else id)
