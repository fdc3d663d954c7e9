"""A host without an enabled datastore has nowhere to put disks."""

from scheduler.demand import Demand
from scheduler.disks import enabled
from scheduler.inventory import Candidate
from scheduler.reason import Lack, Reason


def some_datastore(demand: Demand, at: Candidate) -> Reason | None:
    """The host sees at least one datastore that is enabled."""
    return None if enabled(at) else Reason(Lack.NO_DATASTORE)
