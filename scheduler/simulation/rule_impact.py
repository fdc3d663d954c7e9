"""The effect of other rules on the present inventory: who is over, what room is won and lost.

Nothing is ever evicted by a rule; what is over its limit only takes no more.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from scheduler.model.datastore_choice import spare
from scheduler.model.inventory import HostState
from scheduler.model.limits import Rules
from scheduler.model.reason import ReasonCode
from scheduler.simulation.unplaceable_vms import stranded
from scheduler.snapshot.snapshot import InventorySnapshot

TOLD_MAX = 1000
"""Rows and VMs told one by one; all are counted."""


@dataclass(frozen=True, slots=True)
class OverLimit:
    """A row with more promised than the rules would allow, and it was not so before."""

    kind: str
    id: int
    name: str
    lack: ReasonCode
    used: int
    limit: int
    rule: str


@dataclass(frozen=True, slots=True)
class Headroom:
    """What is free on the hosts that take VMs, and on enabled datastores: vCPUs, MiB, bytes."""

    cpu: int = 0
    ram_mib: int = 0
    disk_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Stranded:
    """A VM that no host would take were it placed again, and one would under the present rules."""

    vm: UUID
    name: str
    host: int


@dataclass(frozen=True, slots=True)
class RuleImpact:
    """Lists are cut at TOLD_MAX; the counts are of all."""

    over: tuple[OverLimit, ...]
    over_count: int
    relieved_count: int
    before: Headroom
    after: Headroom
    stranded: tuple[Stranded, ...]
    stranded_count: int


def effect(cluster: InventorySnapshot, rules: Rules) -> RuleImpact:
    """What the rules would do to the cluster as it is."""
    would = cluster.under(rules)
    was = {(each.kind, each.id, each.lack): each for each in _overs(cluster)}
    now = {(each.kind, each.id, each.lack): each for each in _overs(would)}
    newly = [over for key, over in now.items() if key not in was]
    lost = list(stranded(would, would.residents))
    already = {resident.vm for resident in stranded(cluster, lost)}
    left = [Stranded(each.vm, each.name, each.host) for each in lost if each.vm not in already]
    return RuleImpact(
        over=tuple(newly[:TOLD_MAX]),
        over_count=len(newly),
        relieved_count=sum(key not in now for key in was),
        before=_headroom(cluster),
        after=_headroom(would),
        stranded=tuple(left[:TOLD_MAX]),
        stranded_count=len(left),
    )


def _overs(cluster: InventorySnapshot) -> Iterator[OverLimit]:
    for host in cluster.hosts:
        named = ("host", host.id, host.name)
        if host.cpu_used > host.cpu_limit:
            yield OverLimit(*named, ReasonCode.CPU, host.cpu_used, host.cpu_limit, host.cpu_rule)
        if host.ram_used_mib > host.ram_limit_mib:
            yield OverLimit(
                *named, ReasonCode.MEMORY, host.ram_used_mib, host.ram_limit_mib, host.ram_rule
            )
    for row in cluster.datastores:
        if row.used_bytes > row.limit_bytes:
            named = ("datastore", row.id, row.name)
            yield OverLimit(*named, ReasonCode.STORAGE, row.used_bytes, row.limit_bytes, row.rule)
    for scope in cluster.scopes:
        named = (scope.kind, scope.id, scope.name)
        for lack, used, limit in (
            (ReasonCode.AGGREGATED_CPU, scope.cpu_used, scope.cpu_limit),
            (ReasonCode.AGGREGATED_MEMORY, scope.ram_used_mib, scope.ram_limit_mib),
            (ReasonCode.AGGREGATED_STORAGE, scope.disk_used_bytes, scope.disk_limit_bytes),
        ):
            if limit is not None and used > limit:
                yield OverLimit(*named, lack, used, limit, scope.rule)


def _headroom(cluster: InventorySnapshot) -> Headroom:
    open_hosts = [h for h in cluster.hosts if h.state is HostState.MANAGED and h.reachable]
    return Headroom(
        sum(max(0, host.cpu_limit - host.cpu_used) for host in open_hosts),
        sum(max(0, host.ram_limit_mib - host.ram_used_mib) for host in open_hosts),
        sum(max(0, spare(each)) for each in cluster.datastores if each.enabled),
    )
