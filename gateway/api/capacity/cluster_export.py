"""The whole cluster as one JSON file, from which any decision repeats without the service."""

from aiohttp import web

from gateway.api.request_context import RequestContext
from gateway.store import cluster_snapshot
from scheduler.snapshot.snapshot import to_mapping


async def read(request: web.Request) -> web.Response:
    """GET: hosts, datastores, sums, rules and who is where, at a position of the feed."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        cluster = await cluster_snapshot.read(c)
    return turn.ok("cluster", to_mapping(cluster))
