"""Packing empties as many hosts as it can while few VMs move: whole numbers only, no chance.

VMs of one kind are alike, so a state is a count of each kind on each host. Hosts to be emptied
give their VMs to a pool. Again and again the host takes its turn where most is gained: it gives
up to REMOVED_MAX VMs of one kind into the pool and fills its gap from it. The price of a VM is
its share of the scarce resource and, little, of the other: so a host full in the one resource
trades with a host full in the other. Hosts that still wait for the last ones stay open.
"""

from dataclasses import dataclass
from heapq import heapify, heappop, heappush

import numpy as np

from scheduler.plan.knapsack import Fillings, Flags, Whole

REMOVED_MAX = 8
ROUNDS_MAX = 8
SLACK_PERCENTS = (10, 25, 50)
"""Weights tried for the resource that is not scarce."""
PERCENT = 10**9
"""A hundredth of what a host is worth: prices are whole, and products stay below 2**63."""
STRICT, LENIENT = PERCENT, PERCENT // 10
"""What an exchange must gain for each VM that it moves."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Hosts by kinds: `needs` (kind by cpu, ram, disk), `counts` of VMs that may move and
    `spare` amounts by host, `eligible` by host and kind, `clearable` hosts, and the `size` of
    a middle host (cpu, ram)."""

    needs: Whole
    counts: Whole
    spare: Whole
    eligible: Flags
    clearable: Flags
    size: Whole


@dataclass(frozen=True, slots=True)
class Packed:
    """The counts to reach, how many hosts that empties and how many VMs move."""

    counts: Whole
    emptied: int
    moves: int


def pack(problem: Problem, moves_max: int) -> Packed:
    """The best state found within the budget; packing that state again would find no better."""
    start = problem.counts
    best = Packed(start, 0, 0)
    for _ in range(ROUNDS_MAX):
        step = _step(_from(problem, best.counts), moves_max - best.moves)
        if step is None:
            break
        moves = arrivals(start, step.counts)
        best = Packed(step.counts, best.emptied + step.emptied, moves)
    return best


def arrivals(before: Whole, after: Whole) -> int:
    """How many VMs have to come from another host."""
    return int(np.maximum(after - before, 0).sum())


def _from(problem: Problem, counts: Whole) -> Problem:
    """The same problem from another state; hosts that are empty stay so."""
    busy = counts.any(axis=1) | ~problem.clearable
    spare = problem.spare + (problem.counts - counts) @ problem.needs
    return Problem(
        problem.needs,
        counts,
        spare,
        problem.eligible & busy[:, None],
        problem.clearable & counts.any(axis=1),
        problem.size,
    )


def _step(problem: Problem, moves_max: int) -> Packed | None:
    """The best of all tries from one state; None when no host can be emptied."""
    best: Packed | None = None
    excesses = _excesses(problem)
    for excess in excesses:
        if best is not None and best.emptied >= excess:
            break
        for percent in SLACK_PERCENTS:
            found = _Trade(problem, excess, moves_max).run(_prices(problem, percent))
            if found is not None and (best is None or _better(found, best)):
                best = found
    return best


def _better(one: Packed, other: Packed) -> bool:
    return (-one.emptied, one.moves) < (-other.emptied, other.moves)


