"""A host that nobody reaches at present takes no VMs."""

from scheduler.demand import Demand
from scheduler.inventory import Candidate
from scheduler.reason import Lack, Reason


def reachable(demand: Demand, at: Candidate) -> Reason | None:
    """The host was seen within its health window."""
    if at.host.reachable:
        return None
    return Reason(Lack.UNREACHABLE)
