"""Holds: capacity booked ahead for VMs to come, for a while, all of it or none."""

from aiohttp import web

from gateway.api.hold_body import HoldBody, read_hold, read_ttl
from gateway.api.hold_reading import find_hold
from gateway.api.representations.holds import hold as shown
from gateway.api.sizes import require_size
from gateway.api.vm_body import as_object, invalid
from gateway.api.vm_turn import Turn
from gateway.denial import Denied, Kind
from gateway.store import holds, places, tenants
from gateway.store.pool import Connection
from gateway.tasks.holding import Holder, Wish
from scheduler.demand import Demand


def _holder(turn: Turn) -> Holder:
    return Holder(turn.store, turn.services.planner, turn.services.adviser)


async def list_all(request: web.Request) -> web.Response:
    """GET: every hold that has not ended, the next to end first."""
    turn = Turn(request)
    async with turn.store.read() as c:
        found = await holds.all_of(c)
    return turn.whole("holds", [shown(turn.links, one) for one in found if not one.expired])


async def create(request: web.Request) -> web.Response:
    """POST: book places for all VMs named, or for none; 201 with the places and the end."""
    turn = Turn(request)
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
    turn = Turn(request)
    async with turn.store.read() as c:
        found = await find_hold(c, request.match_info["hold"])
    return turn.ok("hold", shown(turn.links, found))


async def renew(request: web.Request) -> web.Response:
    """POST `ttl`: have it end so many seconds from now."""
    turn = Turn(request)
    ttl_s = read_ttl(as_object(await turn.json()))
    async with turn.store.read() as c:
        one = await find_hold(c, request.match_info["hold"])
    renewed = await _holder(turn).renew(one.id, ttl_s, turn.caller)
    turn.services.wake()
    return turn.ok("hold", shown(turn.links, renewed))


async def release(request: web.Request) -> web.Response:
    """DELETE: give back what no VM took."""
    turn = Turn(request)
    async with turn.store.read() as c:
        one = await find_hold(c, request.match_info["hold"])
    await _holder(turn).release(one.id, turn.caller)
    turn.services.wake()
    return turn.nothing()


async def _wish(c: Connection, body: HoldBody) -> Wish:
    """Denied DC-0 or EN-0, or 400, for what does not exist."""
    if await places.datacenter(c, body.datacenter) is None:
        raise Denied(
            Kind.ABSENT, "DC-0", "The datacenter does not exist", field="links[datacenter]"
        )
    if body.enterprise is not None and await tenants.enterprise(c, body.enterprise) is None:
        raise Denied(
            Kind.ABSENT, "EN-0", "The enterprise does not exist", field="links[enterprise]"
        )
    demands: list[Demand] = []
    for entry in body.entries:
        if not await holds.tier_known(c, entry.tier, body.datacenter):
            raise invalid("links[datastoretier]", "the datacenter has no such tier")
        layer = None if entry.layer is None else await holds.layer(c, *entry.layer, body.enterprise)
        if layer is None and entry.layer is not None:
            raise invalid("links[layer]", "the enterprise has no such layer")
        demands += entry.demands(body.datacenter, body.enterprise, layer)
    return Wish(body.name, body.enterprise, body.datacenter, body.ttl_s, tuple(demands))
