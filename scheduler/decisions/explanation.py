"""Explanations turn answers into sentences for people and rows for programs; both say the same."""

from collections import Counter
from collections.abc import Callable
from typing import assert_never

from scheduler.model.datastore_choice import spare
from scheduler.model.demand import Demand
from scheduler.model.inventory import Datastore
from scheduler.model.placement import Placement, Refusal
from scheduler.model.reason import Reason, ReasonCode

NAMES_MAX = 20
"""Hosts named in a summary; the rows name all of them."""

Pattern = tuple[tuple[ReasonCode, ...], int]
"""What hosts lack, and how many lack just that."""
_TOPICS = {
    ReasonCode.DATACENTER: "in another datacenter",
    ReasonCode.NOT_ASKED: "not asked for",
    ReasonCode.REFUSED: "whose hypervisor refused it",
    ReasonCode.SAME_HOST: "running the VM already",
    ReasonCode.SAME_RACK: "in another rack",
    ReasonCode.SAME_HYPERVISOR: "with another hypervisor",
    ReasonCode.HYPERVISOR_TYPE: "of another hypervisor type",
    ReasonCode.HOST_STATE: "not MANAGED",
    ReasonCode.UNREACHABLE: "not reachable",
    ReasonCode.NETWORK: "without the network",
    ReasonCode.RESERVED: "reserved to another enterprise",
    ReasonCode.RESTRICTED: "not reserved to the enterprise",
    ReasonCode.EXCLUDED: "with VMs of an excluded enterprise",
    ReasonCode.LAYER: "with a VM of the same layer",
    ReasonCode.NO_DATASTORE: "without an enabled datastore",
    ReasonCode.TIER: "without a datastore of the tier",
    ReasonCode.CPU: "CPU",
    ReasonCode.MEMORY: "RAM",
    ReasonCode.STORAGE: "no datastore with enough free space",
    ReasonCode.AGGREGATED_CPU: "CPU of an aggregated element",
    ReasonCode.AGGREGATED_MEMORY: "RAM of an aggregated element",
    ReasonCode.AGGREGATED_STORAGE: "disk space of an aggregated element",
}


def summary(refusal: Refusal, *, names: bool = True) -> str:
    """What happened in a few sentences: how many candidates, what they lack, what was wanted;
    the candidates are named for who may know of hosts."""
    candidates = [each for each in refusal.patterns if all(lack.capacity for lack in each[0])]
    others = [each for each in refusal.patterns if each not in candidates]
    parts = [_oversubscribed(candidates), f"The VM requires {requirement(refusal.demand)}."]
    count = sum(number for _, number in candidates)
    if candidates and names:
        named = [each.name for each in refusal.verdicts if each.candidate]
        parts.append(f"{_plural(count, 'Candidate')}: {_listed(named, count)}.")
    if others:
        left = sum(number for _, number in others)
        parts.append(f"{left} {_plural(left, 'host')} could not be considered: {_tally(others)}.")
    refused = dict(refusal.demand.refused) if names else {}
    told = [
        f"{each.name} ({refused[each.host]})" for each in refusal.verdicts if each.host in refused
    ]
    if told:
        parts.append(f"Refused by the hypervisor of {', '.join(told)}.")
    known = {each.host for each in refusal.verdicts}
    unknown = sorted((refusal.demand.only or frozenset()) - known)
    if unknown:
        parts.append(f"Not known: host {_listed([str(each) for each in unknown], len(unknown))}.")
    return " ".join(parts)


def requirement(demand: Demand) -> str:
    """What a VM needs, as in "1 CPU -- 128 RAM (MiB) -- 10 GiB disk"."""
    return f"{demand.cpu} CPU -- {demand.ram_mib} RAM (MiB) -- {size(demand.disk_bytes)} disk"


def size(amount: int) -> str:
    """Bytes in the largest unit that says them exactly."""
    for unit, factor in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20)):
        if amount and amount % factor == 0:
            return f"{amount // factor} {unit}"
    return f"{amount} bytes"


def rows(refusal: Refusal) -> list[dict[str, object]]:
    """One row for each host told of, ready for JSON: its reasons with numbers, its datastores."""
    return [
        {
            "host": each.host,
            "name": each.name,
            "candidate": each.candidate,
            "reasons": [row(reason) for reason in each.reasons],
            "datastores": [_tried(datastore) for datastore in each.datastores],
        }
        for each in refusal.verdicts
    ]


def row(reason: Reason) -> dict[str, object]:
    """One reason, ready for JSON; amounts in virtual CPUs, MiB and bytes."""
    return {
        "lack": reason.lack.value,
        "wanted": reason.wanted,
        "spare": reason.spare,
        "limit": reason.limit,
        "shortfall": reason.shortfall,
        "rule": reason.rule,
        "where": reason.where,
        "lasting": reason.lasting,
        "sentence": sentence(reason),
    }


