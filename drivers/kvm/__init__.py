"""Real hosts with libvirt and QEMU; needs the extra `kvm` (libvirt-python)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from drivers.capabilities import HypervisorType
from drivers.kvm.options import parse

if TYPE_CHECKING:
    from drivers.kvm.driver import KvmDriver


def open_driver(name: str, type_: HypervisorType, options: Mapping[str, Any]) -> "KvmDriver":
    """A driver for the hosts of one block; raises ValueError for an option that is wrong."""
    # Not above: addresses are read, too, where the library is not installed.
    from drivers.kvm.driver import KvmDriver

    if type_ is not HypervisorType.KVM:
        raise ValueError(f"hosts of libvirt and QEMU are of type KVM, not {type_}")
    return KvmDriver(name, parse(options))
