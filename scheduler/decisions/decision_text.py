"""A decision as text for people: what was asked, what came of it, and of which rows."""

from collections.abc import Mapping

from scheduler.decisions.decision import Chosen, Decision, RefusedDecision
from scheduler.decisions.explanation import requirement, sentence, topic
from scheduler.model.arithmetic import WHOLE
from scheduler.model.demand import Demand
from scheduler.model.host_partition import contains
from scheduler.model.reason import ReasonCode

Names = Mapping[tuple[str, int], str]
"""Names by kind ("host", "datastore") and id; what has none is told by its id."""


def render(decision: Decision, names: Names | None = None, *, hosts: bool = True) -> str:
    """The whole decision; without `hosts` it tells counts and amounts wanted, and no place."""
    lines = [_asked(decision, names or {}, hosts)]
    if decision.chosen is not None:
        lines += _chosen(decision, decision.chosen, names or {}, hosts)
    if decision.refused is not None:
        lines += _refused(decision.refused, hosts)
    question = decision.question
    lines.append(
        f"Decided by scheduler {question.scheduler} under rule set {question.rule_set} at "
        f"position {question.position} of the feed, {len(question.ahead)} rows ahead of it."
    )
    if decision.cut:
        lines.append(f"Not kept: {', '.join(decision.cut)}.")
    return "\n".join(lines) + "\n"


def _asked(decision: Decision, names: Names, hosts: bool) -> str:
    demand = decision.question.demand
    what = f"Asked for VM {demand.vm}: {requirement(demand)}, {_particulars(demand)}"
    if hosts and demand.origin is not None:
        what += f", moving from {_named(names, 'host', demand.origin.host)}"
    if hosts and demand.only is not None:
        listed = ", ".join(_named(names, "host", each) for each in sorted(demand.only))
        what += f", to {listed} only"
    if hosts:
        for host, said in demand.refused:
            what += f", not on {_named(names, 'host', host)}, which refused it ({said})"
    return f"{what}; policy {decision.question.policy}."


def _particulars(demand: Demand) -> str:
    parts = [f"type {demand.type}"]
    for word in ("network", "tier", "layer", "enterprise"):
        value = getattr(demand, word)
        if value is not None:
            parts.append(f"{word} {value}")
    return ", ".join(parts)


def _chosen(decision: Decision, chosen: Chosen, names: Names, hosts: bool) -> list[str]:
    if not hosts:
        return ["Placed."]
    share = decision.question.share
    tried = "" if share is None else f", part {share.part} of {share.parts} of the hosts first"
    if share is not None and not contains(chosen.host, share):
        tried += ", where none would do"
    lines = [
        f"Placed on {_named(names, 'host', chosen.host)} with disks on "
        f"{_named(names, 'datastore', chosen.datastore)}: score {chosen.score / WHOLE:.6f}, of "
        f"equal scores the {chosen.tie_break}{tried}."
    ]
    lines += [
        f"  {_named(names, row.kind, row.id)}, generation {row.generation}: {row.cpu} CPU, "
        f"{row.ram_mib} MiB RAM, {row.disk_bytes} bytes more"
        for row in chosen.seen
    ]
    return lines


def _refused(refused: RefusedDecision, hosts: bool) -> list[str]:
    lines = [f"Refused: {refused.summary}"]
    if refused.lasting:
        lines.append("Waiting will not help: each host lacks something that does not pass.")
    lines.append(f"Of {refused.hosts} hosts, by the first rule failed (and by all):")
    lines += [
        f"  {topic(lack)}: {refused.first.get(lack, 0)} ({refused.each[lack]})"
        for lack in ReasonCode
        if lack in refused.each
    ]
    if hosts and refused.nearest:
        lines.append("Nearest to fit:")
        for miss in refused.nearest:
            lines.append(f"  {miss.name} (host {miss.host}):")
            lines += [f"    {sentence(reason)}" for reason in miss.reasons]
    return lines


def _named(names: Names, kind: str, id: int) -> str:
    name = names.get((kind, id))
    return f"{kind} {id}" if name is None else f"{kind} {name}"
