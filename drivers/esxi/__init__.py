"""ESXi hosts behind a vCenter; needs the extra `esxi` (pyvmomi)."""

from collections.abc import Mapping
from typing import Any

from drivers.capabilities import HypervisorType
from drivers.esxi.driver import EsxiDriver
from drivers.esxi.options import parse


def open_driver(name: str, type_: HypervisorType, options: Mapping[str, Any]) -> EsxiDriver:
    """A driver for the hosts of one vCenter; raises ValueError for an option that is wrong."""
    if type_ is not HypervisorType.VMX_04:
        raise ValueError(f"VMs of a vCenter are of type VMX_04, not {type_}")
    return EsxiDriver(name, parse(options))
