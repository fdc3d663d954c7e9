"""Plans: moves that are proposed with their reasons, and made once somebody approves them."""

from uuid import UUID

import msgspec
from aiohttp import web

from gateway.api.capacity.plan_body import read_chosen, read_plan
from gateway.api.representations.plans import plan as shown
from gateway.api.request_context import RequestContext
from gateway.denial import ApiError, ErrorKind
from gateway.plans import approve as approving
from gateway.plans.propose import PlanQuestion
from gateway.plans.requests import Reckoning
from gateway.store import places, plans
from gateway.store.plans import StoredPlan

PLANS_SHOWN_MAX = 200


async def list_all(request: web.Request) -> web.Response:
    """GET: the newest plans, without their moves."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        found = await plans.newest(c, PLANS_SHOWN_MAX)
    return turn.whole("plans", [shown(turn.links, one, None) for one in found])


async def create(request: web.Request) -> web.Response:
    """POST: work out a proposal and keep it; nothing is changed by it. 201."""
    turn = RequestContext(request)
    question, host = read_plan(await turn.json())
    question = await _placed(turn, question, host)
    able = turn.services.capabilities.items()
    question = msgspec.structs.replace(
        question,
        capacities=turn.services.capacities,
        fixed=tuple(type_ for type_, each in able if not each.relocation),
    )
    found = await turn.services.reckon(turn.store, Reckoning(plan=question))
    made = await approving.save(turn.store, question, found, turn.caller)
    turn.services.wake()
    return await _shown(turn, made, created=True)


async def read(request: web.Request) -> web.Response:
    """GET: one plan with its moves and what has become of them."""
    turn = RequestContext(request)
    return await _shown(turn, _id(request))


async def approve(request: web.Request) -> web.Response:
    """POST, with `moves` for some: they are made, one after the other."""
    turn = RequestContext(request)
    chosen = read_chosen(await turn.optional_json())
    await approving.approve(turn.store, _id(request), chosen, turn.caller)
    turn.services.wake()
    return await _shown(turn, _id(request))


async def cancel(request: web.Request) -> web.Response:
    """POST: no further move begins."""
    turn = RequestContext(request)
    await approving.cancel(turn.store, _id(request), turn.caller)
    turn.services.wake()
    return await _shown(turn, _id(request))


def _id(request: web.Request) -> UUID:
    try:
        return UUID(request.match_info["plan"])
    except ValueError:
        raise approving.plan_not_found() from None


async def _placed(turn: RequestContext, question: PlanQuestion, host: int | None) -> PlanQuestion:
    """The question with its datacenter; ApiError for a place that does not exist."""
    async with turn.store.read() as c:
        if host is not None:
            row = await places.host(c, host)
            if row is None:
                raise ApiError(
                    ErrorKind.ABSENT,
                    "MACHINE-0",
                    "The machine does not exist",
                    field="links[machine]",
                )
            return msgspec.structs.replace(question, datacenter=row.datacenter_id)
        if await places.datacenter(c, question.datacenter) is None:
            raise ApiError(
                ErrorKind.ABSENT, "DC-0", "The datacenter does not exist", field="links[datacenter]"
            )
    return question


async def _shown(turn: RequestContext, id: UUID, *, created: bool = False) -> web.Response:
    async with turn.store.read() as c:
        one: StoredPlan | None = await plans.get(c, id)
        if one is None:
            raise approving.plan_not_found()
        body = shown(turn.links, one, await plans.moves(c, id))
    return turn.created("plan", body) if created else turn.ok("plan", body)
