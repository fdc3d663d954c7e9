"""An aggregated rule limits the memory promised over a whole cluster, rack or datacenter."""

from scheduler.model.arithmetic import fits
from scheduler.model.demand import Demand
from scheduler.model.inventory import AggregateScope, Candidate
from scheduler.model.own_bookings import holds_scope
from scheduler.model.reason import Reason, ReasonCode


def cluster_memory(demand: Demand, at: Candidate) -> Reason | None:
    """The cluster's sum, with this demand, stays within the cluster's limit (MiB)."""
    return _within(demand, at.cluster)


def rack_memory(demand: Demand, at: Candidate) -> Reason | None:
    """The rack's sum, with this demand, stays within the rack's limit (MiB)."""
    return _within(demand, at.rack)


def datacenter_memory(demand: Demand, at: Candidate) -> Reason | None:
    """The datacenter's sum, with this demand, stays within the datacenter's limit (MiB)."""
    return _within(demand, at.datacenter)


def _within(demand: Demand, scope: AggregateScope | None) -> Reason | None:
    if scope is None or scope.ram_limit_mib is None:
        return None
    limit, used = scope.ram_limit_mib, scope.ram_used_mib
    if fits(limit, used, demand.ram_mib) or holds_scope(demand, scope):
        return None
    where = f"{scope.kind} {scope.name}"
    return Reason(
        ReasonCode.AGGREGATED_MEMORY, demand.ram_mib, limit - used, limit, scope.rule, where
    )
