"""Headroom: what is free, what still fits, and what would with any one machine lost."""

from typing import Any

from aiohttp import web

from gateway.analysis.headroom_report import HeadroomQuestion
from gateway.api.capacity.hold_body import DISK_MAX
from gateway.api.request_bodies import SIZE_MAX, invalid
from gateway.api.request_context import RequestContext
from gateway.denial import ApiError, ErrorKind
from gateway.plans.requests import Reckoning
from gateway.store import places

MACHINES_MAX = 10_000


async def read(request: web.Request) -> web.Response:
    """GET, for one datacenter: numbers by machine, datastore, tier and aggregated rule."""
    turn = RequestContext(request)
    datacenter = number(turn, "datacenter", SIZE_MAX)
    if datacenter is None:
        raise invalid("datacenter", "the number of a datacenter is needed")
    async with turn.store.read() as c:
        if await places.datacenter(c, datacenter) is None:
            raise ApiError(
                ErrorKind.ABSENT, "DC-0", "The datacenter does not exist", field="datacenter"
            )
    question = HeadroomQuestion(
        datacenter,
        turn.query_text("type") or "KVM",
        number(turn, "cpu", SIZE_MAX) or 0,
        number(turn, "ram", SIZE_MAX) or 0,
        number(turn, "disk", DISK_MAX) or 0,
        turn.query_text("network"),
        number(turn, "enterprise", SIZE_MAX),
        number(turn, "datastoretier", SIZE_MAX),
        _most(turn),
    )
    found: dict[str, Any] = await turn.services.reckon(turn.store, Reckoning(headroom=question))
    size = {"cpu": question.cpu, "ram": question.ram_mib, "disk": question.disk_bytes}
    return turn.ok("headroom", {**found, "size": size, "links": _links(turn, datacenter)})


def _most(turn: RequestContext) -> int:
    given = number(turn, "limit", MACHINES_MAX)
    return 100 if given is None else given or MACHINES_MAX


def _links(turn: RequestContext, datacenter: int) -> list[dict[str, Any]]:
    return [turn.links.link("datacenter", f"admin/datacenters/{datacenter}", "datacenter")]


def number(turn: RequestContext, name: str, most: int) -> int | None:
    """A whole number of the query, from 0; None when it is not there."""
    given = turn.query_text(name)
    if given is None:
        return None
    if not (given.isascii() and given.isdigit()) or len(given) > 18 or int(given) > most:
        raise invalid(name, f"a number from 0 to {most} is needed")
    return int(given)
