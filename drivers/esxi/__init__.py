"""ESXi hosts behind a vCenter; needs the extra `esxi` (pyvmomi)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from drivers.capabilities import HypervisorType
from drivers.esxi.options import parse

if TYPE_CHECKING:
    from drivers.esxi.driver import EsxiDriver


def open_driver(name: str, type_: HypervisorType, options: Mapping[str, Any]) -> "EsxiDriver":
    """A driver for the hosts of one vCenter; raises ValueError for an option that is wrong."""
    # Not above: addresses are read, too, where the library is not installed.
    from drivers.esxi.driver import EsxiDriver

    if type_ is not HypervisorType.VMX_04:
        raise ValueError(f"VMs of a vCenter are of type VMX_04, not {type_}")
    return EsxiDriver(name, parse(options))
