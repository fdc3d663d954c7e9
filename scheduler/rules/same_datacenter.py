"""A host in another datacenter is no candidate, even when it is asked for by name."""

from scheduler.model.demand import Demand
from scheduler.model.inventory import Candidate
from scheduler.model.reason import Reason, ReasonCode


def same_datacenter(demand: Demand, at: Candidate) -> Reason | None:
    """The host is in the datacenter of the VM."""
    if at.host.datacenter == demand.datacenter:
        return None
    return Reason(ReasonCode.DATACENTER)
