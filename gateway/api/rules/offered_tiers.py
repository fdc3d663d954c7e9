"""Datastore tiers as tenants see them: those whose datastores their VMs may ask for."""

from aiohttp import web

from gateway.api.access import EVERYWHERE
from gateway.api.representations import tiers as shown
from gateway.api.request_bodies import as_object, id_of, invalid, links
from gateway.api.request_context import RequestContext
from gateway.denial import ApiError, ErrorKind
from gateway.store import places, vm_insert
from gateway.store.db.pool import Connection
from gateway.store.rules import tiers
from gateway.store.rules.tiers import TierRow

_TEMPLATE = "links[virtualmachinetemplate]"


async def list_all(request: web.Request) -> web.Response:
    """GET: the tiers of a location that the caller's enterprise may use."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        found = await _usable(turn, c)
    return turn.whole("datastoretiers", [shown.offered(turn.links, one) for one in found])


async def read(request: web.Request) -> web.Response:
    """GET: one of them, or one that a VM of the enterprise is in or asks for."""
    turn = RequestContext(request)
    datacenter_id, tier_id = turn.ids("dc", "tier")
    async with turn.store.read() as c:
        one = await tiers.get(c, tier_id)
        if one is None or one.datacenter_id != datacenter_id or not await _sees(turn, c, one):
            raise ApiError(ErrorKind.ABSENT, "DSTIER-0", "The datastore tier does not exist")
    return turn.ok("datastoretier", shown.offered(turn.links, one))


async def compatibles(request: web.Request) -> web.Response:
    """PUT a link to a template, or none: links to the usable tiers with an enabled datastore
    that a machine of one of the template's types sees."""
    turn = RequestContext(request)
    given = links(as_object(await turn.json()))
    template = next((link for link in given if link.rel == "virtualmachinetemplate"), None)
    async with turn.store.read() as c:
        usable = await _usable(turn, c)
        types = None
        if template is not None:
            types = await _types(turn, c, id_of(template, "virtualmachinetemplates"))
        served = await tiers.served(c, turn.ids("dc")[0], types)
    found = [
        shown.offered_link(turn.links, "datastoretier", one.datacenter_id, one.id, one.name)
        for one in usable
        if one.enabled and one.id in served
    ]
    return turn.ok("links", {"links": found})


async def _usable(turn: RequestContext, c: Connection) -> list[TierRow]:
    (datacenter_id,) = turn.ids("dc")
    if await places.datacenter(c, datacenter_id) is None:
        raise ApiError(ErrorKind.ABSENT, "DC-0", "The location does not exist")
    return [one for one in await tiers.of_datacenter(c, datacenter_id) if _offered(turn, one)]


def _offered(turn: RequestContext, one: TierRow) -> bool:
    if EVERYWHERE in turn.caller.privileges:
        return True
    return one.enabled and one.allows(turn.caller.enterprise_id)


async def _sees(turn: RequestContext, c: Connection, one: TierRow) -> bool:
    return _offered(turn, one) or await tiers.known_to(c, one.id, turn.caller.enterprise_id)


async def _types(turn: RequestContext, c: Connection, template_id: int) -> tuple[str, ...]:
    pattern = await vm_insert.pattern(c, template_id)
    if pattern is None or pattern.enterprise_id not in (None, turn.caller.enterprise_id):
        raise invalid(_TEMPLATE, "there is no such template")
    return pattern.types
