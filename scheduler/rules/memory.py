"""A host promises no more memory than its load rule allows."""

from scheduler.bookings import holds_host
from scheduler.capacity import fits
from scheduler.demand import Demand
from scheduler.inventory import Candidate
from scheduler.reason import Lack, Reason


def enough_memory(demand: Demand, at: Candidate) -> Reason | None:
    """The memory promised, with this, stays within the host's limit (MiB)."""
    host = at.host
    if fits(host.ram_limit_mib, host.ram_used_mib, demand.ram_mib) or holds_host(demand, host):
        return None
    spare = host.ram_limit_mib - host.ram_used_mib
    return Reason(Lack.MEMORY, demand.ram_mib, spare, host.ram_limit_mib, host.ram_rule)
