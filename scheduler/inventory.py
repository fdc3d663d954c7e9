"""The inventory: every place as the store last told it, limits already worked out by the rules.

Each value is a whole ledger row with a `generation`, which orders all changes of the row, and
a `character`, which grows only by changes that void an earlier decision.
"""

from dataclasses import dataclass
from enum import StrEnum


class HostState(StrEnum):
    """The states of a host; only MANAGED takes VMs."""

    MANAGED = "MANAGED"
    NOT_MANAGED = "NOT_MANAGED"
    HALTED = "HALTED"
    HALTED_FOR_SAVE = "HALTED_FOR_SAVE"
    STOPPED = "STOPPED"
    HA_IN_PROGRESS = "HA_IN_PROGRESS"
    DISABLED_FOR_HA = "DISABLED_FOR_HA"
    PROVISIONED = "PROVISIONED"


@dataclass(frozen=True, slots=True)
class Host:
    """A host: physical size, what the rules allow of it (virtual CPUs, MiB) and what is promised.

    `cpu_rule` and `ram_rule` name the rule behind the limit; empty means the physical amount.
    `networks` are the tags the host maps; `datastores` are the ids of those it sees.
    """

    id: int
    name: str
    datacenter: int
    rack: int
    rack_name: str
    hypervisor: str
    type: str
    state: HostState
    reachable: bool
    cpus: int
    memory_mib: int
    cpu_limit: int
    cpu_used: int
    ram_limit_mib: int
    ram_used_mib: int
    cpu_rule: str
    ram_rule: str
    networks: frozenset[str]
    datastores: tuple[int, ...]
    generation: int
    character: int


@dataclass(frozen=True, slots=True)
class Datastore:
    """A place for disks, in bytes; a disabled one takes no new disk."""

    id: int
    name: str
    datacenter: int
    enabled: bool
    shared: bool
    limit_bytes: int
    used_bytes: int
    rule: str
    generation: int
    character: int


@dataclass(frozen=True, slots=True)
class Scope:
    """An aggregated element ("rack" or "datacenter"): the sum over all its hosts.

    A limit of None is no limit.
    """

    kind: str
    id: int
    name: str
    cpu_limit: int | None
    cpu_used: int
    ram_limit_mib: int | None
    ram_used_mib: int
    disk_limit_bytes: int | None
    disk_used_bytes: int
    rule: str
    generation: int
    character: int


@dataclass(frozen=True, slots=True)
class Gone:
    """The row ("host", "datastore", "rack", "datacenter") is no more, as of `generation`."""

    kind: str
    id: int
    generation: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """One host with all that surrounds it: what a rule may look at, and nothing else."""

    host: Host
    datastores: tuple[Datastore, ...] = ()
    rack: Scope | None = None
    datacenter: Scope | None = None
