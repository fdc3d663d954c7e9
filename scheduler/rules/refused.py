"""Where the hypervisor itself refused the VM for want of capacity, it is not asked again."""

from scheduler.demand import Demand
from scheduler.inventory import Candidate
from scheduler.reason import Lack, Reason


def not_refused(demand: Demand, at: Candidate) -> Reason | None:
    """The host's hypervisor has not refused this very request."""
    for host, said in demand.refused:
        if host == at.host.id:
            return Reason(Lack.REFUSED, spare=said)
    return None
