"""Enterprises, their users, and the locations they may use: read only."""

from aiohttp import web

from drivers.capabilities import HypervisorType
from gateway.api.access import EVERYWHERE
from gateway.api.representations import tenants as shown
from gateway.api.request_context import RequestContext
from gateway.denial import ApiError, ErrorKind
from gateway.store import places, tenants, users
from gateway.store.tenants import NAME_SORTS

_REGION = "publiccloudregion"


async def list_all(request: web.Request) -> web.Response:
    """GET: the enterprises that exist for the caller."""
    turn = RequestContext(request)
    sort = turn.sort(NAME_SORTS, by="name", ascending=True)
    only = None if EVERYWHERE in turn.caller.privileges else turn.caller.enterprise_id
    async with turn.store.read() as c:
        page = await tenants.enterprises(c, only, turn.query_text("has"), sort)
    rows = [shown.enterprise(turn.links, one) for one in page.rows]
    return turn.page("enterprises", rows, page, sort)


async def read(request: web.Request) -> web.Response:
    """GET: one enterprise."""
    turn = RequestContext(request)
    (enterprise_id,) = turn.ids("enterprise")
    turn.require_sight(enterprise_id)
    async with turn.store.read() as c:
        one = await tenants.enterprise(c, enterprise_id)
    if one is None:
        raise ApiError(ErrorKind.ABSENT, "EN-0", "The enterprise does not exist")
    return turn.ok("enterprise", shown.enterprise(turn.links, one))


async def list_users(request: web.Request) -> web.Response:
    """GET: the users of an enterprise."""
    turn = RequestContext(request)
    (enterprise_id,) = turn.ids("enterprise")
    turn.require_sight(enterprise_id)
    async with turn.store.read() as c:
        found = await users.of_enterprise(c, enterprise_id)
    return turn.whole("users", [shown.user(turn.links, one) for one in found])


async def read_user(request: web.Request) -> web.Response:
    """GET: one user."""
    turn = RequestContext(request)
    enterprise_id, user_id = turn.ids("enterprise", "user")
    turn.require_sight(enterprise_id)
    async with turn.store.read() as c:
        one = await users.get(c, user_id)
    if one is None or one.enterprise_id != enterprise_id:
        raise ApiError(ErrorKind.ABSENT, "USER-0", "The user does not exist")
    return turn.ok("user", shown.user(turn.links, one))


async def list_locations(request: web.Request) -> web.Response:
    """GET: the datacenters a tenant may use; of them, for who asks for regions of public clouds,
    those that are some."""
    turn = RequestContext(request)
    if turn.preferred("datacenters", _REGION + "s") == "datacenters":
        async with turn.store.read() as c:
            found = await places.datacenters(c)
        return turn.whole("datacenters", [shown.location(turn.links, one) for one in found])
    async with turn.store.read() as c:
        found = await places.regions(c, HypervisorType.AZURE)
    return turn.whole(_REGION + "s", [shown.location(turn.links, one, _REGION) for one in found])


async def read_location(request: web.Request) -> web.Response:
    """GET: one of them."""
    turn = RequestContext(request)
    (datacenter_id,) = turn.ids("dc")
    media = turn.preferred("datacenter", _REGION)
    async with turn.store.read() as c:
        one = await places.datacenter(c, datacenter_id)
        if media == _REGION and one not in await places.regions(c, HypervisorType.AZURE):
            one = None
    if one is None:
        raise ApiError(ErrorKind.ABSENT, "DC-0", "The location does not exist")
    return turn.ok(media, shown.location(turn.links, one, media))


async def location_templates(request: web.Request) -> web.Response:
    """GET: the templates a tenant may use there."""
    turn = RequestContext(request)
    (datacenter_id,) = turn.ids("dc")
    async with turn.store.read() as c:
        found = await tenants.templates(c, datacenter_id, turn.caller.enterprise_id, None)
    owner = turn.caller.enterprise_id
    rows = [shown.template(turn.links, one, owner) for one in found]
    return turn.whole("virtualmachinetemplates", rows)
