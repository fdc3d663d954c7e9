"""Evening out lowers the highest load, one move at a time, while each move is worth it.

A move must leave both hosts less loaded than the fuller one was, by the hysteresis of the
terms; so no move can be worth taking back, and where none is left the next plan is empty.
"""

from collections.abc import Iterable

import numpy as np

from scheduler.fleet.fleet import Fleet
from scheduler.model.arithmetic import WHOLE
from scheduler.model.placement import Placement
from scheduler.plan.knapsack import Whole
from scheduler.plan.move_groups import Circle, circles, every
from scheduler.plan.moves import MoveCause, Plan
from scheduler.plan.rehearsal import Rehearsal
from scheduler.plan.resident import MovableVm, Terms

GOAL = "even"
MILLION = 10**6
"""Loads are in millionths of what may be promised; that is fine enough and never overflows."""


def even(fleet: Fleet, residents: Iterable[MovableVm], terms: Terms) -> Plan:
    """Moves from fuller hosts to emptier ones, the fullest first."""
    rehearsal = Rehearsal(fleet, residents, terms)
    seen = 0
    for circle in circles(fleet, tuple(rehearsal.residents.values()), terms, set(), every):
        seen += circle.residents
        budget = seen * terms.moves_max_percent // 100 - len(rehearsal.moves)
        _Scales(rehearsal, circle, terms).run(budget)
    return rehearsal.plan(GOAL, (), ())


class _Scales:
    """The loads of one circle; a host's load is that of its fuller resource."""

    def __init__(self, rehearsal: Rehearsal, circle: Circle, terms: Terms) -> None:
        problem = circle.problem
        self._rehearsal = rehearsal
        self._circle = circle
        self._needs = problem.needs
        self._counts = problem.counts.copy()
        self._spare = problem.spare.copy()
        self._eligible = problem.eligible.copy()
        self._limits = np.array([_limits(rehearsal.fleet, id) for id in circle.hosts], np.int64)
        self._gain_min = max(1, terms.gain_min_percent * MILLION // 100)
        self._loads = self._load(self._spare)

    def run(self, moves_max: int) -> None:
        """Moves until a whole round finds nothing that is worth it."""
        while moves_max > 0 and (made := self._round(moves_max)):
            moves_max -= made

    def _round(self, moves_max: int) -> int:
        """Looks at each host until it is stuck: how many moves that made."""
        stuck: set[int] = set()
        made = 0
        while made < moves_max and (fullest := self._fullest(stuck)) is not None:
            if self._lower(fullest):
                made += 1
            else:
                stuck.add(fullest)
        return made

    def _load(self, spare: Whole) -> Whole:
        used = self._limits - spare[:, :2]
        return np.asarray((used * MILLION // np.maximum(self._limits, 1)).max(axis=1))

    def _fullest(self, stuck: set[int]) -> int | None:
        """The fullest host that is worth a look."""
        loads = self._loads.copy()
        loads[list(stuck)] = -1
        fullest = int(loads.argmax())
        worth_it = int(loads[fullest]) - int(self._loads.min()) >= self._gain_min
        return fullest if worth_it else None

    def _lower(self, source: int) -> bool:
        """Makes the best move off the host; False when none is worth it."""
        while (found := self._best(source)) is not None:
            target, kind, gain = found
            vm = self._circle.members[source, kind][-1]
            placement = self._rehearsal.ask(vm, frozenset({self._circle.hosts[target]}))
            if not isinstance(placement, Placement):
                self._eligible[target, kind] = False
                continue
            self._rehearsal.make(vm, placement, MoveCause.EVENS, gain * (WHOLE // MILLION))
            self._circle.members[source, kind].pop()
            self._circle.members.setdefault((target, kind), []).append(vm)
            self._counts[source, kind] -= 1
            self._counts[target, kind] += 1
            self._spare[source] += self._needs[kind]
            self._spare[target] -= self._needs[kind]
            self._loads = self._load(self._spare)
            return True
        return False

    def _best(self, source: int) -> tuple[int, int, int] | None:
        """Target, kind and gain of the move that lowers most; ties to the less memory to copy."""
        best: tuple[int, int, int] | None = None
        was = int(self._loads[source])
        kinds = np.flatnonzero(self._counts[source])
        for kind in kinds[np.argsort(self._needs[kinds, 1], kind="stable")].tolist():
            need = self._needs[kind]
            can = self._eligible[:, kind] & (need <= self._spare).all(axis=1)
            can[source] = False
            after = self._load(self._spare - need)
            target = int(np.where(can, after, 1 << 62).argmin())
            left = int(self._load(self._spare + need)[source])
            gain = was - max(left, int(after[target]))
            if can[target] and gain >= max(self._gain_min, 1 + (best[2] if best else 0)):
                best = (target, kind, gain)
        return best


def _limits(fleet: Fleet, id: int) -> tuple[int, int]:
    host = fleet.host(id)
    assert host is not None
    return (host.cpu_limit, host.ram_limit_mib)
