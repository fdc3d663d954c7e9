"""Where the request names its hosts, no other one is taken."""

from scheduler.model.demand import Demand
from scheduler.model.inventory import Candidate
from scheduler.model.reason import Reason, ReasonCode


def asked_for(demand: Demand, at: Candidate) -> Reason | None:
    """The host is among those the demand is limited to, if it is limited."""
    if demand.only is None or at.host.id in demand.only:
        return None
    return Reason(ReasonCode.NOT_ASKED)
