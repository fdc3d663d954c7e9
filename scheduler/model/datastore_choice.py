"""One usable datastore takes all the disks of a VM: the one it is on, else as its tier prefers."""

from scheduler.model.arithmetic import fits
from scheduler.model.demand import Demand
from scheduler.model.inventory import Candidate, Datastore
from scheduler.model.own_bookings import disk_added, holds_datastore


def spare(datastore: Datastore) -> int:
    """Bytes that may still be promised; negative where a rule was lowered below use."""
    return datastore.limit_bytes - datastore.used_bytes


def enabled(at: Candidate) -> list[Datastore]:
    """The datastores of the host that take disks of anybody."""
    return [datastore for datastore in at.datastores if datastore.enabled]


def usable(demand: Demand, at: Candidate) -> list[Datastore]:
    """The enabled datastores of the demand's tier, or of any that its enterprise may use."""
    return [each for each in at.datastores if each.enabled and tier_allows(demand, each)]


def tier_allows(demand: Demand, datastore: Datastore) -> bool:
    """Whether the datastore's tier is the one asked for, is enabled and open to the enterprise."""
    tier = datastore.tier
    if tier is None:
        return demand.tier is None
    if demand.tier not in (None, tier.id) or not tier.enabled:
        return False
    return tier.enterprises is None or demand.enterprise in tier.enterprises


def most_free(demand: Demand, at: Candidate) -> Datastore | None:
    """The usable datastore that fits if any does, whether or not it does; None without any.

    The VM's own shared datastore comes before all, since a move there copies nothing; then
    the one with the most free bytes, ties to the lowest id.
    """
    found = usable(demand, at)
    for datastore in found:
        if holds_datastore(demand, at.host, datastore):
            return datastore
    return min(found, key=lambda each: (-spare(each), each.id), default=None)


def choose(demand: Demand, at: Candidate) -> Datastore | None:
    """The datastore that takes the disks, None when none does.

    If the roomiest one does not fit, no other does. Where its tier fills one datastore after
    the other, the fullest of that tier that fits is taken, ties to the lowest id.
    """
    best = most_free(demand, at)
    if best is None or not takes(demand, at, best):
        return None
    if best.tier is None or not best.tier.progressive or holds_datastore(demand, at.host, best):
        return best
    same = [
        each for each in usable(demand, at) if each.tier == best.tier and takes(demand, at, each)
    ]
    return min(same, key=lambda each: (spare(each), each.id))


def takes(demand: Demand, at: Candidate, datastore: Datastore) -> bool:
    """Whether the disks fit."""
    wanted = disk_added(demand, at.host, datastore)
    return fits(datastore.limit_bytes, datastore.used_bytes, wanted)
