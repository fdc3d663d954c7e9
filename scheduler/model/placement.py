"""The answer to a demand: a placement with every row it touches, or a refusal that names all."""

from dataclasses import dataclass

from msgspec import Struct

from scheduler.model.demand import Demand
from scheduler.model.fit_policy import FitPolicy
from scheduler.model.host_partition import HostPartition
from scheduler.model.inventory import Datastore
from scheduler.model.reason import Reason, ReasonCode


class HostCounts(Struct, frozen=True, gc=False):
    """A ledger row as the decision saw it, and what a claim adds to it.

    `kind` is "host", "datastore" or a scope's. The amounts (virtual CPUs, MiB, bytes) are 0 where
    a relocating VM counts already.
    """

    kind: str
    id: int
    generation: int
    character: int
    cpu: int = 0
    ram_mib: int = 0
    disk_bytes: int = 0


class Placement(Struct, frozen=True):
    """The chosen host and datastore; `seen` is every row to claim, in (kind, id) order.

    `score` is what the policy gave the host. Among equal scores the lowest host id was taken;
    `share` is the part of the hosts that was tried first, where the host was found in it.
    """

    host: int
    datastore: int
    seen: tuple[HostCounts, ...]
    policy: FitPolicy
    score: int
    share: HostPartition | None = None


@dataclass(frozen=True, slots=True)
class HostVerdict:
    """Every reason why a host will not do, in the order of the rules, and its datastores."""

    host: int
    name: str
    reasons: tuple[Reason, ...]
    datastores: tuple[Datastore, ...] = ()

    @property
    def candidate(self) -> bool:
        """Whether only capacity is lacking: the host would do if it were emptier."""
        return all(reason.lack.capacity for reason in self.reasons)


@dataclass(frozen=True, slots=True)
class Refusal:
    """No host will do.

    `patterns` count all hosts of the datacenter by what they lack, the most frequent first.
    `verdicts` tell, by host id, of the nearest misses and of named hosts elsewhere: all hosts
    where there are few. `lasting` is whether waiting cannot help: each host has a reason that
    does not pass.
    """

    verdicts: tuple[HostVerdict, ...]
    demand: Demand
    patterns: tuple[tuple[tuple[ReasonCode, ...], int], ...]
    lasting: bool

    @property
    def hosts(self) -> int:
        """How many hosts were looked at."""
        return sum(count for _, count in self.patterns)
