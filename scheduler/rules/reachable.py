"""A host that nobody reaches at present takes no VMs."""

from scheduler.model.demand import Demand
from scheduler.model.inventory import Candidate
from scheduler.model.reason import Reason, ReasonCode


def reachable(demand: Demand, at: Candidate) -> Reason | None:
    """The host was seen within its health window."""
    if at.host.reachable:
        return None
    return Reason(ReasonCode.UNREACHABLE)
