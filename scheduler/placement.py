"""The answer to a demand: a placement with every row it touches, or a refusal that names all."""

from dataclasses import dataclass

from msgspec import Struct

from scheduler.demand import Demand
from scheduler.fit_policy import FitPolicy
from scheduler.inventory import Datastore
from scheduler.reason import Reason
from scheduler.share import Share


class Seen(Struct, frozen=True, gc=False):
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
    seen: tuple[Seen, ...]
    policy: FitPolicy
    score: int
    share: Share | None = None


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
