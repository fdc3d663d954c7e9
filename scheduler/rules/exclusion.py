"""Enterprises that an exclusion rule keeps apart share no host."""

from scheduler.demand import Demand
from scheduler.inventory import Candidate
from scheduler.reason import Lack, Reason


def exclusion(demand: Demand, at: Candidate) -> Reason | None:
    """No enterprise that is kept apart from the demand's has a VM on the host."""
    if demand.enterprise is None:
        return None
    apart = at.rules.excluded.get(demand.enterprise, frozenset()) & at.host.enterprises
    if not apart:
        return None
    names = at.rules.enterprises
    told = ", ".join(names.get(each, f"enterprise {each}") for each in sorted(apart))
    return Reason(Lack.EXCLUDED, spare=told)
