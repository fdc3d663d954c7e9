"""One single datastore holds all the disks: free space is never added up over several."""

from scheduler.bookings import disk_added
from scheduler.capacity import fits
from scheduler.demand import Demand
from scheduler.disks import roomiest, spare
from scheduler.inventory import Candidate
from scheduler.reason import Lack, Reason


def enough_storage(demand: Demand, at: Candidate) -> Reason | None:
    """The roomiest usable datastore takes the disks (bytes); having none is another rule's."""
    datastore = roomiest(demand, at)
    if datastore is None:
        return None
    wanted = disk_added(demand, at.host, datastore)
    if fits(datastore.limit_bytes, datastore.used_bytes, wanted):
        return None
    return Reason(
        Lack.STORAGE,
        wanted,
        spare(datastore),
        datastore.limit_bytes,
        datastore.rule,
        f"datastore {datastore.name}",
    )
