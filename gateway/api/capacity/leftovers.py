"""Leftovers: what tasks could not delete at a hypervisor, until somebody has."""

from typing import Any

from aiohttp import web

from gateway.api.http.links import Linker
from gateway.api.request_context import RequestContext
from gateway.denial import ApiError, ErrorKind
from gateway.events.event import Event
from gateway.store.tasks import leftovers
from gateway.store.tasks.leftovers import Leftover


async def list_all(request: web.Request) -> web.Response:
    """GET: all that is left, the newest first."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        found = await leftovers.listed(c)
    return turn.whole("leftovers", [_shown(turn.links, one) for one in found])


async def forget(request: web.Request) -> web.Response:
    """DELETE: somebody has deleted it by hand."""
    turn = RequestContext(request)
    (id_,) = turn.ids("leftover")
    async with turn.store.transaction() as c:
        gone = await leftovers.forget(c, id_)
        if gone is None:
            raise ApiError(ErrorKind.ABSENT, "LEFTOVER-0", "The leftover does not exist")
        message = f"The leftover of {gone.vm_name} on {gone.host} was cleared"
        event = Event("LEFTOVER", "FORGET", gone.id, message, entity_name=gone.vm_name)
        await turn.tell(c, event)
    turn.services.wake()
    return turn.nothing()


def _shown(links: Linker, one: Leftover) -> dict[str, Any]:
    return {
        "id": one.id,
        "machine": one.host,
        "datastore": one.datastore,
        "volume": one.volume,
        "vmName": one.vm_name,
        "vmUuid": str(one.vm_uuid),
        "taskId": str(one.task_id),
        "reason": one.reason,
        "creationTimestamp": one.found_at.isoformat(),
        "links": [links.link("edit", f"admin/leftovers/{one.id}", "leftover")],
    }
