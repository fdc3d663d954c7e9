"""A VM with a network interface goes where its network is mapped."""

from scheduler.model.demand import Demand
from scheduler.model.inventory import Candidate
from scheduler.model.reason import Reason, ReasonCode


def network(demand: Demand, at: Candidate) -> Reason | None:
    """The host maps the network's tag, if one is asked for."""
    if demand.network is None or demand.network in at.host.networks:
        return None
    return Reason(ReasonCode.NETWORK, wanted=demand.network)
