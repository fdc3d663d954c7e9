"""A relocation stays in its rack unless the configuration lets it go further."""

from scheduler.demand import Demand, Reach
from scheduler.inventory import Candidate
from scheduler.reason import Lack, Reason


def same_rack(demand: Demand, at: Candidate) -> Reason | None:
    """The host is in the origin's rack, or relocations may cross racks."""
    origin = demand.origin
    if origin is None or origin.reach is Reach.DATACENTER or origin.rack == at.host.rack:
        return None
    return Reason(Lack.SAME_RACK, spare=at.host.rack_name)
