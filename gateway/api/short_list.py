"""Short lists are given whole, unless the query asks for a part: the same words as for pages."""

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from gateway.api import paging
from gateway.api.links import Linker
from gateway.store.paged import Sort

Row = Mapping[str, Any]
_NAMES = ("name", "label", "nick")


def body(request: web.Request, links: Linker, rows: Sequence[Row]) -> dict[str, Any]:
    """The list, found by `has`, sorted by `by` and `asc`, and of it the part from `startwith`;
    with its size and links to the other parts where it is asked for in parts."""
    query = request.query
    found = [row for row in rows if _has(row, query.get("has"))]
    ascending = query.get("asc", "true").lower() == "true"
    if "by" in query or not ascending:
        found.sort(key=lambda row: _key(row, query.get("by", "name")), reverse=not ascending)
    if "limit" not in query and "startwith" not in query:
        return {"links": [], "collection": found}
    limit, start = int(query.get("limit", 0)), int(query.get("startwith", 0))
    part = found[start : start + limit if limit else None]
    sort = Sort(start, limit, query.get("by", "name"), ascending)
    return paging.body(request, links, part, len(found), sort)


def _has(row: Row, wanted: str | None) -> bool:
    if wanted is None:
        return True
    return any(wanted.casefold() in str(row.get(name) or "").casefold() for name in _NAMES)


def _key(row: Row, by: str) -> tuple[bool, Any]:
    """Numbers before texts, so that any two rows compare."""
    value = row.get(by)
    if by == "name":
        value = next((row[name] for name in _NAMES if row.get(name)), "")
    return (isinstance(value, str), value if isinstance(value, int | str) else str(value))
