"""The whole cluster as one JSON file, from which any decision repeats without the service."""

from aiohttp import web

from gateway.api.vm_turn import Turn
from gateway.store import whole
from scheduler.cluster import to_mapping


async def read(request: web.Request) -> web.Response:
    """GET: hosts, datastores, sums, rules and who is where, at a position of the feed."""
    turn = Turn(request)
    async with turn.store.read() as c:
        cluster = await whole.read(c)
    return turn.ok("cluster", to_mapping(cluster))
