"""Facts are what a driver positively saw at one moment; a thing not listed is not a fact."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

AT_POWER_ON = " at power on"


class PowerState(StrEnum):
    """How a VM was seen; UNKNOWN when it is there but its power could not be read."""

    ON = "ON"
    OFF = "OFF"
    PAUSED = "PAUSED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Sighting:
    """One VM positively seen on one host.

    `task` is the id in our marker (the task that defined it here); None for a foreign VM.
    `arriving` is true for the half-made copy on the target of a running relocation;
    `deallocated` for a VM that is off and was positively seen to have given its compute back.
    `volumes` are the names of its disks, `datastores` those of the datastores they are on, where a
    listing tells of these. `reason` is why the VM is in this state, empty when the state says it
    all: a few words that name no place ("paused by an I/O error"), then optionally a colon and the
    hypervisor's own words, which only callers who may see hosts read. `fixed` are the reasons why
    it cannot be moved as it is, `kept` those why it cannot be removed, each a sentence.
    """

    vm: UUID
    host: str
    state: PowerState
    name: str
    cpu: int
    ram_mib: int
    task: UUID | None = None
    arriving: bool = False
    volumes: tuple[str, ...] = ()
    deallocated: bool = False
    datastores: tuple[str, ...] = ()
    reason: str = ""
    fixed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DatastoreFacts:
    """A datastore as one host sees it; sizes in bytes.

    While it is not `usable` no disk is placed there through this host; `reason` says why.
    """

    name: str
    path: str
    capacity_bytes: int
    free_bytes: int
    usable: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class HostLoad:
    """What the hypervisor measured last of a host's use: MHz of its processors and MiB."""

    cpu_mhz: int
    memory_mib: int


@dataclass(frozen=True, slots=True)
class HostFacts:
    """The physical size of a host: logical processors and MiB of memory.

    `accepting` is false while it takes no VMs, as in maintenance; those that it has are seen.
    `load` is None where nothing is measured; places are promised by what VMs were given, not by it.
    `mover` is who else moves VMs of this host by itself, such as "DRS"; empty where nobody does.
    One that ends in AT_POWER_ON moves no VM that runs: it chooses the host of one that starts.
    """

    name: str
    cpus: int
    memory_mib: int
    hypervisor: str
    version: str
    datastores: tuple[DatastoreFacts, ...] = ()
    accepting: bool = True
    load: HostLoad | None = None
    mover: str = ""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing that an administrator should know of hosts or of the way to them."""

    well: bool
    about: str
    said: str


@dataclass(frozen=True, slots=True)
class Facts:
    """A complete listing of one endpoint's `hosts`, as far as it sees them, and of every VM on
    them, at `taken_at` (start of the look)."""

    endpoint: str
    taken_at: datetime
    hosts: tuple[HostFacts, ...]
    vms: tuple[Sighting, ...]
