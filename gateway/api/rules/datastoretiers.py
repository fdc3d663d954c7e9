"""Datastore tiers as administrators make, change and remove them."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from gateway.api import datacenters
from gateway.api.access import conflict
from gateway.api.representations import tiers as shown
from gateway.api.request_bodies import as_object, flag, invalid, text
from gateway.api.request_context import RequestContext
from gateway.api.rules.rule_events import drop_about
from gateway.denial import ApiError, ErrorKind
from gateway.events.event import Event
from gateway.store.capacity import ledger
from gateway.store.db.pool import Connection
from gateway.store.rules import rules, tiers
from gateway.store.rules.tiers import NewTier, TierRow

NAME_MAX = 255
DESCRIPTION_MAX = 4096
POLICIES = ("PROGRESSIVE", "PERFORMANCE")
_TAKEN = "name: the datacenter has a tier of that name"


async def list_all(request: web.Request) -> web.Response:
    """GET: the tiers of a datacenter."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        found = await tiers.of_datacenter(c, (await datacenters.find(turn, c)).id)
    return turn.whole("datastoretiers", [shown.tier(turn.links, one) for one in found])


async def read(request: web.Request) -> web.Response:
    """GET: one tier."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        one = await find(turn, c)
    return turn.ok("datastoretier", shown.tier(turn.links, one))


async def create(request: web.Request) -> web.Response:
    """POST: a tier, without datastores yet."""
    turn = RequestContext(request)
    body = as_object(await turn.json())
    new = _read(body, NewTier(""))
    async with turn.store.transaction() as c:
        await rules.hold(c)
        datacenter = await datacenters.find(turn, c)
        made = await tiers.add(c, datacenter.id, new)
        if made is None:
            raise conflict("DSTIER-7", _TAKEN, "name")
        one = await tiers.get(c, made)
        assert one is not None
        await tell(turn, c, one, "CREATE")
        await ledger.refresh_limits(c, author=turn.caller.nick)
    turn.services.wake()
    return turn.created("datastoretier", shown.tier(turn.links, one))


async def edit(request: web.Request) -> web.Response:
    """PUT: what is left out stays."""
    turn = RequestContext(request)
    body = as_object(await turn.json())
    async with turn.store.transaction() as c:
        await rules.hold(c)
        one = await find(turn, c)
        new = _read(body, _as_new(one))
        if not await tiers.change(c, one, new):
            raise conflict("DSTIER-7", _TAKEN, "name")
        one = await find(turn, c)
        await tell(turn, c, one, "MODIFY")
        await ledger.refresh_limits(c, author=turn.caller.nick)
    turn.services.wake()
    return turn.ok("datastoretier", shown.tier(turn.links, one))


async def delete(request: web.Request) -> web.Response:
    """DELETE: neither the default one nor one with disks of VMs; its rules go with it."""
    turn = RequestContext(request)
    async with turn.store.transaction() as c:
        await tiers.lock_members(c, (await find(turn, c)).id)
        await rules.hold(c)
        one = await find(turn, c)
        if one.is_default:
            raise conflict("DSTIER-1", "The tier is the default of its datacenter")
        if await tiers.residents(c, one.id):
            raise conflict("DSTIER-3", "Disks of virtual machines are in the tier")
        await drop_about(turn, c, "datastoretier", one.id)
        await tiers.drop(c, one.id)
        await tell(turn, c, one, "DELETE")
        await ledger.refresh_limits(c, author=turn.caller.nick)
    turn.services.wake()
    return turn.nothing()


async def find(turn: RequestContext, c: Connection) -> TierRow:
    """The tier the path names; ApiError DSTIER-0 when its datacenter has no such."""
    datacenter = await datacenters.find(turn, c)
    (tier_id,) = turn.ids("tier")
    one = await tiers.get(c, tier_id)
    if one is None or one.datacenter_id != datacenter.id:
        raise ApiError(ErrorKind.ABSENT, "DSTIER-0", "The datastore tier does not exist")
    return one


def _as_new(one: TierRow) -> NewTier:
    return NewTier(
        one.name, one.description, one.enabled, one.progressive, one.open_to_all, one.is_default
    )


def _read(body: Mapping[str, Any], old: NewTier) -> NewTier:
    name = text(body, "name", NAME_MAX)
    name = old.name if name is None else name
    if not name.strip():
        raise invalid("name", f"a name of 1 to {NAME_MAX} characters is needed")
    description = text(body, "description", DESCRIPTION_MAX, lines=True)
    policy = body.get("storageAllocationPolicy")
    if policy is not None and (not isinstance(policy, str) or policy not in POLICIES):
        raise invalid("storageAllocationPolicy", f"one of {', '.join(POLICIES)} is needed")
    return NewTier(
        name=name,
        description=old.description if description is None else description,
        enabled=_flag(body, "enabled", old.enabled),
        progressive=old.progressive if policy is None else policy == "PROGRESSIVE",
        open_to_all=_flag(body, "defaultAllowed", old.open_to_all),
        is_default=_flag(body, "defaultForDatacenter", old.is_default),
    )


def _flag(body: Mapping[str, Any], field: str, old: bool) -> bool:
    return old if body.get(field) is None else flag(body, field)


async def tell(
    turn: RequestContext,
    c: Connection,
    one: TierRow,
    action: str,
    details: dict[str, Any] | None = None,
) -> None:
    """An event about a tier."""
    await turn.tell(
        c,
        Event(
            "DATASTORE_TIER",
            action,
            one.id,
            message=f"Datastore tier {one.name}: {action.lower()}",
            entity_name=one.name,
            details=details or {},
        ),
    )
