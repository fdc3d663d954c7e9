"""A host without an enabled datastore has nowhere to put disks."""

from scheduler.model.datastore_choice import enabled
from scheduler.model.demand import Demand
from scheduler.model.inventory import Candidate
from scheduler.model.reason import Reason, ReasonCode


def some_datastore(demand: Demand, at: Candidate) -> Reason | None:
    """The host sees at least one datastore that is enabled."""
    return None if enabled(at) else Reason(ReasonCode.NO_DATASTORE)
