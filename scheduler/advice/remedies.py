"""Remedies: what would answer each reason of one host, several ways where there are several."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, product

from scheduler.advice import raise_limits
from scheduler.advice.changes import (
    AddCapacity,
    AdviceStep,
    AllowHost,
    AllowReach,
    Change,
    LeaveLayer,
    LiftExclusion,
    LiftReservation,
    LiftRestriction,
    ManageHost,
    MapNetwork,
    RaiseRule,
    ReconnectHost,
    ReserveHost,
    burden,
)
from scheduler.advice.disk_remedies import for_disks
from scheduler.advice.local_inventory import LocalInventory
from scheduler.model.arithmetic import fits
from scheduler.model.demand import Demand, RelocationScope
from scheduler.model.inventory import AggregateScope, Candidate, Host
from scheduler.model.own_bookings import holds_host, holds_scope
from scheduler.model.placement import HostVerdict
from scheduler.model.reason import ReasonCode

WAYS_MAX = 12
"""Combinations tried of one host."""
CHANGES_MAX = 5
"""Changes in one advice: more is no small thing to do."""
Bundle = tuple[Change, ...]
_DISKS = frozenset({ReasonCode.NO_DATASTORE, ReasonCode.TIER, ReasonCode.STORAGE})
_OWN = frozenset({ReasonCode.CPU, ReasonCode.MEMORY})
_RESERVATION = frozenset({ReasonCode.RESERVED, ReasonCode.RESTRICTED})
_SUMS = frozenset(
    {ReasonCode.AGGREGATED_CPU, ReasonCode.AGGREGATED_MEMORY, ReasonCode.AGGREGATED_STORAGE}
)


@dataclass(frozen=True, slots=True)
class RemedyProposal:
    """Changes that may make a host do; not tried yet."""

    host: int
    changes: Bundle


def for_host(scene: LocalInventory, verdict: HostVerdict) -> Iterator[RemedyProposal]:
    """Ways to answer all reasons of the host at once; none where one has no answer."""
    at = scene.candidate(scene.hosts[verdict.host])
    lacks = {reason.lack for reason in verdict.reasons}
    rest = lacks - _DISKS - _OWN - _SUMS - _RESERVATION
    parts = [_single(scene, at, lack) for lack in ReasonCode if lack in rest]
    if lacks & _RESERVATION:
        parts.append(_reservation(scene.demand, at))
    if lacks & _OWN:
        parts.append(_own(scene, at.host))
    if lacks & _DISKS:
        parts.append(for_disks(scene, at))
    if lacks & _SUMS:
        parts += [_sum(scene, scope) for scope in _full(scene, at)]
    for way in islice(product(*parts), WAYS_MAX):
        changes = merged(change for bundle in way for change in bundle)
        if 0 < len(changes) <= CHANGES_MAX:
            yield RemedyProposal(verdict.host, changes)


def merged(changes: Iterable[Change]) -> Bundle:
    """Changes in a steady order, edits of one new rule or place as one."""
    found: dict[tuple[object, ...], Change] = {}
    for change in changes:
        match change:
            case RaiseRule():
                where: tuple[object, ...] = ("rule", change.rule, change.level, change.element)
                known = found.get(where)
                found[where] = _joined(known, change) if isinstance(known, RaiseRule) else change
            case _:
                found[(type(change).__name__, repr(change))] = change
    return tuple(sorted(found.values(), key=lambda each: (burden(each), repr(each))))


def _joined(one: RaiseRule, other: RaiseRule) -> RaiseRule:
    return RaiseRule(
        one.rule,
        one.level,
        one.element,
        one.name,
        _higher(one.cpu, other.cpu),
        _higher(one.ram, other.ram),
        _higher(one.storage, other.storage),
        one.aggregated,
    )


def _higher(one: AdviceStep | None, other: AdviceStep | None) -> AdviceStep | None:
    if one is None or other is None:
        return one or other
    return one if one.after >= other.after else other


def _single(scene: LocalInventory, at: Candidate, lack: ReasonCode) -> list[Bundle]:
    """Answers to a reason that is no amount."""
    host, demand = at.host, scene.demand
    match lack:
        case ReasonCode.HOST_STATE:
            return [(ManageHost(host.id, host.name, host.state.value),)]
        case ReasonCode.UNREACHABLE:
            return [(ReconnectHost(host.id, host.name),)]
        case ReasonCode.NETWORK:
            return [(MapNetwork(host.id, host.name, demand.network or ""),)]
        case ReasonCode.NOT_ASKED:
            return [] if scene.around.fixed else [(AllowHost(host.id, host.name),)]
        case ReasonCode.SAME_RACK:
            return [(AllowReach(RelocationScope.DATACENTER),)] if scene.around.widens else []
        case ReasonCode.LAYER:
            return [(LeaveLayer(demand.layer or 0),)]
        case ReasonCode.EXCLUDED:
            return [_exclusions(demand, at)]
        case (
            ReasonCode.DATACENTER
            | ReasonCode.SAME_HOST
            | ReasonCode.SAME_HYPERVISOR
            | ReasonCode.HYPERVISOR_TYPE
        ):
            # Nobody's edit changes that.
            return []
        case ReasonCode.REFUSED:
            # What the hypervisor has left is known by trying only.
            return []
        case _:
            raise AssertionError(f"{lack} is answered elsewhere, or not at all")


def _reservation(demand: Demand, at: Candidate) -> list[Bundle]:
    """Answers to a reservation of the host for others, or of the enterprise to other hosts."""
    host, owner = at.host, demand.enterprise
    lift: Bundle = ()
    if host.reserved_for not in (None, owner):
        lift = (LiftReservation(host.id, host.name),)
    if owner is None or owner not in at.rules.restricted:
        return [lift]
    name = at.rules.enterprises.get(owner, f"enterprise {owner}")
    ways: list[Bundle] = [(*lift, LiftRestriction(owner, name))]
    if host.enterprises <= {owner}:
        ways.insert(0, (ReserveHost(host.id, host.name, owner, name),))
    return ways


def _exclusions(demand: Demand, at: Candidate) -> Bundle:
    """Each enterprise on the host that is kept apart from the demand's."""
    names, owner = at.rules.enterprises, demand.enterprise
    assert owner is not None
    name = names.get(owner, f"enterprise {owner}")
    apart = at.rules.excluded.get(owner, frozenset()) & at.host.enterprises
    return tuple(
        LiftExclusion(owner, name, each, names.get(each, f"enterprise {each}"))
        for each in sorted(apart)
    )


