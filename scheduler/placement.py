"""The answer to a demand: a placement with every row it touches, or a refusal that names all."""

from dataclasses import dataclass

from scheduler.demand import Demand
from scheduler.inventory import Datastore
from scheduler.policy import FitPolicy
from scheduler.reason import Lack, Reason


@dataclass(frozen=True, slots=True)
class Seen:
    """A ledger row as the decision saw it, and what a claim adds to it.

    `kind` is "host", "datastore" or a scope's. The amounts (virtual CPUs, MiB,
    bytes) are 0 where a relocating VM counts already.
    """

    kind: str
    id: int
    generation: int
    character: int
    cpu: int = 0
    ram_mib: int = 0
    disk_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Placement:
    """The chosen host and datastore; `seen` is every row to claim, in (kind, id) order.

    `rejected` counts the gladder hosts that were passed over, by the first rule each failed.
    """

    host: int
    datastore: int
    seen: tuple[Seen, ...]
    policy: FitPolicy
    score: int
    rejected: tuple[tuple[Lack, int], ...] = ()


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
    """No host will do: one verdict for each host of the datacenter, by host id."""

    verdicts: tuple[HostVerdict, ...]
    demand: Demand

    @property
    def lasting(self) -> bool:
        """Whether waiting cannot help: each host has a reason that does not pass."""
        return all(any(reason.lasting for reason in each.reasons) for each in self.verdicts)
