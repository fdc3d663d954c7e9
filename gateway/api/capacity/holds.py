"""Holds: capacity booked ahead for VMs to come, for a while, all of it or none."""

from aiohttp import web

from gateway.api.capacity.hold_body import HoldBody, read_hold, read_ttl
from gateway.api.capacity.hold_reading import find_hold
from gateway.api.representations.holds import hold as shown
from gateway.api.request_bodies import as_object, invalid
from gateway.api.request_context import RequestContext
from gateway.api.vms.sizes import require_size
from gateway.denial import ApiError, ErrorKind
from gateway.placement.holds import HoldRequest, HoldService
from gateway.store import places, tenants
from gateway.store.capacity import holds
from gateway.store.db.pool import Connection
from scheduler.model.demand import Demand


def _holder(turn: RequestContext) -> HoldService:
    return HoldService(turn.store, turn.services.planner, turn.services.adviser)


async def list_all(request: web.Request) -> web.Response:
    """GET: every hold that has not ended, the next to end first."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        found = await holds.all_of(c)
    return turn.whole("holds", [shown(turn.links, one) for one in found if not one.expired])


async def create(request: web.Request) -> web.Response:
    """POST: book places for all VMs named, or for none; 201 with the places and the end."""
    turn = RequestContext(request)
    body = read_hold(await turn.json())
    for entry in body.entries:
        require_size(turn.services.capabilities.get(entry.type), entry.cpu, entry.ram_mib)
    async with turn.store.read() as c:
        wish = await _wish(c, body)
    made = await _holder(turn).hold(wish, turn.caller)
    turn.services.wake()
    async with turn.store.read() as c:
        return turn.created("hold", shown(turn.links, await find_hold(c, made)))


async def read(request: web.Request) -> web.Response:
    """GET: one hold."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        found = await find_hold(c, request.match_info["hold"])
    return turn.ok("hold", shown(turn.links, found))


async def renew(request: web.Request) -> web.Response:
    """POST `ttl`: have it end so many seconds from now."""
    turn = RequestContext(request)
    ttl_s = read_ttl(as_object(await turn.json()))
    async with turn.store.read() as c:
        one = await find_hold(c, request.match_info["hold"])
    renewed = await _holder(turn).renew(one.id, ttl_s, turn.caller)
    turn.services.wake()
    return turn.ok("hold", shown(turn.links, renewed))


async def release(request: web.Request) -> web.Response:
    """DELETE: give back what no VM took."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        one = await find_hold(c, request.match_info["hold"])
    await _holder(turn).release(one.id, turn.caller)
    turn.services.wake()
    return turn.nothing()


async def _wish(c: Connection, body: HoldBody) -> HoldRequest:
    """ApiError DC-0 or EN-0, or 400, for what does not exist."""
    if await places.datacenter(c, body.datacenter) is None:
        raise ApiError(
            ErrorKind.ABSENT, "DC-0", "The datacenter does not exist", field="links[datacenter]"
        )
    if body.enterprise is not None and await tenants.enterprise(c, body.enterprise) is None:
        raise ApiError(
            ErrorKind.ABSENT, "EN-0", "The enterprise does not exist", field="links[enterprise]"
        )
    demands: list[Demand] = []
    for entry in body.entries:
        if not await holds.tier_known(c, entry.tier, body.datacenter):
            raise invalid("links[datastoretier]", "the datacenter has no such tier")
        layer = None if entry.layer is None else await holds.layer(c, *entry.layer, body.enterprise)
        if layer is None and entry.layer is not None:
            raise invalid("links[layer]", "the enterprise has no such layer")
        demands += entry.demands(body.datacenter, body.enterprise, layer)
    return HoldRequest(body.name, body.enterprise, body.datacenter, body.ttl_s, tuple(demands))
