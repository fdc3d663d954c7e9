"""A host runs VMs of its own hypervisor type only."""

from scheduler.demand import Demand
from scheduler.inventory import Candidate
from scheduler.reason import Lack, Reason


def hypervisor_type(demand: Demand, at: Candidate) -> Reason | None:
    """The host runs the type of VM that is asked for."""
    if at.host.type == demand.type:
        return None
    return Reason(Lack.HYPERVISOR_TYPE, wanted=demand.type, spare=at.host.type)
