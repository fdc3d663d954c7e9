"""Spreading takes the host that is least in use, so that each VM has the most room."""

from scheduler.model.arithmetic import in_use
from scheduler.model.inventory import Host


def spreading(host: Host) -> int:
    """The shares of CPU and memory in use, added and negated; 0 for an unused host."""
    return -in_use((host.cpu_used, host.cpu_limit), (host.ram_used_mib, host.ram_limit_mib))
