"""Clusters of a rack's machines: what a machine load rule may be about."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from gateway.api.access import conflict
from gateway.api.datacenters import find_rack
from gateway.api.representations import places as shown
from gateway.api.request_bodies import as_object, id_of, invalid, links, text
from gateway.api.request_context import RequestContext
from gateway.api.rules.rule_events import drop_about
from gateway.denial import ApiError, ErrorKind
from gateway.events.event import Event
from gateway.store.capacity import ledger
from gateway.store.db.pool import Connection
from gateway.store.places import Rack
from gateway.store.rules import clusters, rules
from gateway.store.rules.clusters import HostCluster

NAME_MAX = 255
_TAKEN = "name: the rack has a cluster of that name"


async def list_all(request: web.Request) -> web.Response:
    """GET: the clusters of a rack."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        found = await clusters.of_rack(c, (await find_rack(turn, c)).id)
    return turn.whole("clusters", [shown.cluster(turn.links, one) for one in found])


async def read(request: web.Request) -> web.Response:
    """GET: one cluster."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        one = await _find(turn, c)
    return turn.ok("cluster", shown.cluster(turn.links, one))


async def create(request: web.Request) -> web.Response:
    """POST: a cluster of the machines it links, of which none is in another."""
    turn = RequestContext(request)
    body = as_object(await turn.json())
    name, hosts = _name(body), _hosts(body)
    if name is None:
        raise invalid("name", f"a name of 1 to {NAME_MAX} characters is needed")
    async with turn.store.transaction() as c:
        rack = await find_rack(turn, c)
        await clusters.lock_hosts(c, None, hosts or ())
        await rules.hold(c)
        made = await clusters.add(c, rack.id, name)
        if made is None:
            raise conflict("CLUSTER-2", _TAKEN, "name")
        await _require_free(c, rack, None, hosts or ())
        await clusters.set_hosts(c, made, hosts or ())
        (one,) = await clusters.of_rack(c, rack.id, made)
        await _tell(turn, c, one, "CREATE")
        await ledger.refresh_limits(c, author=turn.caller.nick)
    turn.services.wake()
    return turn.created("cluster", shown.cluster(turn.links, one))


async def edit(request: web.Request) -> web.Response:
    """PUT: its name, and, where `links` are given, exactly the machines they name."""
    turn = RequestContext(request)
    body = as_object(await turn.json())
    name, hosts = _name(body), _hosts(body)
    async with turn.store.transaction() as c:
        rack = await find_rack(turn, c)
        one = await _find(turn, c)
        await clusters.lock_hosts(c, one.id, hosts or ())
        await rules.hold(c)
        one = await _find(turn, c)
        if name is not None and not await clusters.rename(c, one.id, name):
            raise conflict("CLUSTER-2", _TAKEN, "name")
        if hosts is not None:
            await _require_free(c, rack, one.id, hosts)
            await clusters.set_hosts(c, one.id, hosts)
        one = await _find(turn, c)
        await _tell(turn, c, one, "MODIFY")
        await ledger.refresh_limits(c, author=turn.caller.nick)
    turn.services.wake()
    return turn.ok("cluster", shown.cluster(turn.links, one))


async def delete(request: web.Request) -> web.Response:
    """DELETE: its machines stay, the rules about it go with it."""
    turn = RequestContext(request)
    async with turn.store.transaction() as c:
        await clusters.lock_hosts(c, (await _find(turn, c)).id)
        await rules.hold(c)
        one = await _find(turn, c)
        await drop_about(turn, c, "cluster", one.id)
        await clusters.drop(c, one.id)
        await _tell(turn, c, one, "DELETE")
        await ledger.refresh_limits(c, author=turn.caller.nick)
    turn.services.wake()
    return turn.nothing()


async def _find(turn: RequestContext, c: Connection) -> HostCluster:
    rack = await find_rack(turn, c)
    (cluster_id,) = turn.ids("cluster")
    for one in await clusters.of_rack(c, rack.id, cluster_id):
        return one
    raise ApiError(ErrorKind.ABSENT, "CLUSTER-0", "The cluster does not exist")


def _name(body: Mapping[str, Any]) -> str | None:
    name = text(body, "name", NAME_MAX)
    if name is not None and not name.strip():
        raise invalid("name", "a blank name is not allowed")
    return name


def _hosts(body: Mapping[str, Any]) -> tuple[int, ...] | None:
    """The machines the links name; None when there are no links at all."""
    if body.get("links") is None:
        return None
    named = [id_of(link, "machines") for link in links(body) if link.rel == "machine"]
    return tuple(sorted(set(named)))


async def _require_free(
    c: Connection, rack: Rack, cluster_id: int | None, hosts: tuple[int, ...]
) -> None:
    absent, taken = await clusters.strangers(c, rack.id, cluster_id, hosts)
    if absent:
        raise invalid("links[machine]", f"the rack has no machine {absent[0]}")
    if taken:
        message = f"links[machine]: machine {taken[0]} is in another cluster"
        raise conflict("CLUSTER-3", message, "links[machine]")


async def _tell(turn: RequestContext, c: Connection, one: HostCluster, action: str) -> None:
    await turn.tell(
        c,
        Event(
            "CLUSTER",
            action,
            one.id,
            message=f"Cluster {one.name}: {action.lower()}",
            entity_name=one.name,
            details={"machines": [host_id for host_id, _ in one.hosts]},
        ),
    )
