"""Listings tell of many hosts at once, for people: candidates, verdicts, and why a refusal."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from scheduler.demand import Demand
from scheduler.disks import choose
from scheduler.inventory import Datastore, Host
from scheduler.placement import HostVerdict, Placement, Refusal
from scheduler.policy import FitPolicy, glad_of, score_of
from scheduler.reason import Lack, Reason
from scheduler.rulebook import objections
from scheduler.tally import NEAREST_MAX, Tally

if TYPE_CHECKING:
    from scheduler.fleet import Fleet

Listed = tuple[Host, Datastore | None, tuple[Reason, ...]]


def candidates(fleet: "Fleet", demand: Demand, policy: FitPolicy) -> tuple[Listed, ...]:
    """Every host with its datastore or its reasons: those that will do first, gladdest first.

    The first one is what `place` would choose. Asks the rules host by host.
    """
    listed = list(one_by_one(fleet, demand, policy))
    listed.sort(key=lambda each: bool(each[2]))
    return tuple(listed)


def one_by_one(fleet: "Fleet", demand: Demand, policy: FitPolicy) -> Iterator[Listed]:
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


def passed_over(
    fleet: "Fleet", demand: Demand, placement: Placement
) -> tuple[tuple[Lack, int], ...]:
    """How many gladder hosts will not do, by the first rule each fails."""
    counts: Counter[Lack] = Counter()
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
        tally = Tally(index, demand, fleet.around)
        patterns = list(tally.patterns())
        lasting = tally.lasting()
        named = sorted((demand.only or frozenset()) & index.section.slots.keys())
        asked = index.section.slots.keys() & {host for host, _ in demand.refused}
        told = sorted({*tally.nearest(), *named[:NEAREST_MAX], *asked, *told})
    found = tuple(_verdict(fleet, demand, host) for host in told)
    if strangers:
        patterns.append(((Lack.DATACENTER,), len(strangers)))
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
    glad = glad_of(policy, demand, index.short(policy))
    slots = sorted(range(len(section.ids)), key=lambda slot: (-glad(section, slot), slot))
    return [section.ids[slot] for slot in slots]


def _gladder(fleet: "Fleet", demand: Demand, placement: Placement, host: int) -> bool:
    index = fleet.index(demand.datacenter)
    assert index is not None
    slot = index.section.slots[host]
    policy = placement.policy
    glad = glad_of(policy, demand, index.short(policy))
    score = score_of(policy, glad(index.section, slot))
    return (-score, host) < (-placement.score, placement.host)


def _strangers(fleet: "Fleet", demand: Demand) -> list[int]:
    """Hosts the demand names although they are in another datacenter: told, never taken."""
    found = ((host, fleet.host(host)) for host in sorted(demand.only or frozenset()))
    return [host for host, row in found if row is not None and row.datacenter != demand.datacenter]
