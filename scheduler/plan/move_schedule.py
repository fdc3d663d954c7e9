"""A timeline lets as many moves run side by side as hosts, datastores and networks carry.

Every move costs units of the two hosts, of the datastores and, when a running VM is copied, of
the networks that it crosses, from its beginning to its end. It begins when the moves it waits
for have ended and no place is overloaded by it; of several, the one with the longest rest of
the plan behind it goes first. Times are in MiB copied: only their proportions matter.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush

from scheduler.plan.moves import Plan, PlannedMove

Place = tuple[str, int]
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Capacities:
    """What places carry at once, in units, and what a move takes of each.

    `networks` tells the migration network of a host, 0 where it does not; `network_moves` is
    what each of them carries (8 for 10 GbE, 4 for 1 GbE), with `slower` for exceptions.
    Lower `host` to leave room for other work: deploying costs one unit.
    """

    host: int = 8
    datastore: int = 128
    network_moves: int = 8
    slower: Mapping[int, int] = field(default_factory=dict)
    networks: Mapping[int, int] = field(default_factory=dict)
    host_live: int = 1
    host_storage: int = 4
    datastore_live: int = 1
    datastore_storage: int = 16

    def of(self, place: Place) -> int:
        """How many units the place carries."""
        kind, id = place
        if kind == "network":
            return self.slower.get(id, self.network_moves)
        return self.host if kind == "host" else self.datastore

    def taken(self, move: PlannedMove) -> dict[Place, int]:
        """The units that the move takes of each place."""
        storage = move.cost.disk_bytes > 0
        host = self.host_storage if storage else self.host_live
        datastore = self.datastore_storage if storage else self.datastore_live
        units: dict[Place, int] = {("host", move.source): host, ("host", move.target): host}
        for id in {move.leaves, move.datastore}:
            units["datastore", id] = datastore
        if move.cost.ram_mib:
            for id in {self.networks.get(move.source, 0), self.networks.get(move.target, 0)}:
                units["network", id] = 1
        return {place: min(each, self.of(place)) for place, each in units.items()}


@dataclass(frozen=True, slots=True)
class Timeline:
    """When each move of a plan begins and ends.

    No timeline is shorter than `bound`, which the most loaded place sets, or than `chain`, the
    longest row of moves that wait for each other.
    """

    begins: tuple[int, ...]
    ends: tuple[int, ...]
    bound: int
    chain: int

    @property
    def makespan(self) -> int:
        """When the last move has ended."""
        return max(self.ends, default=0)


def length(move: PlannedMove) -> int:
    """How long the move takes."""
    return max(1, move.cost.ram_mib + -(-move.cost.disk_bytes // MIB))


def timeline(plan: Plan, capacities: Capacities) -> Timeline:
    """The plan in time."""
    lengths = [length(move) for move in plan.moves]
    units = [capacities.taken(move) for move in plan.moves]
    load: dict[Place, int] = defaultdict(int)
    for each, long in zip(units, lengths, strict=True):
        for place, unit in each.items():
            load[place] += unit * long
    bound = max((-(-sum_ // capacities.of(place)) for place, sum_ in load.items()), default=0)
    rest = _rests(plan, lengths)
    begins = _Clockwork(plan, capacities, units, rest).run(lengths)
    ends = tuple(begin + long for begin, long in zip(begins, lengths, strict=True))
    return Timeline(tuple(begins), ends, max([bound, *lengths]), max(rest, default=0))


def _rests(plan: Plan, lengths: list[int]) -> list[int]:
    """For each move how long it and the longest row of moves behind it take."""
    rest = list(lengths)
    for n in range(len(plan.moves) - 1, -1, -1):
        for earlier in plan.moves[n].after:
            rest[earlier] = max(rest[earlier], lengths[earlier] + rest[n])
    return rest


class _Clockwork:
    """Steps from the end of one move to the next; a move that lacks a place waits there."""

    def __init__(
        self,
        plan: Plan,
        capacities: Capacities,
        units: list[dict[Place, int]],
        rest: list[int],
    ) -> None:
        self._units = units
        self._rest = rest
        self._waits = [len(move.after) for move in plan.moves]
        self._behind: list[list[int]] = [[] for _ in plan.moves]
        for n, move in enumerate(plan.moves):
            for earlier in move.after:
                self._behind[earlier].append(n)
        self._free: dict[Place, int] = {
            place: capacities.of(place) for each in units for place in each
        }
        self._parked: dict[Place, list[tuple[int, int]]] = defaultdict(list)
        self._running: list[tuple[int, int]] = []
        self._begins = [0] * len(plan.moves)

    def run(self, lengths: list[int]) -> list[int]:
        """When each move begins."""
        touched = self._park([n for n, waits in enumerate(self._waits) if not waits])
        self._begin(touched, 0, lengths)
        while self._running:
            now = self._running[0][0]
            touched = set()
            while self._running and self._running[0][0] == now:
                touched |= self._end(heappop(self._running)[1])
            self._begin(touched, now, lengths)
        return self._begins

    def _park(self, ready: list[int]) -> set[Place]:
        """Lets moves that wait for no other wait for their first place: those places."""
        places = {n: next(iter(self._units[n])) for n in ready}
        for n, place in places.items():
            heappush(self._parked[place], (-self._rest[n], n))
        return set(places.values())

    def _end(self, n: int) -> set[Place]:
        """Frees what the move took: the places where others may begin now."""
        for place, unit in self._units[n].items():
            self._free[place] += unit
        for later in self._behind[n]:
            self._waits[later] -= 1
        ready = [later for later in self._behind[n] if not self._waits[later]]
        return set(self._units[n]) | self._park(ready)

    def _begin(self, touched: set[Place], now: int, lengths: list[int]) -> None:
        for place in sorted(touched):
            parked = self._parked[place]
            while parked and self._free[place] >= self._units[parked[0][1]][place]:
                rest, n = heappop(parked)
                lacking = self._lacking(n)
                if lacking is not None:
                    heappush(self._parked[lacking], (rest, n))
                    continue
                for each, unit in self._units[n].items():
                    self._free[each] -= unit
                self._begins[n] = now
                heappush(self._running, (now + lengths[n], n))

    def _lacking(self, n: int) -> Place | None:
        """A place that has too little free for the move."""
        for place, unit in self._units[n].items():
            if self._free[place] < unit:
                return place
        return None
