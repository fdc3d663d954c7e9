"""An aggregated rule limits the disk space promised over a whole cluster, rack or datacenter."""

from scheduler.model.arithmetic import fits
from scheduler.model.demand import Demand
from scheduler.model.inventory import AggregateScope, Candidate
from scheduler.model.own_bookings import holds_scope
from scheduler.model.reason import Reason, ReasonCode


def cluster_storage(demand: Demand, at: Candidate) -> Reason | None:
    """The cluster's sum, with this demand, stays within the cluster's limit (bytes)."""
    return _within(demand, at.cluster)


def rack_storage(demand: Demand, at: Candidate) -> Reason | None:
    """The rack's sum, with this demand, stays within the rack's limit (bytes)."""
    return _within(demand, at.rack)


def datacenter_storage(demand: Demand, at: Candidate) -> Reason | None:
    """The datacenter's sum, with this demand, stays within the datacenter's limit (bytes)."""
    return _within(demand, at.datacenter)


def _within(demand: Demand, scope: AggregateScope | None) -> Reason | None:
    if scope is None or scope.disk_limit_bytes is None:
        return None
    limit, used = scope.disk_limit_bytes, scope.disk_used_bytes
    if fits(limit, used, demand.disk_bytes) or holds_scope(demand, scope):
        return None
    where = f"{scope.kind} {scope.name}"
    return Reason(
        ReasonCode.AGGREGATED_STORAGE, demand.disk_bytes, limit - used, limit, scope.rule, where
    )
