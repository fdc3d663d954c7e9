"""What kinds of hypervisors there are, and what each can do: nobody is offered more than that."""

from dataclasses import dataclass
from enum import StrEnum

SIZE_MAX = 2**31 - 1
"""For who has no limit of its own."""


class HypervisorType(StrEnum):
    """Which kind of VM a driver runs, in the words of the API."""

    KVM = "KVM"
    VMX_04 = "VMX_04"
    AZURE = "azurecompute-arm"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a driver can do; the API offers no more than this.

    `relocation`: VMs can be moved to a host of our choice. `deallocation`: a VM that is off still
    has its compute, and is paid for, until it is released. `redeploy`: the hypervisor can move a
    VM to another machine of its own choice. A VM has at most `cpu_max` vCPUs and `ram_max_mib` MiB,
    a multiple of `ram_step_mib`.
    """

    type: HypervisorType
    live_relocation: bool
    storage_relocation: bool
    pause: bool
    graceful_shutdown: bool
    reset: bool
    progress: bool
    relocation: bool = True
    deallocation: bool = False
    redeploy: bool = False
    cpu_max: int = SIZE_MAX
    ram_max_mib: int = SIZE_MAX
    ram_step_mib: int = 1
