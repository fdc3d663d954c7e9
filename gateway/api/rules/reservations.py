"""Reservations: machines that take VMs of one enterprise, and enterprises that use no others."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from gateway.api.access import conflict
from gateway.api.representations import places as shown
from gateway.api.representations import tenants as shown_tenants
from gateway.api.request_bodies import as_object, flag, id_of, invalid, links, text
from gateway.api.request_context import RequestContext
from gateway.denial import ApiError, ErrorKind
from gateway.events.event import Event
from gateway.store import places, tenants
from gateway.store.capacity import ledger
from gateway.store.db.pool import Connection
from gateway.store.rules import reservations, rules
from gateway.store.tenants import Enterprise

_NAME_MAX = 255
_REL = "links[machine]"


async def list_all(request: web.Request) -> web.Response:
    """GET: the machines reserved to an enterprise."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        enterprise = await _enterprise(turn, c)
        rows = [
            await _machine(turn, c, host_id)
            for host_id in await reservations.hosts_of(c, enterprise.id)
        ]
    return turn.whole(turn.preferred("machines", "reservedmachines"), rows)


async def create(request: web.Request) -> web.Response:
    """POST a machine (a link to it, or itself): it takes VMs of this enterprise only.

    Refused while VMs of others live there: nothing is ever moved away by a rule.
    """
    turn = RequestContext(request)
    host_id = _host(as_object(await turn.json()))
    async with turn.store.transaction() as c:
        enterprise = await _enterprise(turn, c)
        owner = await _owner(c, host_id)
        if owner == enterprise.id:
            raise conflict("MACHINE-14", f"{_REL}: it is reserved to this enterprise", _REL)
        if owner is not None:
            raise conflict("MACHINE-12", f"{_REL}: it is reserved to another enterprise", _REL)
        await rules.hold(c)
        if await reservations.residents(c, host_id) - {enterprise.id}:
            raise conflict("MACHINE-16", f"{_REL}: VMs of another enterprise are there", _REL)
        await reservations.reserve(c, host_id, enterprise.id)
        body = await _machine(turn, c, host_id)
        await _tell(turn, c, host_id, f"{body['name']} was reserved to {enterprise.name}")
        await ledger.refresh_limits(c, author=turn.caller.nick)
    turn.services.wake()
    return turn.created("machine", body)


async def delete(request: web.Request) -> web.Response:
    """DELETE: the machine takes VMs of every enterprise again."""
    turn = RequestContext(request)
    async with turn.store.transaction() as c:
        enterprise = await _enterprise(turn, c)
        (host_id,) = turn.ids("machine")
        if await _owner(c, host_id) != enterprise.id:
            raise conflict("MACHINE-13", "The machine is not reserved to this enterprise")
        await rules.hold(c)
        await reservations.reserve(c, host_id, None)
        body = await _machine(turn, c, host_id)
        await _tell(turn, c, host_id, f"{body['name']} is no longer kept for {enterprise.name}")
        await ledger.refresh_limits(c, author=turn.caller.nick)
    turn.services.wake()
    return turn.nothing()


async def edit_enterprise(request: web.Request) -> web.Response:
    """PUT: whether the enterprise uses only machines reserved to it; the rest is given back."""
    turn = RequestContext(request)
    body = as_object(await turn.json())
    async with turn.store.transaction() as c:
        one = await _enterprise(turn, c)
        restricted = one.reservation_restricted
        if body.get("isReservationRestricted") is not None:
            restricted = flag(body, "isReservationRestricted")
        _require_same(body, one)
        if restricted != one.reservation_restricted:
            await rules.hold(c)
            await reservations.restrict(c, one.id, restricted)
            word = "only machines reserved to it" if restricted else "any machine"
            await _tell_enterprise(turn, c, one, f"{one.name} uses {word} from now on")
            await ledger.refresh_limits(c, author=turn.caller.nick)
        one = await _enterprise(turn, c)
    turn.services.wake()
    return turn.ok("enterprise", shown_tenants.enterprise(turn.links, one))


def _require_same(body: Mapping[str, Any], one: Enterprise) -> None:
    name = text(body, "name", _NAME_MAX)
    if name not in (None, one.name):
        raise invalid("name", "it cannot be changed here; the configuration declares enterprises")


async def _enterprise(turn: RequestContext, c: Connection) -> Enterprise:
    (enterprise_id,) = turn.ids("enterprise")
    turn.require_sight(enterprise_id)
    one = await tenants.enterprise(c, enterprise_id)
    if one is None:
        raise ApiError(ErrorKind.ABSENT, "EN-0", "The enterprise does not exist")
    return one


def _host(body: Mapping[str, Any]) -> int:
    given = {link.rel: link for link in reversed(links(body))}
    link = given.get("machine") or given.get("edit") or given.get("self")
    if link is None:
        raise invalid(_REL, "a link to the machine is needed")
    return id_of(link, "machines")


async def _owner(c: Connection, host_id: int) -> int | None:
    """Whom the machine is reserved for, under lock."""
    found = await reservations.lock(c, host_id)
    if found is None:
        message = f"{_REL}: the machine does not exist"
        raise ApiError(ErrorKind.ABSENT, "MACHINE-0", message, field=_REL)
    return found[0]


async def _machine(turn: RequestContext, c: Connection, host_id: int) -> dict[str, Any]:
    one = await places.host(c, host_id)
    assert one is not None
    return shown.machine(turn.links, one, await places.datastores(c, host_id))


async def _tell(turn: RequestContext, c: Connection, host_id: int, message: str) -> None:
    one = await places.host(c, host_id)
    assert one is not None
    await turn.tell(
        c,
        Event(
            "MACHINE",
            "MODIFY",
            host_id,
            message=message,
            entity_name=one.name,
            details={"reserved_for": one.reserved_for},
        ),
    )


async def _tell_enterprise(
    turn: RequestContext, c: Connection, one: Enterprise, message: str
) -> None:
    await turn.tell(
        c,
        Event(
            "ENTERPRISE",
            "MODIFY",
            one.id,
            message=message,
            enterprise_id=one.id,
            entity_name=one.name,
        ),
    )
