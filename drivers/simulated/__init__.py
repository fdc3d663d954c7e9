"""The simulated hypervisor: a seeded world that behaves, fails and freezes as real ones do."""

from collections.abc import Mapping
from typing import Any

from drivers.capabilities import HypervisorType
from drivers.simulated.driver import SimulatedDriver
from drivers.simulated.options import parse
from drivers.simulated.world import World


def open_driver(name: str, type_: HypervisorType, options: Mapping[str, Any]) -> SimulatedDriver:
    """A driver on the world the options name; raises ValueError for an option that is wrong."""
    parsed = parse(options)
    return SimulatedDriver(name, type_, parsed, World(parsed.world))
