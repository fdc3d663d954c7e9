"""A relocation goes to another host than the one the VM is on."""

from scheduler.demand import Demand
from scheduler.inventory import Candidate
from scheduler.reason import Lack, Reason


def another_host(demand: Demand, at: Candidate) -> Reason | None:
    """The host is not the origin."""
    if demand.origin is None or demand.origin.host != at.host.id:
        return None
    return Reason(Lack.SAME_HOST)
