"""A host runs VMs of its own hypervisor type only."""

from scheduler.model.demand import Demand
from scheduler.model.inventory import Candidate
from scheduler.model.reason import Reason, ReasonCode


def hypervisor_type(demand: Demand, at: Candidate) -> Reason | None:
    """The host runs the type of VM that is asked for."""
    if at.host.type == demand.type:
        return None
    return Reason(ReasonCode.HYPERVISOR_TYPE, wanted=demand.type, spare=at.host.type)
