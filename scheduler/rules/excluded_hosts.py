"""Where the hypervisor itself refused the VM for want of capacity, it is not asked again."""

from scheduler.model.demand import Demand
from scheduler.model.inventory import Candidate
from scheduler.model.reason import Reason, ReasonCode


def not_refused(demand: Demand, at: Candidate) -> Reason | None:
    """The host's hypervisor has not refused this very request."""
    for host, said in demand.refused:
        if host == at.host.id:
            return Reason(ReasonCode.REFUSED, spare=said)
    return None
