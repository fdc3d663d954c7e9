"""All workload rules at once: those of a datacenter, or of everything."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from aiohttp import web

from gateway.api.access import conflict
from gateway.api.representations import rules as shown
from gateway.api.request_bodies import as_object
from gateway.api.request_context import RequestContext
from gateway.api.rules.rule_body import GivenRule, read_rule, with_numbers, wrong, wrong_link
from gateway.api.rules.rule_events import tell_all
from gateway.api.rules.rules import ALONE, insert
from gateway.denial import ApiError, ErrorKind
from gateway.store import places
from gateway.store.capacity import ledger
from gateway.store.db.pool import Connection
from gateway.store.rules import rules
from gateway.store.rules.rules import Rule

_COLLECTIONS = {
    "machine_load": "machineLoadRules",
    "datastore_load": "datastoreLoadRules",
    "fit_policy": "fitPolicyRules",
    "enterprise_exclusion": "enterpriseExclusionRules",
}
_EXCLUSIONS = _COLLECTIONS["enterprise_exclusion"]
_ROOT_MAX = 10_000


async def read(request: web.Request) -> web.Response:
    """GET: the rules of a datacenter (`?idDatacenter=`) with all exclusions, or all rules."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        body = await _root(turn, c, await _datacenter(turn, c))
    return turn.ok("rules", body)


async def replace(request: web.Request) -> web.Response:
    """POST: these rules take the place of all there were in that scope, at once or not at all.

    Exclusions are of no datacenter: within one they stay unless the body names some.
    """
    turn = RequestContext(request)
    body = as_object(await turn.json())
    given = {kind: _read(kind, body, field) for kind, field in _COLLECTIONS.items()}
    async with turn.store.transaction() as c:
        datacenter_id = await _datacenter(turn, c)
        if datacenter_id is not None and body.get(_EXCLUSIONS) is None:
            del given["enterprise_exclusion"]
        await rules.hold(c)
        for kind in given:
            for old in await _within(c, kind, datacenter_id):
                await rules.drop(c, old.id)
        for kind, new in given.items():
            for n, one in enumerate(new):
                with _named(kind, n):
                    await _insert(c, one, datacenter_id)
        if not await rules.of_kind(c, "fit_policy"):
            raise conflict("RULE-4", f"fitPolicyRules: {ALONE}", "fitPolicyRules")
        answer = await _root(turn, c, datacenter_id)
        counts = {field: len(answer[field]["collection"]) for field in _COLLECTIONS.values()}
        await tell_all(turn, c, datacenter_id, counts)
        await ledger.refresh_limits(c, author=turn.caller.nick)
    turn.services.wake()
    return turn.created("rules", answer)


def _read(kind: str, body: Mapping[str, Any], field: str) -> list[GivenRule]:
    found = []
    for n, row in enumerate(_collection(body, field)):
        with _named(kind, n):
            found.append(read_rule(kind, with_numbers(row)))
    return found


@contextlib.contextmanager
def _named(kind: str, n: int) -> Iterator[None]:
    """A refusal inside names the rule that is wrong."""
    try:
        yield
    except ApiError as denied:
        at = f"{_COLLECTIONS[kind]}[{n}]" + (f".{denied.field}" if denied.field else "")
        message = denied.message.removeprefix(f"{denied.field}: ")
        raise ApiError(denied.kind, denied.code, f"{at}: {message}", field=at) from denied


async def _insert(c: Connection, given: GivenRule, datacenter_id: int | None) -> None:
    """Add a rule; within a datacenter it must be about something in that one."""
    new = given.rule
    if datacenter_id is not None and new.level == "global":
        raise wrong_link(new.kind, f"it is not about datacenter {datacenter_id}")
    made = await insert(c, given)
    if made.kind != "enterprise_exclusion" and datacenter_id not in (None, made.datacenter_id):
        raise wrong_link(made.kind, f"it is not in datacenter {datacenter_id}", made.level)


async def _root(turn: RequestContext, c: Connection, datacenter_id: int | None) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for kind, field in _COLLECTIONS.items():
        found = await _within(c, kind, datacenter_id)
        rows = [shown.rule(turn.links, one) for one in found]
        body[field] = {"links": [], "collection": rows}
    return {**body, "links": [turn.links.link("edit", "admin/rules", "rules", title="rules")]}


async def _within(c: Connection, kind: str, datacenter_id: int | None) -> list[Rule]:
    found = await rules.of_kind(c, kind)
    if kind == "enterprise_exclusion":
        return found
    return [one for one in found if datacenter_id in (None, one.datacenter_id)]


async def _datacenter(turn: RequestContext, c: Connection) -> int | None:
    given = turn.query_text("idDatacenter")
    if given is None:
        return None
    if not given.isascii() or not given.isdigit() or len(given) > 18:
        raise wrong("400-BAD-REQUEST", "idDatacenter", "a number is needed")
    if await places.datacenter(c, int(given)) is None:
        raise ApiError(
            ErrorKind.ABSENT, "DC-0", "The datacenter does not exist", field="idDatacenter"
        )
    return int(given)


def _collection(body: Mapping[str, Any], field: str) -> list[Any]:
    given = body.get(field)
    if given is None:
        return []
    rows = given.get("collection", []) if isinstance(given, Mapping) else given
    if not isinstance(rows, list) or len(rows) > _ROOT_MAX:
        raise wrong("400-BAD-REQUEST", field, f"a collection of at most {_ROOT_MAX} is needed")
    return rows
