"""A VM with a network interface goes where its network is mapped."""

from scheduler.demand import Demand
from scheduler.inventory import Candidate
from scheduler.reason import Lack, Reason


def network(demand: Demand, at: Candidate) -> Reason | None:
    """The host maps the network's tag, if one is asked for."""
    if demand.network is None or demand.network in at.host.networks:
        return None
    return Reason(Lack.NETWORK, wanted=demand.network)
