"""Only a MANAGED host takes VMs."""

from scheduler.model.demand import Demand
from scheduler.model.inventory import Candidate, HostState
from scheduler.model.reason import Reason, ReasonCode


def host_state(demand: Demand, at: Candidate) -> Reason | None:
    """The host is MANAGED."""
    if at.host.state is HostState.MANAGED:
        return None
    return Reason(ReasonCode.HOST_STATE, wanted=HostState.MANAGED.value, spare=at.host.state.value)
