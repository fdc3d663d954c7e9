"""A host promises no more virtual CPUs than its load rule allows."""

from scheduler.bookings import holds_host
from scheduler.capacity import fits
from scheduler.demand import Demand
from scheduler.inventory import Candidate
from scheduler.reason import Lack, Reason


def enough_cpu(demand: Demand, at: Candidate) -> Reason | None:
    """The virtual CPUs promised, with these, stay within the host's limit."""
    host = at.host
    if fits(host.cpu_limit, host.cpu_used, demand.cpu) or holds_host(demand, host):
        return None
    spare = host.cpu_limit - host.cpu_used
    return Reason(Lack.CPU, demand.cpu, spare, host.cpu_limit, host.cpu_rule)
