"""Datacenters, their racks and their datastores, as administrators see them."""

from aiohttp import web

from gateway.api.representations import places as shown
from gateway.api.request_bodies import as_object, flag, invalid
from gateway.api.request_context import RequestContext
from gateway.denial import ApiError, ErrorKind
from gateway.events.event import Event
from gateway.store import places
from gateway.store.capacity import ledger
from gateway.store.db.pool import Connection
from gateway.store.places import Datacenter, DatastoreRow, Rack


async def find(turn: RequestContext, c: Connection) -> Datacenter:
    """The one the path names; ApiError DC-0 when there is none."""
    (datacenter_id,) = turn.ids("dc")
    one = await places.datacenter(c, datacenter_id)
    if one is None:
        raise ApiError(ErrorKind.ABSENT, "DC-0", "The datacenter does not exist")
    return one


async def find_rack(turn: RequestContext, c: Connection) -> Rack:
    """The rack the path names; ApiError RACK-0 when there is none."""
    datacenter_id, rack_id = turn.ids("dc", "rack")
    one = await places.rack(c, datacenter_id, rack_id)
    if one is None:
        raise ApiError(ErrorKind.ABSENT, "RACK-0", "The rack does not exist")
    return one


async def _find_datastore(turn: RequestContext, c: Connection) -> DatastoreRow:
    datacenter_id, datastore_id = turn.ids("dc", "datastore")
    for one in await places.datastores_of(c, datacenter_id):
        if one.id == datastore_id:
            return one
    raise ApiError(ErrorKind.ABSENT, "DATASTORE-0", "The datastore does not exist")


async def list_all(request: web.Request) -> web.Response:
    """GET: all datacenters."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        found = await places.datacenters(c)
    return turn.whole("datacenters", [shown.datacenter(turn.links, one) for one in found])


async def read(request: web.Request) -> web.Response:
    """GET: one datacenter."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        one = await find(turn, c)
    return turn.ok("datacenter", shown.datacenter(turn.links, one))


async def list_racks(request: web.Request) -> web.Response:
    """GET: the racks of a datacenter."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        found = await places.racks(c, (await find(turn, c)).id)
    return turn.whole("racks", [shown.rack(turn.links, one) for one in found])


async def read_rack(request: web.Request) -> web.Response:
    """GET: one rack."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        one = await find_rack(turn, c)
    return turn.ok("rack", shown.rack(turn.links, one))


async def list_datastores(request: web.Request) -> web.Response:
    """GET: the datastores of a datacenter."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        found = await places.datastores_of(c, (await find(turn, c)).id)
    return turn.whole("datastores", [shown.datastore(turn.links, one) for one in found])


async def read_datastore(request: web.Request) -> web.Response:
    """GET: one datastore."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        one = await _find_datastore(turn, c)
    return turn.ok("datastore", shown.datastore(turn.links, one))


async def edit_datastore(request: web.Request) -> web.Response:
    """PUT: whether new disks may go to it."""
    turn = RequestContext(request)
    body = as_object(await turn.json())
    if body.get("enabled") is None:
        raise invalid("enabled", "true or false is needed")
    enabled = flag(body, "enabled")
    async with turn.store.transaction() as c:
        one = await _find_datastore(turn, c)
        if one.enabled != enabled:
            await places.set_datastore_enabled(c, one.id, enabled)
            await ledger.refresh_limits(c, datastores=[one.id])
            word = "enabled" if enabled else "disabled"
            await turn.tell(
                c,
                Event(
                    "DATASTORE",
                    "MODIFY",
                    one.id,
                    message=f"Datastore {one.name} was {word}",
                    entity_name=one.name,
                ),
            )
        one = await _find_datastore(turn, c)
    turn.services.wake()
    return turn.ok("datastore", shown.datastore(turn.links, one))
