"""Paging: one way for all lists, with Abiquo's query words."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from aiohttp import web
from yarl import URL

from gateway.api.links import Linker
from gateway.denial import Denied, Kind
from gateway.store.paged import Sort

T = TypeVar("T")
R = TypeVar("R")
LIMIT_DEFAULT = 25
NUMBER_MAX = 2**31 - 1
PAGE_MAX = 1000
"""Rows of a page, whatever is asked for; `next` leads to the others."""
_BREATH = 20


def read(query: Mapping[str, str], sorts: Mapping[str, str], *, by: str, ascending: bool) -> Sort:
    """The page a query asks for; Denied names the word that is wrong."""
    chosen = query.get("by", by)
    if chosen not in sorts:
        raise _wrong("by", f"is one of {', '.join(sorted(sorts))}")
    asc = query.get("asc", "true" if ascending else "false").lower()
    if asc not in ("true", "false"):
        raise _wrong("asc", "is true or false")
    limit = _number(query, "limit", LIMIT_DEFAULT)
    return Sort(
        _number(query, "startwith", 0),
        min(limit or PAGE_MAX, PAGE_MAX),
        chosen,
        asc == "true",
        whole=limit == 0,
    )


def _number(query: Mapping[str, str], name: str, otherwise: int) -> int:
    given = query.get(name)
    if given is None:
        return otherwise
    if not given.isascii() or not given.isdigit() or len(given) > 10 or int(given) > NUMBER_MAX:
        raise _wrong(name, f"is a number from 0 to {NUMBER_MAX}")
    return int(given)


def _wrong(name: str, message: str) -> Denied:
    return Denied(Kind.INVALID, "400-BAD-REQUEST", f"{name}: {message}", field=name)


def body(
    request: web.Request,
    links: Linker,
    rows: Sequence[Mapping[str, Any]],
    total: int,
    sort: Sort,
) -> dict[str, Any]:
    """One page with its links; their hrefs repeat the query in effect."""

    def at(rel: str, start: int) -> dict[str, Any]:
        query = {
            **request.query,
            "startwith": str(start),
            "limit": "0" if sort.whole else str(sort.limit),
            "by": sort.by,
            "asc": str(sort.ascending).lower(),
        }
        path = request.rel_url.path.split("/api/", 1)[-1]
        return {"rel": rel, "href": str(_with_query(links.href(path), query))}

    step = sort.limit
    pages = [at("first", 0)]
    if sort.start > 0:
        pages.append(at("prev", max(0, sort.start - step)))
    if sort.start + step < total:
        pages.append(at("next", sort.start + step))
    pages.append(at("last", max(0, (total - 1) // step * step)))
    return {"totalSize": total, "links": pages, "collection": rows}


async def rendered(rows: Iterable[T], render: Callable[[T], R]) -> list[R]:
    """Render the rows of a page; other requests get their turn after every few."""
    shown = []
    for n, row in enumerate(rows):
        if n % _BREATH == 0:
            await asyncio.sleep(0)
        shown.append(render(row))
    return shown


def _with_query(href: str, query: Mapping[str, str]) -> URL:
    return URL(href).with_query(query)
