"""The options of a simulated hypervisor, each with its unit and default."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drivers.capabilities import Capabilities, HypervisorType
from drivers.options import read_options


@dataclass(frozen=True, slots=True)
class SimulatedOptions:
    """Delays in seconds; `world` is a file that outlives this process, empty for memory.

    `jitter` spreads each delay by up to that share of it, drawn from `seed`. With `cloud` hosts
    are places of a cloud: VMs neither move nor pause, but can be deallocated and redeployed.
    `local_addresses` allows addresses of this machine, as for other kinds; nothing is connected to.
    """

    world: str = ""
    seed: int = 1
    delay_s: float = 0.0
    boot_s: float = 0.0
    shutdown_s: float = 0.0
    relocation_s: float = 0.0
    jitter: float = 0.0
    call_timeout_s: float = 30.0
    datastore_bytes: int = 10 * 2**40
    version: str = "1.0"
    cloud: bool = False
    local_addresses: bool = False


def parse(options: Mapping[str, Any]) -> SimulatedOptions:
    """Options from a configuration table; raises ValueError that names the wrong one."""
    return read_options(SimulatedOptions, options)


def capabilities_of(type_: HypervisorType, options: SimulatedOptions) -> Capabilities:
    """Those of hosts, or those of places of a cloud."""
    hosts = not options.cloud
    return Capabilities(
        type=type_,
        live_relocation=hosts,
        storage_relocation=hosts,
        pause=hosts,
        graceful_shutdown=True,
        reset=True,
        progress=hosts,
        relocation=hosts,
        deallocation=options.cloud,
        redeploy=options.cloud,
    )


@dataclass(frozen=True, slots=True)
class HostSize:
    """How big a simulated host is: logical CPUs and MiB."""

    cpus: int = 32
    ram_mib: int = 131072
