"""The one table of driver kinds; a driver is imported only when a configuration names it."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from drivers.capabilities import HypervisorType
from drivers.contract import Driver

_MODULES = {
    "simulated": "drivers.simulated",
    "kvm": "drivers.kvm",
    "esxi": "drivers.esxi",
    "azure": "drivers.azure",
}
KINDS = tuple(_MODULES)


class UnknownDriver(Exception):
    """No such kind of driver, its extra is not installed, or an option is wrong."""


def open_driver(name: str, kind: str, type_: HypervisorType, options: Mapping[str, Any]) -> Driver:
    """The driver of one `[hypervisor.NAME]` block; raises UnknownDriver."""
    if kind not in _MODULES:
        raise UnknownDriver(f"hypervisor.{name}.kind: {kind!r} is none of {', '.join(KINDS)}")
    try:
        module = import_module(_MODULES[kind])
    except ImportError as missing:
        raise UnknownDriver(
            f"hypervisor.{name} needs the extra vmgate[{kind}]: {missing}"
        ) from missing
    try:
        driver: Driver = module.open_driver(name, type_, options)
    except (TypeError, ValueError) as wrong:
        raise UnknownDriver(f"hypervisor.{name}.options: {wrong}") from wrong
    return driver
