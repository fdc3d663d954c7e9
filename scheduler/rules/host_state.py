"""Only a MANAGED host takes VMs."""

from scheduler.demand import Demand
from scheduler.inventory import Candidate, HostState
from scheduler.reason import Lack, Reason


def host_state(demand: Demand, at: Candidate) -> Reason | None:
    """The host is MANAGED."""
    if at.host.state is HostState.MANAGED:
        return None
    return Reason(Lack.HOST_STATE, wanted=HostState.MANAGED.value, spare=at.host.state.value)
