"""Workload rules: how full machines and datastores may get, which machine is preferred, and
which enterprises share none."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway.api.access import conflict
from gateway.api.representations import rules as shown
from gateway.api.representations.rules import RULE_WORDS
from gateway.api.request_context import RequestContext
from gateway.api.rules.rule_body import (
    GivenRule,
    read_change,
    read_rule,
    require_agreement,
    with_numbers,
    wrong_link,
)
from gateway.api.rules.rule_events import tell_rule
from gateway.denial import ApiError, ErrorKind
from gateway.store.capacity import ledger
from gateway.store.db.pool import Connection
from gateway.store.rules import rules
from gateway.store.rules.rules import Rule

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_ABSENT = {
    "machine_load": "RULE-3",
    "datastore_load": "RULE-3",
    "fit_policy": "RULE-2",
    "enterprise_exclusion": "RULE-1",
}
ALONE = "At least one fit policy rule must stay"


def lister(kind: str) -> _Handler:
    """GET: the rules of a kind."""

    async def list_all(request: web.Request) -> web.Response:
        turn = RequestContext(request)
        async with turn.store.read() as c:
            found = await rules.of_kind(c, kind)
        return turn.whole(RULE_WORDS[kind][1] + "s", [shown.rule(turn.links, r) for r in found])

    return list_all


def reader(kind: str) -> _Handler:
    """GET: one rule of a kind."""

    async def read(request: web.Request) -> web.Response:
        turn = RequestContext(request)
        async with turn.store.read() as c:
            found = await _find(turn, c, kind)
        return turn.ok(RULE_WORDS[kind][1], shown.rule(turn.links, found))

    return read


def creator(kind: str) -> _Handler:
    """POST: a new rule, which the next decision keeps."""

    async def create(request: web.Request) -> web.Response:
        turn = RequestContext(request)
        given = read_rule(kind, with_numbers(await turn.json()))
        async with turn.store.transaction() as c:
            await rules.hold(c)
            one = await insert(c, given)
            await tell_rule(turn, c, one)
            await ledger.refresh_limits(c, author=turn.caller.nick)
        turn.services.wake()
        return turn.created(RULE_WORDS[kind][1], shown.rule(turn.links, one))

    return create


def editor(kind: str) -> _Handler:
    """PUT: what the rule says is changed, with no moment without it."""

    async def edit(request: web.Request) -> web.Response:
        turn = RequestContext(request)
        body = with_numbers(await turn.json())
        async with turn.store.transaction() as c:
            await rules.hold(c)
            old = await _find(turn, c, kind)
            given = read_change(old, body)
            require_agreement(old, given.links)
            await rules.change(c, old.id, given.rule)
            one = await _find(turn, c, kind)
            if one != old:
                await tell_rule(turn, c, one)
                await ledger.refresh_limits(c, author=turn.caller.nick)
        turn.services.wake()
        return turn.ok(RULE_WORDS[kind][1], shown.rule(turn.links, one))

    return edit


def deleter(kind: str) -> _Handler:
    """DELETE: the rule is lifted; the last fit policy stays."""

    async def delete(request: web.Request) -> web.Response:
        turn = RequestContext(request)
        async with turn.store.transaction() as c:
            await rules.hold(c)
            one = await _find(turn, c, kind)
            if kind == "fit_policy" and len(await rules.of_kind(c, kind)) == 1:
                raise conflict("RULE-4", ALONE)
            await rules.drop(c, one.id)
            await tell_rule(turn, c, one, gone=True)
            await ledger.refresh_limits(c, author=turn.caller.nick)
        turn.services.wake()
        return turn.nothing()

    return delete


async def _find(turn: RequestContext, c: Connection, kind: str) -> Rule:
    (rule_id,) = turn.ids("rule")
    found = await rules.get(c, kind, rule_id)
    if found is None:
        raise ApiError(ErrorKind.ABSENT, _ABSENT[kind], "The rule does not exist")
    return found


async def insert(c: Connection, given: GivenRule) -> Rule:
    """Add a rule; the caller holds the rules, tells of it and recounts the limits."""
    new = given.rule
    if new.level != "global":
        for element_id in (new.element_id, new.other_id) if new.other_id else (new.element_id,):
            if not await rules.element_exists(c, new.level, element_id):
                raise wrong_link(new.kind, "there is no such element", new.level)
    made = await rules.add(c, new)
    if made is None:
        what = "links" if new.level == "global" else f"links[{new.level}]"
        raise conflict("RULE-7", f"{what}: there is a rule of that kind already", what)
    one = await rules.get(c, new.kind, made)
    assert one is not None
    require_agreement(one, given.links)
    return one
