"""Workload rules: how full machines and datastores may get, and which machine is preferred."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from gateway.api.representations import places as shown
from gateway.api.representations.places import RULE_WORDS
from gateway.api.rule_body import read_rule, wrong
from gateway.api.vm_body import as_object
from gateway.api.vm_reading import conflict
from gateway.api.vm_turn import Turn
from gateway.denial import Denied, Kind
from gateway.events.event import Event, emit
from gateway.store import ledger, rules
from gateway.store.pool import Connection
from gateway.store.rules import NewRule, Rule

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_ABSENT = {"machine_load": "RULE-3", "datastore_load": "RULE-3", "fit_policy": "RULE-2"}
_COLLECTIONS = {
    "machine_load": "machineLoadRules",
    "datastore_load": "datastoreLoadRules",
    "fit_policy": "fitPolicyRules",
}
_ROOT_MAX = 10_000
_ALONE = "At least one fit policy rule must stay"


def lister(kind: str) -> _Handler:
    """GET: the rules of a kind."""

    async def list_all(request: web.Request) -> web.Response:
        turn = Turn(request)
        async with turn.store.read() as c:
            found = await rules.of_kind(c, kind)
        return turn.whole(RULE_WORDS[kind][1] + "s", [shown.rule(turn.links, r) for r in found])

    return list_all


def reader(kind: str) -> _Handler:
    """GET: one rule of a kind."""

    async def read(request: web.Request) -> web.Response:
        turn = Turn(request)
        async with turn.store.read() as c:
            found = await _find(turn, c, kind)
        return turn.ok(RULE_WORDS[kind][1], shown.rule(turn.links, found))

    return read


def creator(kind: str) -> _Handler:
    """POST: a new rule, which the next decision keeps."""

    async def create(request: web.Request) -> web.Response:
        turn = Turn(request)
        new = read_rule(kind, await turn.json())
        async with turn.store.transaction() as c:
            made = await _add(turn, c, new)
            await ledger.refresh_limits(c)
            one = await rules.get(c, kind, made)
            assert one is not None
        turn.services.wake()
        return turn.created(RULE_WORDS[kind][1], shown.rule(turn.links, one))

    return create


def deleter(kind: str) -> _Handler:
    """DELETE: the rule is lifted; the last fit policy stays."""

    async def delete(request: web.Request) -> web.Response:
        turn = Turn(request)
        async with turn.store.transaction() as c:
            await rules.hold(c)
            one = await _find(turn, c, kind)
            if kind == "fit_policy" and len(await rules.of_kind(c, kind)) == 1:
                raise conflict("RULE-4", _ALONE)
            await rules.drop(c, one.id)
            await _tell(c, turn, kind, one.id, "DELETE")
            await ledger.refresh_limits(c)
        turn.services.wake()
        return turn.nothing()

    return delete


async def read_root(request: web.Request) -> web.Response:
    """GET: the rules of a datacenter (`?idDatacenter=`), or all."""
    turn = Turn(request)
    datacenter_id = _datacenter(turn)
    async with turn.store.read() as c:
        body = await _root(turn, c, datacenter_id)
    return turn.ok("rules", body)


async def replace_root(request: web.Request) -> web.Response:
    """POST: these rules take the place of all there were in that scope, at once or not at all."""
    turn = Turn(request)
    datacenter_id = _datacenter(turn)
    body = as_object(await turn.json())
    if _collection(body, "enterpriseExclusionRules"):
        raise wrong("400-BAD-REQUEST", "enterpriseExclusionRules", "these are not kept here")
    new = [
        read_rule(kind, one)
        for kind, field in _COLLECTIONS.items()
        for one in _collection(body, field)
    ]
    async with turn.store.transaction() as c:
        await rules.hold(c)
        for kind in _COLLECTIONS:
            for old in await _within(c, kind, datacenter_id):
                await rules.drop(c, old.id)
        for one in new:
            made = await rules.get(c, one.kind, await _add(turn, c, one))
            if datacenter_id not in (None, made and made.datacenter_id):
                raise wrong("RULE-5", "links", "the element is not in that datacenter")
        if not await rules.of_kind(c, "fit_policy"):
            raise conflict("RULE-4", _ALONE)
        await ledger.refresh_limits(c)
        answer = await _root(turn, c, datacenter_id)
    turn.services.wake()
    return turn.ok("rules", answer)


async def _find(turn: Turn, c: Connection, kind: str) -> Rule:
    (rule_id,) = turn.ids("rule")
    found = await rules.get(c, kind, rule_id)
    if found is None:
        raise Denied(Kind.ABSENT, _ABSENT[kind], "The rule does not exist")
    return found


async def _add(turn: Turn, c: Connection, new: NewRule) -> int:
    """Add a rule and tell of it; the caller recounts the limits."""
    await rules.hold(c)
    if new.level != "global" and not await rules.element_exists(c, new.level, new.element_id):
        raise wrong("RULE-5", f"links[{new.level}]", "there is no such element")
    made = await rules.add(c, new)
    if made is None:
        raise conflict("RULE-7", "The element has a rule of that kind", f"links[{new.level}]")
    await _tell(c, turn, new.kind, made, "CREATE")
    return made


async def _root(turn: Turn, c: Connection, datacenter_id: int | None) -> dict[str, Any]:
    body: dict[str, Any] = {"enterpriseExclusionRules": {"links": [], "collection": []}}
    for kind, field in _COLLECTIONS.items():
        found = await _within(c, kind, datacenter_id)
        rows = [shown.rule(turn.links, one) for one in found]
        body[field] = {"links": [], "collection": rows}
    return {**body, "links": [turn.links.link("edit", "admin/rules", "rules")]}


async def _within(c: Connection, kind: str, datacenter_id: int | None) -> list[Rule]:
    found = await rules.of_kind(c, kind)
    return [one for one in found if datacenter_id in (None, one.datacenter_id)]


def _datacenter(turn: Turn) -> int | None:
    given = turn.query_text("idDatacenter")
    if given is None:
        return None
    if not given.isascii() or not given.isdigit() or len(given) > 18:
        raise wrong("400-BAD-REQUEST", "idDatacenter", "a number is needed")
    return int(given)


def _collection(body: Any, field: str) -> list[Any]:
    given = body.get(field)
    if given is None:
        return []
    rows = given.get("collection", []) if isinstance(given, dict) else given
    if not isinstance(rows, list) or len(rows) > _ROOT_MAX:
        raise wrong("400-BAD-REQUEST", field, f"a collection of at most {_ROOT_MAX} is needed")
    return rows


async def _tell(c: Connection, turn: Turn, kind: str, rule_id: int, action: str) -> None:
    word = kind.replace("_", " ")
    await emit(
        c,
        Event(
            f"{kind.upper()}_RULE",
            action,
            rule_id,
            message=f"{word.capitalize()} rule {rule_id}: {action.lower()}",
            user_id=turn.caller.user_id,
            user=turn.caller.nick,
        ),
    )
