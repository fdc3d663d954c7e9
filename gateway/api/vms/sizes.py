"""Sizes that a type of hypervisor cannot give are refused by their field, before anything is
booked."""

from drivers.capabilities import Capabilities
from gateway.api.request_bodies import invalid


def require_size(able: Capabilities | None, cpu: int, ram_mib: int) -> None:
    """Raise Denied that names `cpu` or `ram` unless a VM of this size can be; `able` is None where
    no driver of the type runs, and nothing is known."""
    if able is None:
        return
    if cpu > able.cpu_max:
        raise invalid("cpu", f"{able.type} takes at most {able.cpu_max} CPUs; {cpu} were asked for")
    if ram_mib > able.ram_max_mib:
        raise invalid("ram", f"{able.type} takes at most {able.ram_max_mib} MiB, not {ram_mib}")
    step = able.ram_step_mib
    if ram_mib % step:
        below = ram_mib - ram_mib % step
        near = f"{below} or {below + step}" if below else str(step)
        raise invalid("ram", f"{able.type} takes multiples of {step} MiB: {near}, not {ram_mib}")
