"""Events, newest first, filtered and paged; or onwards from a position of the feed."""

import re
from dataclasses import replace
from datetime import UTC, datetime

from aiohttp import web

from gateway.api.access import EVERYWHERE, find_vm
from gateway.api.http.paging import rendered
from gateway.api.representations.events import event
from gateway.api.request_bodies import invalid
from gateway.api.request_context import RequestContext
from gateway.denial import ApiError, ErrorKind
from gateway.store.db.paged import PageRequest
from gateway.store.feed import event_queries
from gateway.store.feed.event_queries import EventFilter

_SEVERITIES = {"INFO": "INFO", "WARN": "WARN", "WARNING": "WARN", "ERROR": "ERROR"}
_POSITION_MAX = 2**63 - 1


async def list_all(request: web.Request) -> web.Response:
    """GET the events of the caller's enterprise; of all for who administers all."""
    turn = RequestContext(request)
    return await _listing(turn, _filter(turn))


async def list_of_vm(request: web.Request) -> web.Response:
    """GET the events of one VM."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        vm = await find_vm(c, turn.vm_path(), turn.caller)
    wanted = replace(_filter(turn), entity="VIRTUAL_MACHINE", entity_id=str(vm.id))
    return await _listing(turn, wanted)


async def read(request: web.Request) -> web.Response:
    """GET the event at a position."""
    turn = RequestContext(request)
    (position,) = turn.ids("event")
    async with turn.store.read() as c:
        seen = await event_queries.get(c, position, _enterprise(turn))
    if seen is None:
        raise ApiError(ErrorKind.ABSENT, "404-NOT-FOUND", "The event does not exist")
    return turn.ok("event", event(turn.links, seen, hosts=turn.caller.sees_hosts))


async def _listing(turn: RequestContext, wanted: EventFilter) -> web.Response:
    onwards = wanted.after is not None
    sort: PageRequest = turn.sort(event_queries.SORTS, by="timestamp", ascending=onwards)
    async with turn.store.read() as c:
        page = await event_queries.page(c, wanted, sort)
    hosts = turn.caller.sees_hosts
    shown = await rendered(page.rows, lambda seen: event(turn.links, seen, hosts=hosts))
    return turn.page("events", shown, page, sort)


def _enterprise(turn: RequestContext) -> int | None:
    return None if EVERYWHERE in turn.caller.privileges else turn.caller.enterprise_id


def _filter(turn: RequestContext) -> EventFilter:
    severity = turn.query_text("severity")
    if severity is not None and severity not in _SEVERITIES:
        raise invalid("severity", f"one of {', '.join(_SEVERITIES)} is needed")
    return EventFilter(
        enterprise_id=_enterprise(turn),
        entity=turn.query_text("entity"),
        entity_id=turn.query_text("entityId"),
        action=turn.query_text("action"),
        severity=None if severity is None else _SEVERITIES[severity],
        user=turn.query_text("user"),
        has=turn.query_text("has"),
        since=moment(turn, "datefrom"),
        until=moment(turn, "dateto"),
        after=_number(turn, "after"),
        hosts=turn.caller.sees_hosts,
    )


def _number(turn: RequestContext, name: str) -> int | None:
    given = turn.query_text(name)
    if given is None:
        return None
    if not re.fullmatch(r"[0-9]{1,19}", given) or int(given) > _POSITION_MAX:
        raise invalid(name, "a number from 0 is needed")
    return int(given)


def moment(turn: RequestContext, name: str) -> datetime | None:
    """A time of the query: milliseconds since 1970, or RFC 3339 with its offset."""
    given = turn.query_text(name)
    if given is None:
        return None
    try:
        if re.fullmatch(r"[0-9]{1,19}", given):
            return datetime.fromtimestamp(int(given) / 1000, UTC)
        found = datetime.fromisoformat(given.replace(" ", "+"))
        found.astimezone(UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise invalid(name, "milliseconds or an RFC 3339 time are needed") from error
    if found.tzinfo is None:
        raise invalid(name, "the time needs an offset, such as Z")
    return found
