"""Virtual appliances: groups of VMs that are deployed together."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from gateway.api import virtualdatacenters
from gateway.api.access import EVERYWHERE, conflict, sees
from gateway.api.representations import tenants as shown
from gateway.api.request_bodies import as_object, text
from gateway.api.request_context import RequestContext
from gateway.api.virtualdatacenters import name_of
from gateway.config.privileges import Privilege
from gateway.denial import ApiError, ErrorKind
from gateway.events.event import Event
from gateway.store import tenants
from gateway.store.db.pool import Connection
from gateway.store.tenants import NAME_SORTS, Virtualappliance

DESCRIPTION_MAX = 4096
ICON_MAX = 1024


async def list_of_vdc(request: web.Request) -> web.Response:
    """GET: those of one virtual datacenter."""
    turn = RequestContext(request)
    sort = turn.sort(NAME_SORTS, by="name", ascending=True)
    async with turn.store.read() as c:
        vdc = await virtualdatacenters.find(turn, c)
        page = await tenants.virtualappliances(c, vdc.id, None, turn.query_text("has"), sort)
    rows = [_shown(turn, one) for one in page.rows]
    return turn.page("virtualappliances", rows, page, sort)


async def list_all(request: web.Request) -> web.Response:
    """GET: those of the caller's enterprise, or all."""
    turn = RequestContext(request)
    sort = turn.sort(NAME_SORTS, by="name", ascending=True)
    only = None if EVERYWHERE in turn.caller.privileges else turn.caller.enterprise_id
    async with turn.store.read() as c:
        page = await tenants.virtualappliances(c, None, only, turn.query_text("has"), sort)
    rows = [_shown(turn, one) for one in page.rows]
    return turn.page("virtualappliances", rows, page, sort)


async def read(request: web.Request) -> web.Response:
    """GET: one."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        one = await _find(turn, c)
    return turn.ok("virtualappliance", _shown(turn, one))


async def read_state(request: web.Request) -> web.Response:
    """GET: its state alone."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        one = await _find(turn, c)
    return turn.ok("virtualappliancestate", shown.virtualappliance_state(turn.links, one))


async def create(request: web.Request) -> web.Response:
    """POST: a new, empty one."""
    turn = RequestContext(request)
    name, description, icon = _read(as_object(await turn.json()))
    async with turn.store.transaction() as c:
        vdc = await virtualdatacenters.find(turn, c)
        made = await tenants.add_virtualappliance(c, vdc, name, description or "", icon or "")
        one = await tenants.virtualappliance(c, made)
        assert one is not None
        await _tell(c, turn, one, "CREATE")
    turn.services.wake()
    return turn.created("virtualappliance", _shown(turn, one))


async def edit(request: web.Request) -> web.Response:
    """PUT: what people read of it; what is left out stays."""
    turn = RequestContext(request)
    name, description, icon = _read(as_object(await turn.json()))
    async with turn.store.transaction() as c:
        one = await _find(turn, c)
        await tenants.edit_virtualappliance(
            c,
            one.id,
            name,
            one.description if description is None else description,
            one.icon_url if icon is None else icon,
        )
        await _tell(c, turn, one, "MODIFY")
        one = await _find(turn, c)
    turn.services.wake()
    return turn.ok("virtualappliance", _shown(turn, one))


async def delete(request: web.Request) -> web.Response:
    """DELETE: an empty one; never a hidden undeploy."""
    turn = RequestContext(request)
    async with turn.store.transaction() as c:
        one = await _find(turn, c)
        if not await tenants.drop_virtualappliance(c, one.id):
            raise conflict("VAPP-2", "The virtual appliance has virtual machines")
        await _tell(c, turn, one, "DELETE")
    turn.services.wake()
    return turn.nothing()


async def _find(turn: RequestContext, c: Connection) -> Virtualappliance:
    vdc_id, vapp_id = turn.ids("vdc", "vapp")
    one = await tenants.virtualappliance(c, vapp_id)
    if (
        one is None
        or one.virtualdatacenter_id != vdc_id
        or not sees(turn.caller, one.enterprise_id)
    ):
        raise ApiError(ErrorKind.ABSENT, "VAPP-0", "The virtual appliance does not exist")
    return one


def _read(body: Mapping[str, Any]) -> tuple[str, str | None, str | None]:
    description = text(body, "description", DESCRIPTION_MAX, lines=True)
    return name_of(body), description, text(body, "iconUrl", ICON_MAX)


def _shown(turn: RequestContext, one: Virtualappliance) -> dict[str, Any]:
    may_act = Privilege.VAPP_PERFORM_ACTIONS in turn.caller.privileges
    return shown.virtualappliance(turn.links, one, may_act=may_act)


async def _tell(c: Connection, turn: RequestContext, one: Virtualappliance, action: str) -> None:
    await turn.tell(
        c,
        Event(
            "VIRTUAL_APPLIANCE",
            action,
            one.id,
            message=f"Virtual appliance {one.name}: {action.lower()}",
            enterprise_id=one.enterprise_id,
            entity_name=one.name,
        ),
    )
