"""An aggregated rule limits the virtual CPUs promised over a whole cluster, rack or datacenter."""

from scheduler.model.arithmetic import fits
from scheduler.model.demand import Demand
from scheduler.model.inventory import AggregateScope, Candidate
from scheduler.model.own_bookings import holds_scope
from scheduler.model.reason import Reason, ReasonCode


def cluster_cpu(demand: Demand, at: Candidate) -> Reason | None:
    """The cluster's sum, with this demand, stays within the cluster's limit."""
    return _within(demand, at.cluster)


def rack_cpu(demand: Demand, at: Candidate) -> Reason | None:
    """The rack's sum, with this demand, stays within the rack's limit."""
    return _within(demand, at.rack)


def datacenter_cpu(demand: Demand, at: Candidate) -> Reason | None:
    """The datacenter's sum, with this demand, stays within the datacenter's limit."""
    return _within(demand, at.datacenter)


def _within(demand: Demand, scope: AggregateScope | None) -> Reason | None:
    if scope is None or scope.cpu_limit is None:
        return None
    limit, used = scope.cpu_limit, scope.cpu_used
    if fits(limit, used, demand.cpu) or holds_scope(demand, scope):
        return None
    where = f"{scope.kind} {scope.name}"
    return Reason(ReasonCode.AGGREGATED_CPU, demand.cpu, limit - used, limit, scope.rule, where)