def _own(scene: LocalInventory, host: Host) -> list[Bundle]:
    """More virtual CPUs and MiB on the host itself."""
    demand = scene.demand
    own = holds_host(demand, host)
    cpu = 0 if own else _short(host.cpu_limit, host.cpu_used, demand.cpu)
    ram = 0 if own else _short(host.ram_limit_mib, host.ram_used_mib, demand.ram_mib)
    ways: list[Bundle] = [
        (each,)
        for each in raise_limits.for_host(
            scene, host, host.cpu_limit + cpu, host.ram_limit_mib + ram
        )
    ]
    return [*ways, (AddCapacity("host", host.id, host.name, cpu, ram),)]


def _full(scene: LocalInventory, at: Candidate) -> list[AggregateScope]:
    """The aggregated elements of the host that do not take the demand."""
    known = [each for each in (at.cluster, at.rack, at.datacenter) if each is not None]
    return [
        each
        for each in known
        if not holds_scope(scene.demand, each) and any(_shorts(scene.demand, each))
    ]


def _sum(scene: LocalInventory, scope: AggregateScope) -> list[Bundle]:
    """More of an aggregated element."""
    cpu, ram, disk = _shorts(scene.demand, scope)
    ways: list[Bundle] = []
    if not disk:
        limits = ((scope.cpu_limit or 0) + cpu, (scope.ram_limit_mib or 0) + ram)
        ways = [(each,) for each in raise_limits.for_scope(scene, scope, *limits)]
    return [*ways, (AddCapacity(scope.kind, scope.id, scope.name, cpu, ram, disk),)]


def _shorts(demand: Demand, scope: AggregateScope) -> tuple[int, int, int]:
    return (
        _short(scope.cpu_limit, scope.cpu_used, demand.cpu),
        _short(scope.ram_limit_mib, scope.ram_used_mib, demand.ram_mib),
        _short(scope.disk_limit_bytes, scope.disk_used_bytes, demand.disk_bytes),
    )


def _short(limit: int | None, used: int, wanted: int) -> int:
    """What is missing; 0 where it fits."""
    return 0 if limit is None or fits(limit, used, wanted) else used + wanted - limit
