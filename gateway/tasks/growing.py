"""A VM that may not grow where it is: the ledger's own refusal, in the scheduler's words."""

from collections import Counter
from collections.abc import Sequence

from gateway.store import feed, rule_set
from gateway.store.counting import Booked
from gateway.store.ledger import Row
from gateway.store.pool import Connection
from gateway.tasks.demanding import demand_of
from gateway.tasks.steps import Situation
from scheduler.decision import LOCKED_ROWS, Decision, Miss, Question, Refused
from scheduler.explanation import requirement
from scheduler.fit_policy import FitPolicy
from scheduler.reason import Lack, Reason
from scheduler.values import replace


async def refused_growth(
    c: Connection, at: Situation, booked: Booked, full: Sequence[Row]
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
    question = Question(demand, FitPolicy.PROGRESSIVE, head, await rule_set.hold(c))
    reasons = []
    for row in full:
        cpu_rule, ram_rule = await rule_set.named(c, row.kind, row.id)
        host = row.kind == "host"
        where = "" if host else f"{row.kind} {row.id}"
        amounts = (
            (Lack.CPU if host else Lack.AGGREGATED_CPU, demand.cpu, row.cpu_limit, row.cpu_used,
             cpu_rule),
            (Lack.MEMORY if host else Lack.AGGREGATED_MEMORY, demand.ram_mib, row.ram_limit,
             row.ram_used, ram_rule),
        )  # fmt: skip
        reasons += [
            Reason(lack, wanted, limit - used, limit, rule, where)
            for lack, wanted, limit, used, rule in amounts
            if limit is not None and wanted > 0 and used + wanted > limit
        ]
    lacks = Counter(reason.lack for reason in reasons)
    refused = Refused(
        hosts=1,
        first={reasons[0].lack: 1},
        each=dict.fromkeys(lacks, 1),
        nearest=(Miss(booked.host_id, at.vm.host or "", tuple(reasons)),),
        lasting=any(reason.lasting for reason in reasons),
        summary=f"It cannot grow where it is by {requirement(demand)}.",
    )
    return Decision(question, refused=refused, cut=(LOCKED_ROWS,))
