"""Real hosts with libvirt and QEMU; needs the extra `kvm` (libvirt-python)."""

from collections.abc import Mapping
from typing import Any

from drivers.capabilities import HypervisorType
from drivers.kvm.driver import KvmDriver
from drivers.kvm.options import parse


def open_driver(name: str, type_: HypervisorType, options: Mapping[str, Any]) -> KvmDriver:
    """A driver for the hosts of one block; raises ValueError for an option that is wrong."""
    if type_ is not HypervisorType.KVM:
        raise ValueError(f"hosts of libvirt and QEMU are of type KVM, not {type_}")
    return KvmDriver(name, parse(options))
