"""The vicinity of a refusal: of the whole fleet, the few hosts where something may be changed.

It is small enough to be sent to another process. What is placed among these hosts would be placed
in the whole fleet too; hosts that are left out can only hide advice, never make it wrong.
"""

import numpy as np

from scheduler.advice.local_inventory import AdviceContext, LocalInventory, Total, elements
from scheduler.decisions.near_misses import nearest
from scheduler.fleet.fleet import Fleet
from scheduler.fleet.refusal_stats import RefusalStatistics
from scheduler.fleet.usage_ledger import Key
from scheduler.model.demand import RelocationScope
from scheduler.model.fit_policy import FitPolicy
from scheduler.model.inventory import Datastore, Host, HostState
from scheduler.model.placement import HostVerdict, Refusal
from scheduler.model.reason import ReasonCode
from scheduler.rule_registry import objections

FEW = 3
"""Told misses that something can be changed for; with fewer, others are looked for."""
ALIKE_MAX = 4
"""Hosts taken that lack just the same."""
MISSES_MAX = 32
"""Hosts looked at for what to change."""
CROWDED_MAX = 5
"""Hosts of which VMs may be moved away."""
TARGETS_MAX = 8
"""Hosts considered for what is moved from one of them, for each of CPU and RAM."""
ATTACHABLE_MAX = 4
"""Shared datastores that none of the hosts need see."""
_NEVER = frozenset({
    ReasonCode.DATACENTER, ReasonCode.REFUSED, ReasonCode.SAME_HOST, ReasonCode.SAME_HYPERVISOR,
    ReasonCode.HYPERVISOR_TYPE,
})  # fmt: skip
"""What no change answers."""
_DISKS = frozenset({ReasonCode.NO_DATASTORE, ReasonCode.TIER, ReasonCode.STORAGE})


def misses(fleet: Fleet, refusal: Refusal) -> tuple[HostVerdict, ...]:
    """The nearest misses that something can be changed for; those told of, if there are a few."""
    able = [each for each in refusal.verdicts if _changeable(each)]
    if len(able) < FEW and refusal.hosts > len(refusal.verdicts):
        known = {each.host: each for each in able}
        able = list({**_varied(fleet, refusal), **known}.values())
    return tuple(nearest(able, MISSES_MAX))


def vicinity(
    fleet: Fleet, refusal: Refusal, policy: FitPolicy, reach: RelocationScope = RelocationScope.RACK
) -> tuple[LocalInventory, tuple[HostVerdict, ...]]:
    """The rows of the misses and of hosts that VMs there may be moved to, and the misses."""
    found = misses(fleet, refusal)
    hosts = {each.host: fleet.candidate(each.host) for each in found}
    crowded = [each for each in found if not any(reason.lasting for reason in each.reasons)]
    for each in crowded[:CROWDED_MAX]:
        for target in _targets(fleet, hosts[each.host].host, reach):
            hosts.setdefault(target, fleet.candidate(target))
    stores = {store.id: store for at in hosts.values() for store in at.datastores}
    if any(reason.lack in _DISKS for each in found for reason in each.reasons):
        stores |= {store.id: store for store in _attachable(fleet, refusal)}
    scopes = {
        (scope.kind, scope.id): scope
        for at in hosts.values()
        for scope in (at.rack, at.datacenter, at.cluster)
        if scope is not None
    }
    rows = {id: at.host for id, at in hosts.items()}
    known = AdviceContext(totals=_totals(fleet, refusal, set(scopes)), reach=reach)
    return LocalInventory(refusal.demand, policy, rows, stores, scopes, fleet.rules, known), found


def _changeable(verdict: HostVerdict) -> bool:
    return not any(reason.lack in _NEVER for reason in verdict.reasons)


def _varied(fleet: Fleet, refusal: Refusal) -> dict[int, HostVerdict]:
    """A few hosts of each pattern, those that lack fewer things first."""
    demand = refusal.demand
    index = fleet.index(demand.datacenter)
    assert index is not None
    bits = RefusalStatistics(index, demand, fleet.around).bits
    patterns, inverse = np.unique(bits, return_inverse=True)
    order = sorted(range(len(patterns)), key=lambda each: int(patterns[each]).bit_count())
    found: dict[int, HostVerdict] = {}
    for pattern in order:
        for slot in (inverse == pattern).nonzero()[0][:ALIKE_MAX].tolist():
            at = fleet.candidate(index.section.ids[slot])
            told = HostVerdict(at.host.id, at.host.name, objections(demand, at), at.datastores)
            if _changeable(told):
                found[told.host] = told
        if len(found) >= MISSES_MAX:
            break
    return found


def _targets(fleet: Fleet, host: Host, reach: RelocationScope) -> set[int]:
    """Hosts with much room where VMs of this one may go."""
    index = fleet.index(host.datacenter)
    assert index is not None
    section = index.section
    near = np.ones(len(section.ids), bool)
    if reach is RelocationScope.RACK:
        near = section.rack.array == host.rack
    alike = [
        one.type == host.type and one.state is HostState.MANAGED and one.reachable
        for one in section.profile.hosts
    ]
    near &= np.array(alike, bool)[section.profile.array]
    slots = near.nonzero()[0]
    found: set[int] = set()
    for column in (section.cpu.array, section.ram.array):
        free = column[slots]
        if len(free) > TARGETS_MAX:
            least = np.partition(free, len(free) - TARGETS_MAX)[len(free) - TARGETS_MAX]
            roomy = slots[free >= least][:TARGETS_MAX]
        else:
            roomy = slots
        found |= {section.ids[slot] for slot in roomy.tolist()}
    return found - {host.id}


def _attachable(fleet: Fleet, refusal: Refusal) -> list[Datastore]:
    """Shared datastores of the datacenter with much room."""
    index = fleet.index(refusal.demand.datacenter)
    entries = [] if index is None else list(index.stores.entries.values())
    rows = [entry.row for entry in entries if isinstance(entry.row, Datastore)]
    shared = [each for each in rows if each.shared and each.enabled]
    local = [each.id for each in shared if each.datacenter == refusal.demand.datacenter]
    present = [row for row in (fleet.datastore(each) for each in local) if row is not None]
    present.sort(key=lambda each: (each.used_bytes - each.limit_bytes, each.id))
    return present[:ATTACHABLE_MAX]


def _totals(fleet: Fleet, refusal: Refusal, scopes: set[Key]) -> tuple[Total, ...]:
    """Physical CPUs and MiB of these elements, over all their hosts."""
    index = fleet.index(refusal.demand.datacenter)
    if index is None or not scopes:
        return ()
    cpus, memory = dict.fromkeys(scopes, 0), dict.fromkeys(scopes, 0)
    for entry in index.section.entries:
        host = entry.row
        assert isinstance(host, Host)
        for key in elements(host):
            if key in scopes:
                cpus[key] += host.cpus
                memory[key] += host.memory_mib
    return tuple(Total(*key, cpus[key], memory[key]) for key in sorted(scopes))
