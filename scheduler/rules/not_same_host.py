"""A relocation goes to another host than the one the VM is on."""

from scheduler.model.demand import Demand
from scheduler.model.inventory import Candidate
from scheduler.model.reason import Reason, ReasonCode


def another_host(demand: Demand, at: Candidate) -> Reason | None:
    """The host is not the origin."""
    if demand.origin is None or demand.origin.host != at.host.id:
        return None
    return Reason(ReasonCode.SAME_HOST)
