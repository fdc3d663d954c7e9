"""The inventory: every place as the store last told it, limits already worked out by the rules.

Each value is a whole ledger row with a `generation`, which orders all changes of the row, and
a `character`, which grows only by changes that void an earlier decision.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct, field

from scheduler.model.fit_policy import FitPolicy


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


class Host(Struct, frozen=True, gc=False):
    """A host: physical size, what the rules allow of it (virtual CPUs, MiB) and what is promised.

    `cpu_rule` and `ram_rule` name the rule behind the limit; empty means the physical amount.
    `networks` are the tags the host maps; `datastores` are the ids of those it sees.
    `reserved_for` is the one enterprise it takes VMs of, None for any. `enterprises` and `layers`
    (anti-affinity) are those that have a VM there or booked for it.
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
    cluster: int | None = None
    cluster_name: str = ""
    reserved_for: int | None = None
    enterprises: frozenset[int] = frozenset()
    layers: frozenset[int] = frozenset()


class Tier(Struct, frozen=True, gc=False):
    """A class of datastores; a disabled one takes no new disk.

    `progressive` fills its datastores one after the other, otherwise the emptiest comes first.
    `enterprises` are those that may use it, None for all.
    """

    id: int
    name: str
    enabled: bool = True
    progressive: bool = False
    enterprises: frozenset[int] | None = None


class Datastore(Struct, frozen=True, gc=False):
    """A place for disks, in bytes; a disabled one takes no new disk.

    `capacity_bytes` is the physical size, `limit_bytes` what the rules allow of it.
    """

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
    tier: Tier | None = None
    capacity_bytes: int = 0


class AggregateScope(Struct, frozen=True, gc=False):
    """An aggregated element ("cluster", "rack" or "datacenter"): the sum over all its hosts.

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


class Tombstone(Struct, frozen=True):
    """The row ("host", "datastore" or a scope's kind) is no more, as of `generation`."""

    kind: str
    id: int
    generation: int


class RuleSet(Struct, frozen=True):
    """What the active rules say beyond the limits that the rows have already.

    `policies` are by datacenter, 0 for all that have none of their own. `excluded` names, for
    each enterprise, those it shares no host with; `restricted` are the enterprises that use only
    hosts reserved to them. `enterprises` and `tiers` are names for people. `version` grows with
    each edit of a rule and orders the changes.
    """

    version: int
    policies: Mapping[int, FitPolicy] = field(default_factory=dict)
    excluded: Mapping[int, frozenset[int]] = field(default_factory=dict)
    restricted: frozenset[int] = frozenset()
    enterprises: Mapping[int, str] = field(default_factory=dict)
    tiers: Mapping[int, str] = field(default_factory=dict)

    @property
    def generation(self) -> int:
        """The version, as rows call it."""
        return self.version

    def policy(self, datacenter: int) -> FitPolicy:
        """The fit policy of a datacenter."""
        return self.policies.get(datacenter, self.policies.get(0, FitPolicy.PROGRESSIVE))


NO_RULES = RuleSet(0)
"""Before anything is known."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One host with all that surrounds it: what a rule may look at, and nothing else."""

    host: Host
    datastores: tuple[Datastore, ...] = ()
    rack: AggregateScope | None = None
    datacenter: AggregateScope | None = None
    cluster: AggregateScope | None = None
    rules: RuleSet = NO_RULES
