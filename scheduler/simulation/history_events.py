"""What happened, as far as deciding goes: requests and their outcomes, leavings, changed places."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from scheduler.model.demand import Demand
from scheduler.model.fit_policy import FitPolicy
from scheduler.model.host_partition import HostPartition
from scheduler.model.inventory import AggregateScope, Datastore, Host, Tombstone


@dataclass(frozen=True, slots=True)
class RequestEvent:
    """A request and its outcome; `host` is None where it was refused.

    `at` orders what happened: the position of the feed. A relocation has an origin; a demand
    limited to hosts (`only`) of a VM that has a place is growth there. `share` are the hosts that
    were tried first.
    """

    at: int
    demand: Demand
    policy: FitPolicy
    host: int | None = None
    datastore: int | None = None
    score: int = 0
    share: HostPartition | None = None


class ReleaseScope(StrEnum):
    """Which of a VM's places is given back."""

    ALL = "all"
    OLDEST = "oldest"
    NEWEST = "newest"


@dataclass(frozen=True, slots=True)
class ReleaseEvent:
    """A VM gave places back: it left, it arrived elsewhere (OLDEST), or it never did (NEWEST)."""

    at: int
    vm: UUID
    which: ReleaseScope = ReleaseScope.ALL


@dataclass(frozen=True, slots=True)
class RowEvent:
    """A place changed otherwise than by a VM. The row's limits and use are not looked at:
    limits follow from the rules, use from who is there."""

    at: int
    row: Host | Datastore | AggregateScope | Tombstone


Happened = RequestEvent | ReleaseEvent | RowEvent
