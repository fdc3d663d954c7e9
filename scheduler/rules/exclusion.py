"""Enterprises that an exclusion rule keeps apart share no host."""

from scheduler.model.demand import Demand
from scheduler.model.inventory import Candidate
from scheduler.model.reason import Reason, ReasonCode


def exclusion(demand: Demand, at: Candidate) -> Reason | None:
    """No enterprise that is kept apart from the demand's has a VM on the host."""
    if demand.enterprise is None:
        return None
    apart = at.rules.excluded.get(demand.enterprise, frozenset()) & at.host.enterprises
    if not apart:
        return None
    names = at.rules.enterprises
    told = ", ".join(names.get(each, f"enterprise {each}") for each in sorted(apart))
    return Reason(ReasonCode.EXCLUDED, spare=told)
