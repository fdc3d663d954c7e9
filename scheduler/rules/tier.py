"""Disks go to datastores of the tier they are for, where the tier is open to the enterprise."""

from scheduler.model.datastore_choice import enabled, usable
from scheduler.model.demand import Demand
from scheduler.model.inventory import Candidate
from scheduler.model.reason import Reason, ReasonCode


def tier(demand: Demand, at: Candidate) -> Reason | None:
    """Some enabled datastore is usable; having none enabled is another rule's."""
    if usable(demand, at) or not enabled(at):
        return None
    if demand.tier is None:
        return Reason(ReasonCode.TIER)
    return Reason(ReasonCode.TIER, wanted=at.rules.tiers.get(demand.tier, f"tier {demand.tier}"))
