"""A host promises no more memory than its load rule allows."""

from scheduler.model.arithmetic import fits
from scheduler.model.demand import Demand
from scheduler.model.inventory import Candidate
from scheduler.model.own_bookings import holds_host
from scheduler.model.reason import Reason, ReasonCode


def enough_memory(demand: Demand, at: Candidate) -> Reason | None:
    """The memory promised, with this, stays within the host's limit (MiB)."""
    host = at.host
    if fits(host.ram_limit_mib, host.ram_used_mib, demand.ram_mib) or holds_host(demand, host):
        return None
    spare = host.ram_limit_mib - host.ram_used_mib
    return Reason(ReasonCode.MEMORY, demand.ram_mib, spare, host.ram_limit_mib, host.ram_rule)
