"""One enabled datastore takes all the disks of a VM: the one it is on, else the emptiest."""

from scheduler.bookings import disk_added, holds_datastore
from scheduler.capacity import fits
from scheduler.demand import Demand
from scheduler.inventory import Candidate, Datastore


def spare(datastore: Datastore) -> int:
    """Bytes that may still be promised; negative where a rule was lowered below use."""
    return datastore.limit_bytes - datastore.used_bytes


def enabled(at: Candidate) -> list[Datastore]:
    """The datastores of the host that take disks."""
    return [datastore for datastore in at.datastores if datastore.enabled]


def roomiest(demand: Demand, at: Candidate) -> Datastore | None:
    """The enabled datastore to try first, whether or not the disks fit; None without any.

    The VM's own shared datastore comes before all, since a move there copies nothing; then
    the one with the most free bytes, ties to the lowest id.
    """
    found = enabled(at)
    for datastore in found:
        if holds_datastore(demand, at.host, datastore):
            return datastore
    return min(found, key=lambda each: (-spare(each), each.id), default=None)


def choose(demand: Demand, at: Candidate) -> Datastore | None:
    """The datastore that takes the disks, None when none does.

    If the roomiest one does not fit, no other does.
    """
    datastore = roomiest(demand, at)
    if datastore is None:
        return None
    wanted = disk_added(demand, at.host, datastore)
    return datastore if fits(datastore.limit_bytes, datastore.used_bytes, wanted) else None
