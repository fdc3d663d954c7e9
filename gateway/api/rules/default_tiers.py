"""The tier of who asks for none: a template's comes before its virtual datacenter's, and that
before the datacenter's own."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from gateway.api.representations import tenants as shown
from gateway.api.request_bodies import as_object, links
from gateway.api.request_context import RequestContext
from gateway.api.vms.vm_grouping import Owned, tier_named
from gateway.denial import ApiError, ErrorKind
from gateway.events.event import Event
from gateway.store import tenants
from gateway.store.db.pool import Connection
from gateway.store.rules import tiers
from gateway.store.tenants import Template

OF_TEMPLATE = "datastoretier0"
OF_VDC = "defaultdatastoretier"


async def linked(
    c: Connection, body: Mapping[str, Any], rel: str, owner: Owned, present: int | None
) -> int | None:
    """The tier that a body's link of that rel names; none where `links` are given without it, and
    the present one where no `links` are."""
    if body.get("links") is None:
        return present
    link = next((one for one in links(body) if one.rel == rel), None)
    return None if link is None else await tier_named(c, link, owner)


async def read_template(request: web.Request) -> web.Response:
    """GET: one template, at its full path."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        one = await _find(turn, c)
    return turn.ok("virtualmachinetemplate", _shown(turn, one))


async def edit_template(request: web.Request) -> web.Response:
    """PUT: the tier of the disk, by a link; nothing else of a template is edited here."""
    turn = RequestContext(request)
    body = as_object(await turn.json())
    async with turn.store.transaction() as c:
        one = await _find(turn, c)
        tier_id = await linked(c, body, OF_TEMPLATE, one, one.tier_id)
        if tier_id != one.tier_id:
            await tiers.require(c, one.id, tier_id)
            one = await _find(turn, c)
            await _tell(turn, c, one)
    turn.services.wake()
    return turn.ok("virtualmachinetemplate", _shown(turn, one))


async def _find(turn: RequestContext, c: Connection) -> Template:
    enterprise_id, datacenter_id, template_id = turn.ids("enterprise", "dc", "template")
    turn.require_sight(enterprise_id)
    one = await tenants.template(c, template_id)
    if (
        one is None
        or one.datacenter_id != datacenter_id
        or one.enterprise_id not in (None, enterprise_id)
    ):
        raise ApiError(ErrorKind.ABSENT, "VMTEMPLATE-0", "The template does not exist")
    return one


def _shown(turn: RequestContext, one: Template) -> dict[str, Any]:
    return shown.template(turn.links, one, turn.ids("enterprise")[0])


async def _tell(turn: RequestContext, c: Connection, one: Template) -> None:
    where = "no tier of its own" if one.tier is None else f"tier {one.tier}"
    await turn.tell(
        c,
        Event(
            "VIRTUAL_MACHINE_TEMPLATE",
            "MODIFY",
            one.id,
            message=f"Template {one.name}: {where}",
            enterprise_id=one.enterprise_id,
            entity_name=one.name,
        ),
    )
