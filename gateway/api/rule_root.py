"""All workload rules at once: those of a datacenter, or of everything."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from gateway.api.representations import rules as shown
from gateway.api.rule_body import read_rule, wrong, wrong_link
from gateway.api.rule_events import tell_all
from gateway.api.rules import ALONE, insert
from gateway.api.vm_body import as_object
from gateway.api.vm_reading import conflict
from gateway.api.vm_turn import Turn
from gateway.denial import Denied, Kind
from gateway.store import ledger, places, rules
from gateway.store.pool import Connection
from gateway.store.rules import Rule

_COLLECTIONS = {
    "machine_load": "machineLoadRules",
    "datastore_load": "datastoreLoadRules",
    "fit_policy": "fitPolicyRules",
    "enterprise_exclusion": "enterpriseExclusionRules",
}
_ROOT_MAX = 10_000


async def read(request: web.Request) -> web.Response:
    """GET: the rules of a datacenter (`?idDatacenter=`) with all exclusions, or all rules."""
    turn = Turn(request)
    async with turn.store.read() as c:
        body = await _root(turn, c, await _datacenter(turn, c))
    return turn.ok("rules", body)


async def replace(request: web.Request) -> web.Response:
    """POST: these rules take the place of all there were in that scope, at once or not at all.

    Exclusions are of no datacenter: within one they stay unless the body names some.
    """
    turn = Turn(request)
    body = as_object(await turn.json())
    async with turn.store.transaction() as c:
        datacenter_id = await _datacenter(turn, c)
        kinds = [kind for kind in _COLLECTIONS if _replaced(kind, body, datacenter_id)]
        await rules.hold(c)
        for kind in kinds:
            for old in await _within(c, kind, datacenter_id):
                await rules.drop(c, old.id)
        for kind in kinds:
            await _insert_all(c, kind, body, datacenter_id)
        if not await rules.of_kind(c, "fit_policy"):
            raise conflict("RULE-4", f"fitPolicyRules: {ALONE}", "fitPolicyRules")
        answer = await _root(turn, c, datacenter_id)
        counts = {field: len(answer[field]["collection"]) for field in _COLLECTIONS.values()}
        await tell_all(turn, c, datacenter_id, counts)
        await ledger.refresh_limits(c)
    turn.services.wake()
    return turn.created("rules", answer)


def _replaced(kind: str, body: Mapping[str, Any], datacenter_id: int | None) -> bool:
    if kind != "enterprise_exclusion" or datacenter_id is None:
        return True
    return body.get(_COLLECTIONS[kind]) is not None


async def _insert_all(
    c: Connection, kind: str, body: Mapping[str, Any], datacenter_id: int | None
) -> None:
    """Each rule of a collection; a refusal names the one that is wrong."""
    field = _COLLECTIONS[kind]
    for n, row in enumerate(_collection(body, field)):
        try:
            given = read_rule(kind, row)
            if datacenter_id is not None and given.rule.level == "global":
                raise wrong_link(kind, f"it is not about datacenter {datacenter_id}")
            _require_within(await insert(c, given), datacenter_id)
        except Denied as denied:
            at = f"{field}[{n}]" + (f".{denied.field}" if denied.field else "")
            message = denied.message.removeprefix(f"{denied.field}: ")
            raise Denied(denied.kind, denied.code, f"{at}: {message}", field=at) from denied


def _require_within(made: Rule, datacenter_id: int | None) -> None:
    if made.kind == "enterprise_exclusion" or datacenter_id in (None, made.datacenter_id):
        return
    raise wrong_link(made.kind, f"it is not in datacenter {datacenter_id}", made.level)


async def _root(turn: Turn, c: Connection, datacenter_id: int | None) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for kind, field in _COLLECTIONS.items():
        found = await _within(c, kind, datacenter_id)
        rows = [shown.rule(turn.links, one) for one in found]
        body[field] = {"links": [], "collection": rows}
    return {**body, "links": [turn.links.link("edit", "admin/rules", "rules")]}


async def _within(c: Connection, kind: str, datacenter_id: int | None) -> list[Rule]:
    found = await rules.of_kind(c, kind)
    if kind == "enterprise_exclusion":
        return found
    return [one for one in found if datacenter_id in (None, one.datacenter_id)]


async def _datacenter(turn: Turn, c: Connection) -> int | None:
    given = turn.query_text("idDatacenter")
    if given is None:
        return None
    if not given.isascii() or not given.isdigit() or len(given) > 18:
        raise wrong("400-BAD-REQUEST", "idDatacenter", "a number is needed")
    if await places.datacenter(c, int(given)) is None:
        raise Denied(Kind.ABSENT, "DC-0", "The datacenter does not exist", field="idDatacenter")
    return int(given)


def _collection(body: Mapping[str, Any], field: str) -> list[Any]:
    given = body.get(field)
    if given is None:
        return []
    rows = given.get("collection", []) if isinstance(given, Mapping) else given
    if not isinstance(rows, list) or len(rows) > _ROOT_MAX:
        raise wrong("400-BAD-REQUEST", field, f"a collection of at most {_ROOT_MAX} is needed")
    return rows
