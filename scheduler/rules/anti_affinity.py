"""VMs of one layer go to different hosts."""

from scheduler.model.demand import Demand
from scheduler.model.inventory import Candidate
from scheduler.model.reason import Reason, ReasonCode


def anti_affinity(demand: Demand, at: Candidate) -> Reason | None:
    """No VM of the demand's layer is on the host."""
    if demand.layer is None or demand.layer not in at.host.layers:
        return None
    return Reason(ReasonCode.LAYER, wanted=f"layer {demand.layer}")
