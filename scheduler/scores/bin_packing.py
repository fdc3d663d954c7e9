"""Filling takes the host that is most in use, so that few hosts carry many VMs."""

from scheduler.model.arithmetic import in_use
from scheduler.model.inventory import Host


def filling(host: Host) -> int:
    """The shares of CPU and memory in use, added; 0 for an unused host."""
    return in_use((host.cpu_used, host.cpu_limit), (host.ram_used_mib, host.ram_limit_mib))