def _excesses(problem: Problem) -> list[int]:
    """How many hosts to try to empty: all that the volume does not need, or a few less."""
    spare = np.maximum(problem.spare[:, :2], 0).sum(axis=0)
    excess = min(int((spare // np.maximum(problem.size, 1)).min()), int(problem.clearable.sum()))
    tries = {each for each in (excess, excess * 9 // 10, 1) if 0 < each <= excess}
    return sorted(tries, reverse=True)


def _prices(problem: Problem, slack_percent: int) -> list[tuple[Whole, int]]:
    """For each pass the prices of the resources and of one move."""
    cpu, ram = (max(1, int(each)) for each in problem.size)
    spare = np.maximum(problem.spare[:, :2], 0).sum(axis=0)
    ram_is_scarce = int(spare[1]) * cpu <= int(spare[0]) * ram
    on_cpu = slack_percent if ram_is_scarce else 100 - slack_percent

    def price(percent: int) -> Whole:
        return np.array([percent * PERCENT // cpu, (100 - percent) * PERCENT // ram, 0])

    return [
        (price(on_cpu), STRICT),
        (price(on_cpu), LENIENT),
        (price(50), LENIENT),
        (price(on_cpu), LENIENT),
    ]


@dataclass(frozen=True, slots=True)
class _Exchange:
    """What a host would give (`count` of one kind) and take, and what that gains."""

    gain: int
    gives: int = 0
    count: int = 0
    takes: tuple[int, ...] = ()
    moves: int = 0


class _Trade:
    """One try: chosen hosts give all their VMs to the pool, the others trade with it."""

    def __init__(self, problem: Problem, excess: int, moves_max: int) -> None:
        self._needs = problem.needs
        self._barred: Flags | None = None if problem.eligible.all() else ~problem.eligible
        self._start = problem.counts
        self._counts = problem.counts.copy()
        self._spare = problem.spare.copy()
        self._arrived = np.zeros_like(problem.counts)
        self._closed = _cheapest(problem, excess, moves_max)
        self._pool: Whole = self._counts[self._closed].sum(axis=0)
        self._left = moves_max - int(self._pool.sum())
        self._spare[self._closed] += self._counts[self._closed] @ self._needs
        self._counts[self._closed] = 0

    def run(self, prices: list[tuple[Whole, int]]) -> Packed | None:
        """The state after all passes, None when it empties no host."""
        if not self._closed:
            return None
        for price, one_move in prices:
            self._trade(price, one_move)
        opened = self._open_again()
        emptied = len(self._closed) - opened
        if self._pool.any() or emptied <= 0:
            return None
        return Packed(self._counts, emptied, arrivals(self._start, self._counts))

    def _trade(self, price: Whole, one_move: int) -> None:
        """Exchanges until none gains; each raises the worth of what is placed, so it ends."""
        closed = set(self._closed)
        # Nobody knows yet what a host would gain: at first each is asked once.
        turns = [(-(1 << 62), host) for host in range(len(self._counts)) if host not in closed]
        heapify(turns)
        fillings = Fillings(self._needs, price, self._pool)
        while turns and self._pool.any():
            _, host = heappop(turns)
            found = self._best(host, fillings, one_move)
            if found.gain <= 0:
                continue
            if not turns or -found.gain <= turns[0][0]:
                self._apply(host, found)
                fillings = Fillings(self._needs, price, self._pool)
            heappush(turns, (-found.gain, host))

    def _best(self, host: int, fillings: Fillings, one_move: int) -> _Exchange:
        """What gains most; gifts that cannot beat the best so far are not looked at."""
        barred = None if self._barred is None else self._barred[host]
        gained, takes = fillings.best(self._spare[host], barred)
        best = _Exchange(gained, takes=tuple(takes))
        kinds, counts, moves = self._gifts(host)
        rooms = self._spare[host] + counts[:, None] * self._needs[kinds]
        costs = counts * fillings.worth[kinds] + moves * one_move
        at_most = fillings.at_most(rooms) - costs
        for each in np.argsort(-at_most, kind="stable").tolist():
            if at_most[each] <= best.gain:
                break
            gained, takes = fillings.best(rooms[each], barred)
            gain = gained - int(costs[each])
            kind = int(kinds[each])
            if gain > best.gain and kind not in takes:
                best = _Exchange(gain, kind, int(counts[each]), tuple(takes), int(moves[each]))
        return best

    def _gifts(self, host: int) -> tuple[Whole, Whole, Whole]:
        """What the host may give: a kind, how many of it, and how many moves that adds."""
        here = np.flatnonzero(self._counts[host])
        kinds = np.repeat(here, REMOVED_MAX)
        counts = np.tile(np.arange(1, REMOVED_MAX + 1), len(here))
        moves = np.maximum(counts - self._arrived[host, kinds], 0)
        may = (counts <= self._counts[host, kinds]) & (moves <= self._left)
        return kinds[may], counts[may], moves[may]

    def _apply(self, host: int, found: _Exchange) -> None:
        kind, count = found.gives, found.count
        self._put(host, kind, -count)
        self._left -= found.moves
        self._arrived[host, kind] = max(0, self._arrived[host, kind] - count)
        for taken in found.takes:
            self._put(host, taken, 1)
            self._arrived[host, taken] += 1

    def _put(self, host: int, kind: int, count: int) -> None:
        self._counts[host, kind] += count
        self._pool[kind] -= count
        self._spare[host] -= count * self._needs[kind]

    def _open_again(self) -> int:
        """Lets what waits stay at home, and the rest join it there: how many hosts stay open."""
        shut = list(self._closed)
        while shut and self._pool.any():
            stays = np.minimum(self._start[shut], self._pool)
            host = shut.pop(int(stays.sum(axis=1).argmax()))
            for kind in np.flatnonzero(np.minimum(self._start[host], self._pool)):
                self._put(host, int(kind), min(int(self._start[host, kind]), int(self._pool[kind])))
            self._join(host)
        return len(self._closed) - len(shut)

    def _join(self, host: int) -> None:
        order = np.argsort(-self._needs[:, 1], kind="stable")
        for kind in order[self._pool[order] > 0]:
            if self._barred is not None and self._barred[host, kind]:
                continue
            need, room = self._needs[kind], self._spare[host]
            limits = [int(have) // int(want) for have, want in zip(room, need, strict=True) if want]
            count = max(0, min([int(self._pool[kind]), *limits]))
            self._put(host, int(kind), count)


def _cheapest(problem: Problem, excess: int, moves_max: int) -> list[int]:
    """The hosts that hold least, as many as asked for while most of the budget is left."""
    cpu, ram = int(problem.size[0]), int(problem.size[1])
    held = problem.counts @ problem.needs
    worth = held[:, 0] * ram + held[:, 1] * cpu
    found: list[int] = []
    moves = 0
    for host in np.argsort(worth, kind="stable"):
        count = int(problem.counts[host].sum())
        if not problem.clearable[host] or not count:
            continue
        if len(found) == excess or (moves + count) * 10 > moves_max * 8:
            break
        found.append(int(host))
        moves += count
    return found
