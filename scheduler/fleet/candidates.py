"""Listings tell of many hosts at once, for people: candidates, verdicts, and why a refusal."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from scheduler.fleet.ranking import FitPolicy, rank_key, score_from_rank
from scheduler.fleet.refusal_stats import NEAREST_MAX, RefusalStatistics
from scheduler.model.datastore_choice import choose
from scheduler.model.demand import Demand
from scheduler.model.inventory import Datastore, Host
from scheduler.model.placement import HostVerdict, Placement, Refusal
from scheduler.model.reason import Reason, ReasonCode
from scheduler.rule_registry import objections

if TYPE_CHECKING:
    from scheduler.fleet.fleet import Fleet

RankedCandidate = tuple[Host, Datastore | None, tuple[Reason, ...]]


def candidates(fleet: "Fleet", demand: Demand, policy: FitPolicy) -> tuple[RankedCandidate, ...]:
    """Every host with its datastore or its reasons: those that will do first, gladdest first.

    The first one is what `place` would choose. Asks the rules host by host.
    """
    listed = list(iter_candidates(fleet, demand, policy))
    listed.sort(key=lambda each: bool(each[2]))
    return tuple(listed)


def iter_candidates(fleet: "Fleet", demand: Demand, policy: FitPolicy) -> Iterator[RankedCandidate]:
    """Every host with its datastore or its reasons, gladdest first; asked as it is its turn.

    A host that has left meanwhile is left out.
    """
    for host in (*_ordered(fleet, demand, policy), *_strangers(fleet, demand)):
        if fleet.host(host) is not None:
            at = fleet.candidate(host)
            yield at.host, choose(demand, at), objections(demand, at)


def verdicts(fleet: "Fleet", demand: Demand) -> tuple[HostVerdict, ...]:
    """Every host with every reason against it, by id; the whole table, host by host."""
    index = fleet.index(demand.datacenter)
    local = () if index is None else index.section.members()
    hosts = sorted((*local, *_strangers(fleet, demand)))
    return tuple(_verdict(fleet, demand, host) for host in hosts)


def better_hosts_rejected(
    fleet: "Fleet", demand: Demand, placement: Placement
) -> tuple[tuple[ReasonCode, int], ...]:
    """How many gladder hosts will not do, by the first rule each fails."""
    counts: Counter[ReasonCode] = Counter()
    for host in _ordered(fleet, demand, placement.policy):
        if host == placement.host or not _gladder(fleet, demand, placement, host):
            break
        reasons = objections(demand, fleet.candidate(host))
        if reasons:
            counts[reasons[0].lack] += 1
    return tuple(sorted(counts.items()))


def refuse(fleet: "Fleet", demand: Demand) -> Refusal:
    """Why no host will do: all counted, the nearest told in full."""
    strangers = _strangers(fleet, demand)
    told, patterns, lasting = strangers[:NEAREST_MAX], [], True
    index = fleet.index(demand.datacenter)
    if index is not None:
        index.section.ready()
        tally = RefusalStatistics(index, demand, fleet.around)
        patterns = list(tally.patterns())
        lasting = tally.lasting()
        named = sorted((demand.only or frozenset()) & index.section.slots.keys())
        asked = index.section.slots.keys() & {host for host, _ in demand.refused}
        told = sorted({*tally.nearest(), *named[:NEAREST_MAX], *asked, *told})
    found = tuple(_verdict(fleet, demand, host) for host in told)
    if strangers:
        patterns.append(((ReasonCode.DATACENTER,), len(strangers)))
    return Refusal(found, demand, tuple(patterns), lasting)


def _verdict(fleet: "Fleet", demand: Demand, host: int) -> HostVerdict:
    at = fleet.candidate(host)
    return HostVerdict(host, at.host.name, objections(demand, at), at.datastores)


def _ordered(fleet: "Fleet", demand: Demand, policy: FitPolicy) -> list[int]:
    """The hosts of the datacenter, gladdest first."""
    index = fleet.index(demand.datacenter)
    if index is None:
        return []
    section = index.section
    section.ready()
    glad = rank_key(policy, demand, index.short(policy))
    slots = sorted(range(len(section.ids)), key=lambda slot: (-glad(section, slot), slot))
    return [section.ids[slot] for slot in slots]


def _gladder(fleet: "Fleet", demand: Demand, placement: Placement, host: int) -> bool:
    index = fleet.index(demand.datacenter)
    assert index is not None
    slot = index.section.slots[host]
    policy = placement.policy
    glad = rank_key(policy, demand, index.short(policy))
    score = score_from_rank(policy, glad(index.section, slot))
    return (-score, host) < (-placement.score, placement.host)


def _strangers(fleet: "Fleet", demand: Demand) -> list[int]:
    """Hosts the demand names although they are in another datacenter: told, never taken."""
    found = ((host, fleet.host(host)) for host in sorted(demand.only or frozenset()))
    return [host for host, row in found if row is not None and row.datacenter != demand.datacenter]
