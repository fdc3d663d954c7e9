"""A host promises no more virtual CPUs than its load rule allows."""

from scheduler.model.arithmetic import fits
from scheduler.model.demand import Demand
from scheduler.model.inventory import Candidate
from scheduler.model.own_bookings import holds_host
from scheduler.model.reason import Reason, ReasonCode


def enough_cpu(demand: Demand, at: Candidate) -> Reason | None:
    """The virtual CPUs promised, with these, stay within the host's limit."""
    host = at.host
    if fits(host.cpu_limit, host.cpu_used, demand.cpu) or holds_host(demand, host):
        return None
    spare = host.cpu_limit - host.cpu_used
    return Reason(ReasonCode.CPU, demand.cpu, spare, host.cpu_limit, host.cpu_rule)
