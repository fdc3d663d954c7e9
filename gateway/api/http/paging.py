"""Paging: one way for all lists, with Abiquo's query words."""

import asyncio
import base64
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from yarl import URL

from gateway.api.http.links import Linker
from gateway.denial import ApiError, ErrorKind
from gateway.store.db.paged import Cursor, Page, PageRequest

T = TypeVar("T")
LIMIT_DEFAULT = 25
NUMBER_MAX = 2**31 - 1
PAGE_MAX = 1000
"""Rows of a page, whatever is asked for; `next` leads to the others."""
_BREATH = 20


def read(
    query: Mapping[str, str], sorts: Collection[str], *, by: str, ascending: bool
) -> PageRequest:
    """The page a query asks for; ApiError names the word that is wrong."""
    chosen = query.get("by", by)
    if chosen not in sorts:
        raise _wrong("by", f"is one of {', '.join(sorted(sorts))}")
    asc = query.get("asc", "true" if ascending else "false").lower()
    if asc not in ("true", "false"):
        raise _wrong("asc", "is true or false")
    limit = _number(query, "limit", LIMIT_DEFAULT)
    return PageRequest(
        _number(query, "startwith", 0),
        min(limit or PAGE_MAX, PAGE_MAX),
        chosen,
        asc == "true",
        _cursor(query, chosen),
        whole=limit == 0,
    )


def _cursor(query: Mapping[str, str], by: str) -> Cursor | None:
    """The row that the page begins after, as a link `next` names it."""
    given = query.get("cursor")
    if given is None:
        return None
    try:
        raw = base64.b64decode(given.encode("ascii"), altchars=b"-_", validate=True)
        found = msgspec.json.decode(raw, type=tuple[str, str, str])
    except (ValueError, msgspec.DecodeError) as wrong:
        raise _wrong("cursor", "it comes from a link `next`") from wrong
    if found[0] != by or "\x00" in raw.decode() + found[1] + found[2]:
        raise _wrong("cursor", "it goes with the order that its link `next` names")
    return Cursor(found[1], found[2])


def _named(cursor: Cursor, by: str) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode((by, *cursor))).decode()


def _number(query: Mapping[str, str], name: str, otherwise: int) -> int:
    given = query.get(name)
    if given is None:
        return otherwise
    if not given.isascii() or not given.isdigit() or len(given) > 10 or int(given) > NUMBER_MAX:
        raise _wrong(name, f"is a number from 0 to {NUMBER_MAX}")
    return int(given)


def _wrong(name: str, message: str) -> ApiError:
    return ApiError(ErrorKind.INVALID, "400-BAD-REQUEST", f"{name}: {message}", field=name)


def body(
    request: web.Request,
    links: Linker,
    rows: Sequence[Mapping[str, Any] | msgspec.Raw],
    page: Page[Any],
    sort: PageRequest,
) -> dict[str, Any]:
    """A page, whose rows are shown so, with its links; their hrefs repeat the query in effect. The
    next one begins after a row, whatever rows come and go meanwhile; its number is for people."""
    total = page.total

    def at(rel: str, start: int, cursor: Cursor | None = None) -> dict[str, Any]:
        query = {
            **{name: value for name, value in request.query.items() if name != "cursor"},
            **({} if cursor is None else {"cursor": _named(cursor, sort.by)}),
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
    if page.next is not None:
        pages.append(at("next", sort.start + step, page.next))
    pages.append(at("last", max(0, (total - 1) // step * step)))
    return {"totalSize": total, "links": pages, "collection": rows}


async def rendered(
    rows: Iterable[T], render: Callable[[T], Mapping[str, Any]]
) -> list[msgspec.Raw]:
    """Return each row as JSON; other requests get their turn after every few."""
    shown = []
    for n, row in enumerate(rows):
        if n % _BREATH == 0:
            await asyncio.sleep(0)
        shown.append(msgspec.Raw(msgspec.json.encode(render(row))))
    return shown


def _with_query(href: str, query: Mapping[str, str]) -> URL:
    return URL(href).with_query(query)
