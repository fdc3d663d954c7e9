"""Stranded VMs are those that no host would take if they were placed again from where they are.

Asking the fleet once for each VM is too slow, and seldom needed: most VMs could stay where they
are, VMs of one shape have one answer, and a VM that leaves frees room on its own host above all.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from uuid import UUID

from scheduler.fleet.fleet import Fleet
from scheduler.model.datastore_choice import tier_allows
from scheduler.model.demand import Demand
from scheduler.model.inventory import AggregateScope, Candidate, Datastore, Host, HostState
from scheduler.model.placement import Refusal
from scheduler.model.reason import ReasonCode
from scheduler.model.values import replace
from scheduler.rule_registry import first_lack
from scheduler.simulation.history_events import ReleaseScope
from scheduler.simulation.replay_fleet import ReplayFleet
from scheduler.snapshot.snapshot import InventorySnapshot, SnapshotHold, SnapshotVm, fleet

_NOBODY = UUID(int=0)
_SHARED = frozenset(
    {
        ReasonCode.STORAGE,
        ReasonCode.AGGREGATED_CPU,
        ReasonCode.AGGREGATED_MEMORY,
        ReasonCode.AGGREGATED_STORAGE,
    }
)
"""What a VM that leaves may cure on other hosts than its own."""


def stranded(cluster: InventorySnapshot, residents: Iterable[SnapshotVm]) -> Iterator[SnapshotVm]:
    """Those of the residents (all of them the cluster's) that would find no place."""
    at = _Places(cluster)
    answers: dict[Demand, Refusal | None] = {}
    for resident in residents:
        host = at.hosts.get(resident.host)
        if host is None or at.could_stay(resident, host):
            continue
        demand = demand_of(resident, host)
        shape = replace(demand, vm=_NOBODY)
        if shape not in answers:
            found = at.fleet.place(shape, at.fleet.rules.policy(shape.datacenter))
            answers[shape] = found if isinstance(found, Refusal) else None
        refusal = answers[shape]
        if refusal is None or at.takes_back(demand, resident, host):
            continue
        if not _hopeless(refusal) and at.placed_again(demand):
            continue
        yield resident


def demand_of(resident: SnapshotVm, host: Host) -> Demand:
    """What the resident would ask for, were it placed again in its datacenter."""
    return Demand(
        resident.vm,
        resident.cpu,
        resident.ram_mib,
        resident.disk_bytes,
        resident.type or host.type,
        host.datacenter,
        resident.network,
        enterprise=resident.enterprise,
        layer=resident.layer,
        tier=resident.tier,
    )


def _hopeless(refusal: Refusal) -> bool:
    """Whether every host lacks something that no other host's VM can cure by leaving."""
    return all(set(lacks) - _SHARED for lacks, _ in refusal.patterns)


class _Places:
    """The cluster by id, who is on each host, and a fleet."""

    def __init__(self, cluster: InventorySnapshot) -> None:
        self._cluster = cluster
        self.hosts = {host.id: host for host in cluster.hosts}
        self._datastores = {each.id: each for each in cluster.datastores}
        self._scopes = {(scope.kind, scope.id): scope for scope in cluster.scopes}
        self._rules = cluster.rules.row()
        booked: tuple[SnapshotVm | SnapshotHold, ...] = (*cluster.residents, *cluster.holds)
        self._tenants = Counter((each.host, each.enterprise) for each in booked)
        self._layers = Counter((each.host, each.layer) for each in booked)
        self._calm = {host.id: self._is_calm(host) for host in cluster.hosts}

    @cached_property
    def fleet(self) -> Fleet:
        """The cluster, nobody gone."""
        return fleet(self._cluster)

    @cached_property
    def lived(self) -> ReplayFleet:
        """The cluster, in which VMs can leave and come back."""
        return ReplayFleet(self._cluster, self._cluster.rules)

    def could_stay(self, resident: SnapshotVm, host: Host) -> bool:
        """Whether its own host would surely take it back; False is no answer yet."""
        datastore = self._datastores.get(resident.datastore)
        apart = self._rules.excluded.get(resident.enterprise or 0, frozenset())
        return (
            self._calm[host.id]
            and resident.layer is None
            and resident.type in ("", host.type)
            and (resident.network is None or resident.network in host.networks)
            and (host.reserved_for is None or host.reserved_for == resident.enterprise)
            and (
                resident.enterprise not in self._rules.restricted
                or host.reserved_for == resident.enterprise
            )
            and not (apart & host.enterprises)
            and datastore is not None
            and datastore.id in host.datastores
            and datastore.enabled
            and datastore.used_bytes <= datastore.limit_bytes
            and (
                (datastore.tier is None and resident.tier is None)
                or tier_allows(demand_of(resident, host), datastore)
            )
        )

    def takes_back(self, demand: Demand, resident: SnapshotVm, host: Host) -> bool:
        """Whether its own host takes it, once it has left."""
        if host.cpu_used > host.cpu_limit and demand.cpu > 0:
            return False
        if host.ram_used_mib > host.ram_limit_mib and demand.ram_mib > 0:
            return False
        tenant, layer = resident.enterprise, resident.layer
        others = host.enterprises
        if self._tenants[host.id, tenant] == 1:
            others -= {tenant}
        layers = host.layers - {layer} if self._layers[host.id, layer] == 1 else host.layers
        left = replace(
            host,
            cpu_used=host.cpu_used - demand.cpu,
            ram_used_mib=host.ram_used_mib - demand.ram_mib,
            enterprises=others,
            layers=layers,
        )
        scopes = [scope and _without(scope, demand) for scope in self._around(host)]
        cluster, rack, datacenter = scopes
        stores = tuple(self._seen(host, resident))
        at = Candidate(left, stores, rack, datacenter, cluster, self._rules)
        return first_lack(demand, at) is None

    def placed_again(self, demand: Demand) -> bool:
        """The slow, sure way: it leaves, asks, and comes back."""
        stays = self.lived.leave(demand.vm, ReleaseScope.ALL)
        found = self.lived.place(demand, self._rules.policy(demand.datacenter))
        for stay in stays:
            self.lived.enter(stay)
        return found is not None

    def _is_calm(self, host: Host) -> bool:
        """The host takes VMs, and neither it nor a sum that it is part of is over a limit."""
        return (
            host.state is HostState.MANAGED
            and host.reachable
            and host.cpu_used <= host.cpu_limit
            and host.ram_used_mib <= host.ram_limit_mib
            and all(scope is None or _within(scope) for scope in self._around(host))
        )

    def _around(self, host: Host) -> list[AggregateScope | None]:
        """The sums of the host's cluster, rack and datacenter."""
        ids = (("cluster", host.cluster), ("rack", host.rack), ("datacenter", host.datacenter))
        return [None if id is None else self._scopes.get((kind, id)) for kind, id in ids]

    def _seen(self, host: Host, resident: SnapshotVm) -> Iterator[Datastore]:
        for id in host.datastores:
            row = self._datastores.get(id)
            if row is not None and id == resident.datastore:
                yield replace(row, used_bytes=row.used_bytes - resident.disk_bytes)
            elif row is not None:
                yield row


def _without(scope: AggregateScope, demand: Demand) -> AggregateScope:
    return replace(
        scope,
        cpu_used=scope.cpu_used - demand.cpu,
        ram_used_mib=scope.ram_used_mib - demand.ram_mib,
        disk_used_bytes=scope.disk_used_bytes - demand.disk_bytes,
    )


def _within(scope: AggregateScope) -> bool:
    return (
        (scope.cpu_limit is None or scope.cpu_used <= scope.cpu_limit)
        and (scope.ram_limit_mib is None or scope.ram_used_mib <= scope.ram_limit_mib)
        and (scope.disk_limit_bytes is None or scope.disk_used_bytes <= scope.disk_limit_bytes)
    )
