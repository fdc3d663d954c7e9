"""Decisions: why a VM is where it is, or why nothing took it; and the whole table, made again."""

from uuid import UUID

import msgspec
from aiohttp import web

from gateway.analysis.decision_replay import NotReplayable
from gateway.api.access import EVERYWHERE, conflict, sees
from gateway.api.events import moment
from gateway.api.http.paging import rendered
from gateway.api.representations.decisions import (
    MEDIA,
    decision,
    decision_link,
    decision_text,
    places_named,
)
from gateway.api.request_bodies import invalid
from gateway.api.request_context import RequestContext
from gateway.denial import ApiError, ErrorKind
from gateway.store.capacity import decisions
from gateway.store.capacity.decisions import DecisionFilter, StoredDecision
from gateway.store.db.paged import PageRequest
from gateway.store.db.pool import Connection
from scheduler.decisions.decision import DecisionOutcome
from scheduler.decisions.decision_text import Names


async def list_all(request: web.Request) -> web.Response:
    """GET the decisions of the caller's enterprise, newest first; of all for who administers all.

    `vm`, `task`, `outcome` and `since` narrow them.
    """
    turn = RequestContext(request)
    sort: PageRequest = turn.sort(decisions.SORTS, by="timestamp", ascending=False)
    async with turn.store.read() as c:
        page = await decisions.page(c, await _filter(c, turn), sort)
        names = await _names(c, page.rows)
    hosts = turn.caller.sees_hosts
    shown = await rendered(page.rows, lambda one: decision(turn.links, one, names, hosts=hosts))
    return turn.page("decisions", shown, page, sort)


async def read(request: web.Request) -> web.Response:
    """GET one decision; as text for who accepts text/plain only."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        stored = await _find(c, turn)
        names = await _names(c, (stored,))
    if request.headers.get("Accept", "").split(";")[0].strip() == "text/plain":
        text = decision_text(stored, names, hosts=turn.caller.sees_hosts)
        return web.Response(text=text, content_type="text/plain")
    return turn.ok(MEDIA, decision(turn.links, stored, names, hosts=turn.caller.sees_hosts))


async def table(request: web.Request) -> web.Response:
    """GET every host as the decision saw it: asked again from checkpoint and change log."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        stored = await _find(c, turn)
    try:
        found = await turn.services.recompute(turn.store, stored.id)
    except NotReplayable as lacking:
        raise conflict("DECISION-1", f"It cannot be made again: {lacking}") from lacking
    body = {
        "decision": str(stored.id),
        "identical": found.identical,
        "why": found.why,
        "derived": msgspec.Raw(found.derived),
        "collection": msgspec.Raw(found.hosts),
        "links": [decision_link(turn.links, stored.id)],
    }
    return turn.ok("decisiontable", body)


async def _find(c: Connection, turn: RequestContext) -> StoredDecision:
    try:
        stored = await decisions.get(c, UUID(turn.request.match_info["decision"]))
    except ValueError:
        stored = None
    if stored is None or not sees(turn.caller, stored.enterprise_id):
        raise ApiError(ErrorKind.ABSENT, "DECISION-0", "The decision does not exist")
    return stored


async def _filter(c: Connection, turn: RequestContext) -> DecisionFilter:
    outcome = turn.query_text("outcome")
    if outcome is not None and outcome not in {each.value for each in DecisionOutcome}:
        raise invalid("outcome", f"one of {', '.join(DecisionOutcome)} is needed")
    return DecisionFilter(
        enterprise_id=None if EVERYWHERE in turn.caller.privileges else turn.caller.enterprise_id,
        vm_id=await _vm(c, turn),
        task=_uuid(turn, "task"),
        outcome=outcome,
        since=moment(turn, "since"),
    )


async def _vm(c: Connection, turn: RequestContext) -> int | None:
    """The VM of the query, by its number or its uuid; -1, which none has, for one not known."""
    given = turn.query_text("vm")
    if given is None:
        return None
    if given.isascii() and given.isdigit() and len(given) <= 18:
        return int(given)
    found = _uuid(turn, "vm")
    assert found is not None
    return await decisions.vm_of(c, found) or -1


def _uuid(turn: RequestContext, name: str) -> UUID | None:
    given = turn.query_text(name)
    try:
        return None if given is None else UUID(given)
    except ValueError as wrong:
        raise invalid(name, "an id is needed") from wrong


async def _names(c: Connection, rows: tuple[StoredDecision, ...]) -> Names:
    hosts: set[int] = set()
    datastores: set[int] = set()
    for stored in rows:
        more_hosts, more_datastores = places_named(stored)
        hosts |= more_hosts
        datastores |= more_datastores
    return await decisions.names(c, hosts, datastores)