def decision(placement: Placement) -> dict[str, object]:
    """A placement, ready for JSON: what was chosen, and of which rows."""
    return {
        "host": placement.host,
        "datastore": placement.datastore,
        "policy": placement.policy.value,
        "score": placement.score,
        "seen": [
            {"kind": seen.kind, "id": seen.id, "generation": seen.generation}
            for seen in placement.seen
        ],
    }


def sentence(reason: Reason) -> str:
    """One reason in one sentence about the host."""
    match reason.lack:
        case ReasonCode.DATACENTER:
            return "It is in another datacenter."
        case ReasonCode.NOT_ASKED:
            return "It is not among the hosts asked for."
        case ReasonCode.REFUSED:
            return f"Its hypervisor refused the VM for want of capacity ({reason.spare})."
        case ReasonCode.SAME_HOST:
            return "The VM is on it already."
        case ReasonCode.SAME_RACK:
            return f"It is in rack {reason.spare}, and the VM in another."
        case ReasonCode.SAME_HYPERVISOR:
            return f"It is managed by {reason.spare}; the VM is managed by {reason.wanted}."
        case ReasonCode.HYPERVISOR_TYPE:
            return f"Its hypervisor runs {reason.spare} and the VM is {reason.wanted}."
        case ReasonCode.HOST_STATE:
            return f"It is {reason.spare}, and only a {reason.wanted} host takes VMs."
        case ReasonCode.UNREACHABLE:
            return "It is not reachable at present."
        case ReasonCode.NETWORK:
            return f"It does not map the network {reason.wanted}."
        case ReasonCode.RESERVED:
            return f"It is reserved to {reason.spare}."
        case ReasonCode.RESTRICTED:
            return f"It is not reserved to {reason.wanted}, which uses only hosts that are."
        case ReasonCode.EXCLUDED:
            return f"It has VMs of {reason.spare}, which an exclusion rule keeps apart."
        case ReasonCode.LAYER:
            return f"It has a VM of {reason.wanted}, whose VMs go to different hosts."
        case ReasonCode.TIER:
            tier = f"of tier {reason.wanted}" if reason.wanted else "without a tier of its own"
            return f"It sees no usable datastore {tier}."
        case ReasonCode.NO_DATASTORE:
            return "It sees no enabled datastore."
        case ReasonCode.CPU | ReasonCode.AGGREGATED_CPU:
            return _amounts("CPU", reason, str)
        case ReasonCode.MEMORY | ReasonCode.AGGREGATED_MEMORY:
            return _amounts("RAM", reason, _mib)
        case ReasonCode.STORAGE | ReasonCode.AGGREGATED_STORAGE:
            return _amounts("Disk space", reason, size)
        case _:
            assert_never(reason.lack)


def topic(lack: ReasonCode) -> str:
    """What a host with this lack is or is short of."""
    return _TOPICS[lack]


def _oversubscribed(candidates: list[Pattern]) -> str:
    if not candidates:
        return "No host is a candidate for the VM."
    lacks: Counter[ReasonCode] = Counter()
    for found, number in candidates:
        lacks.update(dict.fromkeys(found, number))
    told = ", ".join(f"{_TOPICS[lack]} on {lacks[lack]}" for lack in ReasonCode if lacks[lack])
    count = sum(number for _, number in candidates)
    if count == 1:
        return f"The only candidate host is oversubscribed by the current workload rules ({told})."
    return f"All {count} candidate hosts are oversubscribed by the current workload rules ({told})."


def _tally(others: list[Pattern]) -> str:
    """Each host counted once, by the first reason that has nothing to do with capacity."""
    lacks: Counter[ReasonCode] = Counter()
    for found, number in others:
        lacks[next(lack for lack in found if not lack.capacity)] += number
    return ", ".join(f"{lacks[lack]} {_TOPICS[lack]}" for lack in ReasonCode if lacks[lack])


def _listed(names: list[str], count: int) -> str:
    told = ", ".join(names[:NAMES_MAX])
    left = count - len(names[:NAMES_MAX])
    return told if left <= 0 else f"{told} and {left} more"


def _plural(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"


def _amounts(resource: str, reason: Reason, unit: Callable[[int], str]) -> str:
    wanted, spare, limit = (
        unit(each) if isinstance(each, int) else str(each)
        for each in (reason.wanted, reason.spare, reason.limit)
    )
    where = f" of {reason.where}" if reason.where else ""
    rule = reason.rule or "the physical amount"
    return f"{resource}{where}: {wanted} wanted, {spare} spare of {limit} (by {rule})."


def _mib(amount: int) -> str:
    return f"{amount} MiB"


def _tried(datastore: Datastore) -> dict[str, object]:
    return {
        "id": datastore.id,
        "name": datastore.name,
        "enabled": datastore.enabled,
        "spare": spare(datastore),
        "limit": datastore.limit_bytes,
        "rule": datastore.rule,
    }
