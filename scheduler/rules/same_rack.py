"""A relocation stays in its rack unless the configuration lets it go further."""

from scheduler.model.demand import Demand, RelocationScope
from scheduler.model.inventory import Candidate
from scheduler.model.reason import Reason, ReasonCode


def same_rack(demand: Demand, at: Candidate) -> Reason | None:
    """The host is in the origin's rack, or relocations may cross racks."""
    origin = demand.origin
    if origin is None or origin.reach is RelocationScope.DATACENTER or origin.rack == at.host.rack:
        return None
    return Reason(ReasonCode.SAME_RACK, spare=at.host.rack_name)
