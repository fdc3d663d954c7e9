"""What if: recorded requests decided again under other rules, and what came out otherwise.

Under the rules that were in force history comes back, host by host and score by score.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from scheduler.model.demand import Demand, Origin
from scheduler.model.limits import Rules
from scheduler.model.placement import Placement
from scheduler.model.values import replace
from scheduler.simulation.history_events import (
    Happened,
    ReleaseEvent,
    ReleaseScope,
    RequestEvent,
    RowEvent,
)
from scheduler.simulation.occupancy import NOTHING, Occupancy, Peak, Stay, stays_of
from scheduler.simulation.replay_fleet import ReplayFleet
from scheduler.snapshot.snapshot import InventorySnapshot

DIFFERENCES_MAX = 100
"""Told one by one; all are counted."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A request whose outcome is another; a host of None is a refusal."""

    request: RequestEvent
    host: int | None
    datastore: int | None
    score: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """All requests counted by what became of them, and the most that was promised at once.

    `refused_more` were placed in history and are refused now, `placed_more` the other way, `moved`
    are on another host or datastore. `absent` were about a VM that is nowhere now, since an
    earlier request of it is refused. `rescored` have the same place with another score.
    """

    requests: int = 0
    same: int = 0
    refused_more: int = 0
    placed_more: int = 0
    moved: int = 0
    rescored: int = 0
    absent: int = 0
    peak_before: Peak = NOTHING
    peak_after: Peak = NOTHING
    differences: tuple[Difference, ...] = ()


def replay(cluster: InventorySnapshot, history: Iterable[Happened], rules: Rules) -> Replayed:
    """Decide the history again from `cluster` on, under `rules`.

    A VM that was refused and is placed now stays until it asks again or the history ends: nobody
    knows when it would have left.
    """
    again = _Again(cluster, rules)
    for each in history:
        match each:
            case RequestEvent():
                again.ask(each)
            case ReleaseEvent():
                again.past.leave(each.vm, each.which)
                again.now.leave(each.vm, each.which)
            case RowEvent():
                again.now.change(each.row)
    return again.replayed()


class _Again:
    """The course as it was, and as it is now."""

    def __init__(self, cluster: InventorySnapshot, rules: Rules) -> None:
        self.past = Occupancy()
        for stay in stays_of(cluster):
            self.past.enter(stay)
        self.now = ReplayFleet(cluster, rules)
        self._counts = dict.fromkeys(
            ("same", "refused_more", "placed_more", "moved", "rescored", "absent"), 0
        )
        self._requests = 0
        self._differences: list[Difference] = []

    def ask(self, asked: RequestEvent) -> None:
        """Decide one request, and let both courses have their outcomes."""
        self._requests += 1
        vm, moves = asked.demand.vm, asked.demand.origin is not None
        known = vm in self.past.stays
        growth = known and not moves and asked.demand.only is not None
        if not known and not moves:
            # Refused in history and placed here, it asks for its first place once more.
            self.now.leave(vm, ReleaseScope.ALL)
        if asked.host is not None:
            assert asked.datastore is not None
            _arrive(self.past, Stay(asked.host, asked.datastore, asked.demand), growth=growth)
        there = known or vm in self.now.stays
        demand = self._as_now(asked.demand) if there and (moves or growth) else asked.demand
        if demand is None:
            self._counts["absent"] += 1
            return
        placed = self.now.place(demand, asked.policy, asked.share)
        self._judge(asked, placed)
        if placed is not None:
            _arrive(self.now, Stay(placed.host, placed.datastore, demand), growth=growth)
        if asked.host is None:
            # Of a move that history refused nothing tells the end: it is over at once.
            self.now.leave(vm, ReleaseScope.OLDEST)

    def replayed(self) -> Replayed:
        """What came of it."""
        return Replayed(
            self._requests,
            **self._counts,
            peak_before=self.past.peak,
            peak_after=self.now.peak,
            differences=tuple(self._differences),
        )

    def _as_now(self, demand: Demand) -> Demand | None:
        """The demand of a VM that may be somewhere else now; None when it is nowhere."""
        stays = self.now.stays.get(demand.vm)
        if not stays:
            return None
        at, origin = stays[-1], demand.origin
        if origin is None:
            return replace(demand, only=frozenset({at.host}))
        if (origin.host, origin.datastore) == (at.host, at.datastore):
            return demand
        return replace(demand, origin=self._origin(origin, at))

    def _origin(self, recorded: Origin, at: Stay) -> Origin:
        host, datastore = self.now.host(at.host), self.now.datastore(at.datastore)
        if host is None or datastore is None:
            return recorded
        return Origin(
            host.id,
            host.rack,
            host.hypervisor,
            datastore.id,
            datastore.shared,
            recorded.reach,
            host.cluster,
        )

    def _judge(self, asked: RequestEvent, placed: Placement | None) -> None:
        host, datastore, score = None, None, 0
        if placed is not None:
            host, datastore, score = placed.host, placed.datastore, placed.score
        if (host, datastore, score) == (asked.host, asked.datastore, asked.score):
            self._counts["same"] += 1
            return
        if host is None:
            word = "refused_more"
        elif asked.host is None:
            word = "placed_more"
        elif (host, datastore) == (asked.host, asked.datastore):
            word = "rescored"
        else:
            word = "moved"
        self._counts[word] += 1
        if len(self._differences) < DIFFERENCES_MAX:
            self._differences.append(Difference(asked, host, datastore, score))


def _arrive(course: Occupancy, stay: Stay, *, growth: bool) -> None:
    if growth:
        course.grow(stay.demand.vm, stay.demand)
    else:
        course.enter(stay)
