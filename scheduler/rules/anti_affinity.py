"""VMs of one layer go to different hosts."""

from scheduler.demand import Demand
from scheduler.inventory import Candidate
from scheduler.reason import Lack, Reason


def anti_affinity(demand: Demand, at: Candidate) -> Reason | None:
    """No VM of the demand's layer is on the host."""
    if demand.layer is None or demand.layer not in at.host.layers:
        return None
    return Reason(Lack.LAYER, wanted=f"layer {demand.layer}")
