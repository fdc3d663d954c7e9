"""What belongs to a datastore tier: its datastores, and the enterprises that may use it."""

from aiohttp import web

from gateway.api.access import conflict
from gateway.api.representations import places as shown
from gateway.api.representations import tenants as shown_tenants
from gateway.api.request_bodies import BodyLink, as_object, id_of, invalid, links
from gateway.api.request_context import RequestContext
from gateway.api.rules.datastoretiers import find, tell
from gateway.denial import ApiError, ErrorKind
from gateway.store import places, tenants
from gateway.store.capacity import ledger
from gateway.store.db.pool import Connection
from gateway.store.rules import rules, tiers
from gateway.store.tenants import NAME_SORTS

_DATASTORE = "links[datastore]"
_ENTERPRISE = "links[enterprise]"


async def list_datastores(request: web.Request) -> web.Response:
    """GET: the datastores of a tier."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        one = await find(turn, c)
        found = await places.datastores_of(c, one.datacenter_id)
    rows = [shown.datastore(turn.links, each) for each in found if each.tier_id == one.id]
    return turn.whole("datastores", rows)


async def add_datastores(request: web.Request) -> web.Response:
    """PUT links to datastores: they are of this tier from now on. With disks of VMs on one,
    only with `?force=true`: those VMs then live in another tier than they asked for."""
    turn = RequestContext(request)
    named, force = _datastores(links(as_object(await turn.json()))), _force(turn)
    async with turn.store.transaction() as c:
        one = await find(turn, c)
        present = await _present(c, one.datacenter_id, named)
        await rules.hold(c)
        moving = [each for each in named if present[each] != one.id]
        await _require_unused(c, moving, force)
        await tiers.assign(c, moving, one.id)
        await tell(turn, c, one, "MODIFY", {"added": moving})
        await ledger.refresh_limits(c, author=turn.caller.nick)
    turn.services.wake()
    return turn.nothing()


async def release_datastores(request: web.Request) -> web.Response:
    """PUT links to datastores of this tier: they are of none from now on."""
    turn = RequestContext(request)
    named, force = _datastores(links(as_object(await turn.json()))), _force(turn)
    async with turn.store.transaction() as c:
        one = await find(turn, c)
        present = await _present(c, one.datacenter_id, named)
        await rules.hold(c)
        for each in named:
            if present[each] != one.id:
                message = f"{_DATASTORE}: datastore {each} is not of this tier"
                raise conflict("DATASTORE-11", message, _DATASTORE)
        await _require_unused(c, named, force)
        await tiers.assign(c, named, None)
        await tell(turn, c, one, "MODIFY", {"released": named})
        await ledger.refresh_limits(c, author=turn.caller.nick)
    turn.services.wake()
    return turn.nothing()


async def list_enterprises(request: web.Request) -> web.Response:
    """GET: the enterprises that may use a tier."""
    turn = RequestContext(request)
    sort = turn.sort(NAME_SORTS, by="name", ascending=True)
    async with turn.store.read() as c:
        one = await find(turn, c)
        only = None if one.open_to_all else one.id
        page = await tenants.enterprises(c, None, turn.query_text("has"), sort, tier_id=only)
    rows = [shown_tenants.enterprise(turn.links, each) for each in page.rows]
    return turn.page("enterprises", rows, page, sort)


async def admit_enterprises(request: web.Request) -> web.Response:
    """POST links to enterprises: they may use the tier also when it is not open to all."""
    turn = RequestContext(request)
    given = [link for link in links(as_object(await turn.json())) if link.rel == "enterprise"]
    if not given:
        raise invalid(_ENTERPRISE, "a link to an enterprise is needed")
    named = sorted({id_of(link, "enterprises") for link in given})
    async with turn.store.transaction() as c:
        await rules.hold(c)
        one = await find(turn, c)
        for each in named:
            if await tenants.enterprise(c, each) is None:
                raise invalid(_ENTERPRISE, f"there is no enterprise {each}")
            await tiers.admit(c, one.id, each)
        await tell(turn, c, one, "MODIFY", {"allowed": named})
        await ledger.refresh_limits(c, author=turn.caller.nick)
    turn.services.wake()
    return turn.nothing()


async def dismiss_enterprise(request: web.Request) -> web.Response:
    """DELETE: the enterprise may use the tier no longer; it must have no disks there."""
    turn = RequestContext(request)
    force = _force(turn)
    (enterprise_id,) = turn.ids("enterprise")
    async with turn.store.transaction() as c:
        await rules.hold(c)
        one = await find(turn, c)
        if one.open_to_all:
            raise conflict("409-CONFLICT", "The tier is open to all enterprises; restrict it first")
        if enterprise_id not in one.enterprises:
            raise ApiError(ErrorKind.ABSENT, "EN-0", "The tier names no such enterprise")
        if not force and enterprise_id in await tiers.residents(c, one.id):
            raise conflict("LIMIT-22", "The enterprise has disks of virtual machines there")
        await tiers.dismiss(c, one.id, enterprise_id)
        await tell(turn, c, one, "MODIFY", {"restricted": [enterprise_id]})
        await ledger.refresh_limits(c, author=turn.caller.nick)
    turn.services.wake()
    return turn.nothing()


async def allow_all(request: web.Request) -> web.Response:
    """PUT: every enterprise may use the tier."""
    turn = RequestContext(request)
    async with turn.store.transaction() as c:
        await rules.hold(c)
        one = await find(turn, c)
        await tiers.open_to_all(c, one.id, True)
        await tell(turn, c, one, "MODIFY", {"defaultAllowed": True})
        await ledger.refresh_limits(c, author=turn.caller.nick)
    turn.services.wake()
    return turn.nothing()


async def restrict_all(request: web.Request) -> web.Response:
    """PUT: no enterprise may use the tier; with disks of VMs there only with `?force=true`."""
    turn = RequestContext(request)
    force = _force(turn)
    async with turn.store.transaction() as c:
        await rules.hold(c)
        one = await find(turn, c)
        if not force and await tiers.residents(c, one.id):
            raise conflict("LIMIT-22", "Enterprises have disks of virtual machines there")
        await tiers.open_to_all(c, one.id, False)
        await tiers.dismiss(c, one.id, None)
        await tell(turn, c, one, "MODIFY", {"defaultAllowed": False})
        await ledger.refresh_limits(c, author=turn.caller.nick)
    turn.services.wake()
    return turn.nothing()


def _force(turn: RequestContext) -> bool:
    given = turn.query_text("force")
    if given not in (None, "true", "false"):
        raise invalid("force", "true or false is needed")
    return given == "true"


def _datastores(given: tuple[BodyLink, ...]) -> list[int]:
    named = [link for link in given if link.rel == "datastore"]
    if not named:
        message = f"{_DATASTORE}: a link to a datastore is needed"
        raise ApiError(ErrorKind.INVALID, "DATASTORE-8", message, field=_DATASTORE)
    try:
        return sorted({id_of(link, "datastores") for link in named})
    except ApiError as denied:
        raise ApiError(
            ErrorKind.INVALID, "DATASTORE-9", denied.message, field=_DATASTORE
        ) from denied


async def _present(c: Connection, datacenter_id: int, named: list[int]) -> dict[int, int | None]:
    """The tier each of these is of now."""
    present = await tiers.tiers_of(c, datacenter_id, named)
    for each in named:
        if each not in present:
            message = f"{_DATASTORE}: the datacenter has no datastore {each}"
            raise ApiError(ErrorKind.INVALID, "DATASTORE-9", message, field=_DATASTORE)
    return present


async def _require_unused(c: Connection, datastores: list[int], force: bool) -> None:
    used = [] if force else await tiers.datastores_in_use(c, datastores)
    if used:
        message = f"{_DATASTORE}: disks of virtual machines are on {', '.join(used)}"
        raise conflict("DSTIER-2", message, _DATASTORE)
