"""A demand is all that one VM asks of a place, as integers with their units."""

from enum import StrEnum
from uuid import UUID

from msgspec import Struct


class RelocationScope(StrEnum):
    """How far a relocation may go; the configuration widens it from the rack."""

    RACK = "RACK"
    DATACENTER = "DATACENTER"


class Origin(Struct, frozen=True):
    """Where a VM that relocates is now; `shared` when other hosts see its datastore too.

    `hypervisor` is the name of the configured block that drives the host.
    """

    host: int
    rack: int
    hypervisor: str
    datastore: int
    shared: bool
    reach: RelocationScope = RelocationScope.RACK
    cluster: int | None = None


class Demand(Struct, frozen=True):
    """What one VM needs: virtual CPUs, MiB of memory, bytes for all its disks together.

    `enterprise` owns it; `layer` is the group whose VMs go to different hosts; `tier` is the
    class of datastore its disks go to, None for any. `refused` are hosts whose hypervisor said no
    for want of capacity, each with its words.
    For a reconfiguration the amounts are the growth on the one host in `only`; 0 where a
    resource does not grow. Negative amounts raise ValueError.
    """

    vm: UUID
    cpu: int
    ram_mib: int
    disk_bytes: int
    type: str
    datacenter: int
    network: str | None = None
    origin: Origin | None = None
    only: frozenset[int] | None = None
    enterprise: int | None = None
    layer: int | None = None
    tier: int | None = None
    refused: tuple[tuple[int, str], ...] = ()

    def __post_init__(self) -> None:
        """A negative demand would make room out of nothing."""
        if min(self.cpu, self.ram_mib, self.disk_bytes) < 0:
            raise ValueError(f"a demand cannot be negative: {self}")
