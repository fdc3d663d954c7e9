"""A relocation stays among the hosts of one driver: only these hand a VM over to each other."""

from scheduler.model.demand import Demand
from scheduler.model.inventory import Candidate
from scheduler.model.reason import Reason, ReasonCode


def same_hypervisor(demand: Demand, at: Candidate) -> Reason | None:
    """The host belongs to the same configured hypervisor block as the origin."""
    origin = demand.origin
    if origin is None or origin.hypervisor == at.host.hypervisor:
        return None
    return Reason(ReasonCode.SAME_HYPERVISOR, wanted=origin.hypervisor, spare=at.host.hypervisor)
