"""A proposal becomes a running plan by approval: first its hosts are closed, then it may move."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

from gateway.caller import Caller
from gateway.denial import ApiError, ErrorKind
from gateway.events.event import Event, Severity, emit
from gateway.plans.propose import PlanQuestion
from gateway.store import plans
from gateway.store.capacity import ledger
from gateway.store.db.pool import Connection, Store
from gateway.store.plans import NewPlan, StoredPlan, Who
from gateway.store.rules import rule_set
from scheduler.plan.moves import Plan, from_mapping, needed, part

_KEPT = ("names", "begins", "ends", "makespan", "bound", "movedByOthers")


async def save(
    store: Store, question: PlanQuestion, found: Mapping[str, Any], caller: Caller
) -> UUID:
    """Keep what was worked out as a proposal."""
    plan = from_mapping(found["told"])
    new = NewPlan(
        uuid4(),
        question.kind,
        question.datacenter,
        question.host,
        plan,
        {name: found[name] for name in _KEPT},
        found["rules"],
        found["characters"],
        found["vms"],
        found["names"],
    )
    async with store.transaction() as c:
        await plans.create(c, new, initiator(caller))
        message = f"{question.kind} of {len(plan.moves)} moves, {len(plan.blocked)} VMs blocked"
        made = await plans.get(c, new.id)
        assert made is not None
        await emit_plan_event(c, made, "CREATE", message)
    return new.id


async def approve(
    store: Store, id: UUID, chosen: Sequence[int] | None, caller: Caller
) -> StoredPlan:
    """Let the chosen moves and those they need be made, None for all.

    Raises ApiError PLAN-1 for a plan that has ended, PLAN-2 for one that is out of date, PLAN-3
    while another runs.
    """
    async with store.transaction() as c:
        row = await _locked(c, id)
        plan = from_mapping(row.told["plan"])
        if any(not 0 <= n < len(plan.moves) for n in chosen or ()):
            raise ApiError(
                ErrorKind.INVALID,
                "400-BAD-REQUEST",
                "moves: the plan has no such move",
                field="moves",
            )
        wanted = needed(plan, range(len(plan.moves)) if chosen is None else chosen)
        if row.state == "PROPOSED":
            await _require_fresh(c, row)
            present = await _close(c, row, part(plan, wanted))
        else:
            present = row.characters
        if not await plans.run_by(c, id, present, initiator(caller)):
            raise ApiError(
                ErrorKind.CONFLICT, "PLAN-3", "Another plan of the datacenter is running"
            )
        states = {move.n: move.state for move in await plans.moves(c, id)}
        await plans.set_moves(c, id, [n for n in wanted if states[n] == "PROPOSED"], "APPROVED")
        running = await _locked(c, id)
        await emit_plan_event(
            c, running, "APPROVE", f"{len(wanted)} of {len(plan.moves)} moves approved"
        )
        return running


async def cancel(store: Store, id: UUID, caller: Caller) -> StoredPlan:
    """No further move begins; those that run come to their end. Raises ApiError PLAN-1."""
    async with store.transaction() as c:
        row = await _locked(c, id)
        await plans.set_state(c, id, "CANCELLED", f"cancelled by {caller.nick}")
        await emit_plan_event(c, row, "CANCEL", f"Plan cancelled by {caller.nick}")
        found = await plans.get(c, id)
        assert found is not None
        return found


async def _locked(c: Connection, id: UUID) -> StoredPlan:
    row = await plans.get(c, id, lock=True)
    if row is None:
        raise plan_not_found()
    if row.state not in ("PROPOSED", "RUNNING"):
        raise ApiError(
            ErrorKind.CONFLICT, "PLAN-1", f"The plan has ended ({row.state}); make a new one"
        )
    return row


async def _require_fresh(c: Connection, row: StoredPlan) -> None:
    """The rules and the hosts are those that the proposal was made for."""
    await rule_set.lock_exclusive(c)
    if await rule_set.lock_shared(c) != row.rule_set:
        raise ApiError(
            ErrorKind.CONFLICT, "PLAN-2", "The rules have changed since; make a new plan"
        )
    present = await plans.characters(c, [int(host) for host in row.characters])
    if present != row.characters:
        raise ApiError(
            ErrorKind.CONFLICT, "PLAN-2", "Hosts of the plan have changed since; make a new one"
        )


async def _close(c: Connection, row: StoredPlan, plan: Plan) -> dict[str, int]:
    """Close what is to be emptied, before anything moves; the hosts' characters then."""
    wanted = plan.closes if row.kind == "drain" else set(plan.closes) & set(plan.empties)
    closed = await plans.close(c, sorted(wanted))
    if closed:
        await ledger.refresh_limits(c, hosts=closed)
    for host in closed:
        await emit(
            c,
            Event(
                "MACHINE",
                "MODIFY",
                host,
                message=f"Host closed to new virtual machines by plan {row.id}",
                user=row.nick,
                details={"plan": str(row.id), "state": "NOT_MANAGED"},
            ),
        )
    return await plans.characters(c, [int(host) for host in row.characters])


def plan_not_found() -> ApiError:
    """There is no such plan."""
    return ApiError(ErrorKind.ABSENT, "PLAN-0", "The plan does not exist")


def initiator(caller: Caller) -> Who:
    """The caller as a plan remembers it."""
    return Who(caller.user_id, caller.enterprise_id, caller.nick)


async def emit_plan_event(
    c: Connection,
    row: StoredPlan,
    action: str,
    message: str,
    details: Mapping[str, Any] | None = None,
) -> None:
    """An event about a plan."""
    await emit(
        c,
        Event(
            "PLAN",
            action,
            row.id,
            message=message,
            severity=Severity.ERROR if action == "STOP" else Severity.INFO,
            user_id=row.user_id,
            user=row.nick,
            entity_name=row.kind,
            details=dict(details or {}),
        ),
    )
