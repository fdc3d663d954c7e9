"""An aggregated rule limits the memory promised over a whole cluster, rack or datacenter."""

from scheduler.bookings import holds_scope
from scheduler.capacity import fits
from scheduler.demand import Demand
from scheduler.inventory import Candidate, Scope
from scheduler.reason import Lack, Reason


def cluster_memory(demand: Demand, at: Candidate) -> Reason | None:
    """The cluster's sum, with this demand, stays within the cluster's limit (MiB)."""
    return _within(demand, at.cluster)


def rack_memory(demand: Demand, at: Candidate) -> Reason | None:
    """The rack's sum, with this demand, stays within the rack's limit (MiB)."""
    return _within(demand, at.rack)


def datacenter_memory(demand: Demand, at: Candidate) -> Reason | None:
    """The datacenter's sum, with this demand, stays within the datacenter's limit (MiB)."""
    return _within(demand, at.datacenter)


def _within(demand: Demand, scope: Scope | None) -> Reason | None:
    if scope is None or scope.ram_limit_mib is None:
        return None
    limit, used = scope.ram_limit_mib, scope.ram_used_mib
    if fits(limit, used, demand.ram_mib) or holds_scope(demand, scope):
        return None
    where = f"{scope.kind} {scope.name}"
    return Reason(Lack.AGGREGATED_MEMORY, demand.ram_mib, limit - used, limit, scope.rule, where)
