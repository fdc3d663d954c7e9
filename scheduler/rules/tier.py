"""Disks go to datastores of the tier they are for, where the tier is open to the enterprise."""

from scheduler.demand import Demand
from scheduler.disks import enabled, usable
from scheduler.inventory import Candidate
from scheduler.reason import Lack, Reason


def tier(demand: Demand, at: Candidate) -> Reason | None:
    """Some enabled datastore is usable; having none enabled is another rule's."""
    if usable(demand, at) or not enabled(at):
        return None
    if demand.tier is None:
        return Reason(Lack.TIER)
    return Reason(Lack.TIER, wanted=at.rules.tiers.get(demand.tier, f"tier {demand.tier}"))
