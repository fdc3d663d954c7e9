"""A decision on the wire: counts and dimensions for everybody, hosts for who may see hosts."""

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

from gateway.api.http.links import Linker
from gateway.placement.decision_log import miss_row
from gateway.store.capacity.decisions import StoredDecision
from scheduler.decisions.decision import Chosen, Decision, DecisionQuestion, RefusedDecision, decode
from scheduler.decisions.decision import to_mapping as mapping_of
from scheduler.decisions.decision_text import Names, render
from scheduler.decisions.explanation import requirement

MEDIA = "decision"
_OF_THE_REQUEST = frozenset({"SHRINK_DEMAND", "LEAVE_LAYER", "LEAVE_TIER"})


def decision_path(id: object) -> str:
    """The path of a decision below the API's root."""
    return f"admin/decisions/{id}"


def decision_link(links: Linker, id: object) -> dict[str, Any]:
    """A link to a decision."""
    return links.link("decision", decision_path(id), MEDIA)


def decision(links: Linker, stored: StoredDecision, names: Names, *, hosts: bool) -> dict[str, Any]:
    """One decision; without `hosts` it names no place, neither the chosen nor any other."""
    made = decode(stored.body)
    return {
        "id": str(stored.id),
        "timestamp": _moment(stored),
        "kind": stored.kind,
        "outcome": stored.outcome,
        "virtualMachine": stored.vm_name,
        "demand": _demand(made.question, hosts=hosts),
        "policy": made.question.policy.value,
        "share": None if made.question.share is None else list(made.question.share),
        "position": made.question.position,
        "rowsAhead": len(made.question.ahead),
        "ruleSet": made.question.rule_set,
        "scheduler": made.question.scheduler,
        "cut": list(made.cut),
        "chosen": _chosen(made.chosen, names) if made.chosen is not None and hosts else None,
        "refused": None if made.refused is None else _refused(made.refused, hosts=hosts),
        "advice": told_advice(stored.advice, hosts=hosts),
        "links": _links(links, stored, hosts=hosts),
    }


def decision_text(stored: StoredDecision, names: Names, *, hosts: bool) -> str:
    """The same as text for people."""
    what = stored.vm_name or "a place"
    head = f"Decision {stored.id} of {_moment(stored)}: {stored.kind} of {what}\n"
    advice = told_advice(stored.advice, hosts=hosts)
    lines = [f"  {one['sentence']}\n" for one in advice]
    tail = "Any one of these would make it fit:\n" if lines else ""
    return head + render(decode(stored.body), names, hosts=hosts) + tail + "".join(lines)


def told_advice(advice: Sequence[Mapping[str, Any]], *, hosts: bool) -> list[Mapping[str, Any]]:
    """The advice on a refusal; without `hosts` only what the request's owner can do, which names
    no place and nobody else's VM."""
    if hosts:
        return list(advice)
    return [
        {"changes": one["changes"], "sentence": one["sentence"]}
        for one in advice
        if all(change["kind"] in _OF_THE_REQUEST for change in one["changes"])
    ]


def places_named(stored: StoredDecision) -> tuple[set[int], set[int]]:
    """The hosts and datastores a decision mentions by their ids."""
    made = decode(stored.body)
    demand = made.question.demand
    hosts, datastores = set(demand.only or ()), set()
    hosts |= {host for host, _ in demand.refused}
    if demand.origin is not None:
        hosts.add(demand.origin.host)
        datastores.add(demand.origin.datastore)
    if made.chosen is not None:
        hosts.add(made.chosen.host)
        datastores.add(made.chosen.datastore)
    return hosts, datastores


def _moment(stored: StoredDecision) -> str:
    return stored.at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _demand(question: DecisionQuestion, *, hosts: bool) -> dict[str, Any]:
    demand = question.demand
    found = {
        "vm": str(demand.vm),
        "cpu": demand.cpu,
        "ramMib": demand.ram_mib,
        "diskBytes": demand.disk_bytes,
        "type": demand.type,
        "network": demand.network,
        "tier": demand.tier,
        "layer": demand.layer,
        "text": requirement(demand),
    }
    if hosts:
        whole = mapping_of(Decision(question))["question"]["demand"]
        found |= {"datacenter": demand.datacenter, "enterprise": demand.enterprise}
        found |= {"origin": whole["origin"], "only": whole["only"]}
        found["refused"] = [{"host": host, "said": said} for host, said in demand.refused]
    return found


def _chosen(chosen: Chosen, names: Names) -> dict[str, Any]:
    return {
        "host": chosen.host,
        "name": names.get(("host", chosen.host), ""),
        "datastore": chosen.datastore,
        "datastoreName": names.get(("datastore", chosen.datastore), ""),
        "score": chosen.score,
        "tieBreak": chosen.tie_break,
        "seen": [
            {"kind": row.kind, "id": row.id, "generation": row.generation, "cpu": row.cpu,
             "ramMib": row.ram_mib, "diskBytes": row.disk_bytes}
            for row in chosen.seen
        ],
    }  # fmt: skip


def _refused(refused: RefusedDecision, *, hosts: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "hosts": refused.hosts,
        "byFirstLack": _counts(refused.first),
        "byLack": _counts(refused.each),
        "lasting": refused.lasting,
        "summary": refused.summary,
    }
    if hosts:
        found["nearest"] = [miss_row(miss) for miss in refused.nearest]
    return found


def _counts(counts: Mapping[Any, int]) -> dict[str, int]:
    return {lack.value: count for lack, count in sorted(counts.items())}


def _links(links: Linker, stored: StoredDecision, *, hosts: bool) -> list[dict[str, Any]]:
    path = decision_path(stored.id)
    found = [
        links.link("self", path, MEDIA, title=str(stored.id)),
        links.link("text", path, "text/plain"),
    ]
    if hosts:
        found.append(links.link("table", f"{path}/table", "decisiontable"))
    if stored.virtualappliance_id is not None:
        vm = (
            f"cloud/virtualdatacenters/{stored.virtualdatacenter_id}/virtualappliances"
            f"/{stored.virtualappliance_id}/virtualmachines/{stored.vm_id}"
        )
        found.append(links.link("virtualmachine", vm, "virtualmachine", title=stored.vm_name))
        if stored.task_id is not None:
            found.append(links.link("task", f"{vm}/tasks/{stored.task_id}", "task"))
    if hosts and stored.hold_id is not None:
        found.append(links.link("hold", f"admin/holds/{stored.hold_id}", "hold"))
    if hosts and stored.rack_id is not None:
        at = f"admin/datacenters/{stored.datacenter_id}/racks/{stored.rack_id}"
        to = f"{at}/machines/{stored.host_id}"
        found.append(links.link("machine", to, "machine", title=stored.host_name))
    return found
