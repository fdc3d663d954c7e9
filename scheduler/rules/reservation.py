"""A reserved host takes one enterprise only, and a restricted enterprise no other host."""

from scheduler.model.demand import Demand
from scheduler.model.inventory import Candidate
from scheduler.model.reason import Reason, ReasonCode


def reserved(demand: Demand, at: Candidate) -> Reason | None:
    """The host is not reserved to another enterprise."""
    owner = at.host.reserved_for
    if owner is None or owner == demand.enterprise:
        return None
    return Reason(ReasonCode.RESERVED, spare=at.rules.enterprises.get(owner, f"enterprise {owner}"))


def restricted(demand: Demand, at: Candidate) -> Reason | None:
    """The enterprise may use hosts that are not reserved to it."""
    owner = demand.enterprise
    if owner is None or owner not in at.rules.restricted or at.host.reserved_for == owner:
        return None
    return Reason(
        ReasonCode.RESTRICTED, wanted=at.rules.enterprises.get(owner, f"enterprise {owner}")
    )
