"""The options of KVM hosts, each with its unit and default."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drivers.kvm.address import transports_of
from drivers.options import read_options

DOMAINS = ("kvm", "qemu")


@dataclass(frozen=True, slots=True)
class KvmOptions:
    """Times in seconds. `domain` is kvm, or qemu for emulation without hardware help.

    A host that says nothing for `keepalive_s` x `keepalive_count` is taken for gone. With
    `bandwidth_mib_s` 0 a move takes what the network gives. `cpus` and `memory_mib` replace what
    a host says of itself (0: as it says), less `reserved_mib` for the host's own use.
    A guest that is still booting misses the power button: a shutdown presses it again each
    `shutdown_retry_s`. `serial_log_dir` keeps each VM's serial console in a file of that folder
    of the host. `transports` are those that addresses of hosts may name, apart by spaces: tls, ssh,
    tcp. With `local_addresses` an address may be this machine's, loopback or link-local.
    """

    domain: str = "kvm"
    chipset: str = "pc"
    disk_bus: str = "virtio"
    nic_model: str = "virtio"
    serial_log_dir: str = ""
    keepalive_s: int = 2
    keepalive_count: int = 3
    call_timeout_s: float = 60.0
    look_timeout_s: float = 10.0
    shutdown_retry_s: float = 5.0
    relocation_timeout_s: float = 3600.0
    bandwidth_mib_s: int = 0
    cpus: int = 0
    memory_mib: int = 0
    reserved_mib: int = 512
    transports: str = "tls"
    local_addresses: bool = False


def parse(options: Mapping[str, Any]) -> KvmOptions:
    """Options from a configuration table; raises ValueError that names the wrong one."""
    found = read_options(KvmOptions, options)
    if found.domain not in DOMAINS:
        raise ValueError(f"domain is one of {', '.join(DOMAINS)}")
    transports_of(found.transports)
    if found.keepalive_s < 1 or found.keepalive_count < 1:
        raise ValueError("keepalive_s and keepalive_count must be at least 1")
    return found
