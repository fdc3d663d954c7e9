"""The one table of driver kinds; a driver is imported only when a configuration names it."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from drivers.addresses import Reader
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
        driver: Driver = import_module(_MODULES[kind]).open_driver(name, type_, options)
    except ImportError as missing:
        raise UnknownDriver(
            f"hypervisor.{name} needs the extra vmgate[{kind}]: {missing}"
        ) from missing
    except (TypeError, ValueError) as wrong:
        raise UnknownDriver(f"hypervisor.{name}.options: {wrong}") from wrong
    except Exception as failed:
        said = f"{type(failed).__name__}: {failed}"
        raise UnknownDriver(f"hypervisor.{name} cannot be opened: {said}") from failed
    return driver


def address_reader(kind: str, options: Mapping[str, Any]) -> Reader:
    """What reads the addresses of one block's hosts; needs none of the extras.

    Raises ValueError for a kind that there is not, and for an option that is wrong.
    """
    if kind not in _MODULES:
        raise ValueError(f"the kind {kind!r} is none of {', '.join(KINDS)}")
    reader: Reader = import_module(f"{_MODULES[kind]}.address").reader(options)
    return reader
