"""One single datastore holds all the disks: free space is never added up over several."""

from scheduler.model.arithmetic import fits
from scheduler.model.datastore_choice import most_free, spare
from scheduler.model.demand import Demand
from scheduler.model.inventory import Candidate
from scheduler.model.own_bookings import disk_added
from scheduler.model.reason import Reason, ReasonCode


def enough_storage(demand: Demand, at: Candidate) -> Reason | None:
    """The roomiest usable datastore takes the disks (bytes); having none is another rule's."""
    datastore = most_free(demand, at)
    if datastore is None:
        return None
    wanted = disk_added(demand, at.host, datastore)
    if fits(datastore.limit_bytes, datastore.used_bytes, wanted):
        return None
    return Reason(
        ReasonCode.STORAGE,
        wanted,
        spare(datastore),
        datastore.limit_bytes,
        datastore.rule,
        f"datastore {datastore.name}",
    )
