"""A VM that may not grow where it is: the ledger's own refusal, in the scheduler's words."""

from collections import Counter
from collections.abc import Sequence

from gateway.placement.demand import demand_of
from gateway.store.capacity.booking_deltas import Booked
from gateway.store.capacity.ledger import Row
from gateway.store.db.pool import Connection
from gateway.store.feed import feed
from gateway.store.rules import rule_set
from gateway.tasks.step_actions import StepContext
from scheduler.decisions.decision import (
    LOCKED_ROWS,
    Decision,
    DecisionQuestion,
    NearMiss,
    RefusedDecision,
)
from scheduler.decisions.explanation import requirement
from scheduler.model.fit_policy import FitPolicy
from scheduler.model.reason import Reason, ReasonCode
from scheduler.model.values import replace


async def refused_growth(
    c: Connection, at: StepContext, booked: Booked, full: Sequence[Row]
) -> Decision:
    """The refusal that these locked rows, which have no room for the growth, stand for."""
    payload = at.task.payload
    demand = replace(
        demand_of(at.vm, only=frozenset({booked.host_id})),
        cpu=max(0, int(payload.get("cpu", booked.cpu)) - booked.cpu),
        ram_mib=max(0, int(payload.get("ram_mib", booked.ram_mib)) - booked.ram_mib),
        disk_bytes=0,
    )
    head = await feed.head(c)
    question = DecisionQuestion(demand, FitPolicy.PROGRESSIVE, head, await rule_set.lock_shared(c))
    reasons = []
    for row in full:
        cpu_rule, ram_rule = await rule_set.named(c, row.kind, row.id)
        host = row.kind == "host"
        where = "" if host else f"{row.kind} {row.id}"
        amounts = (
            (ReasonCode.CPU if host else ReasonCode.AGGREGATED_CPU,
             demand.cpu, row.cpu_limit, row.cpu_used, cpu_rule),
            (ReasonCode.MEMORY if host else ReasonCode.AGGREGATED_MEMORY,
             demand.ram_mib, row.ram_limit, row.ram_used, ram_rule),
        )  # fmt: skip
        reasons += [
            Reason(lack, wanted, limit - used, limit, rule, where)
            for lack, wanted, limit, used, rule in amounts
            if limit is not None and wanted > 0 and used + wanted > limit
        ]
    lacks = Counter(reason.lack for reason in reasons)
    refused = RefusedDecision(
        hosts=1,
        first={reasons[0].lack: 1},
        each=dict.fromkeys(lacks, 1),
        nearest=(NearMiss(booked.host_id, at.vm.host or "", tuple(reasons)),),
        lasting=any(reason.lasting for reason in reasons),
        summary=f"It cannot grow where it is by {requirement(demand)}.",
    )
    return Decision(question, refused=refused, cut=(LOCKED_ROWS,))
