"""Routing turns counts to reach into single moves, in an order in which each finds its room.

A VM comes as soon as the host has room. Where all wait for each other, one VM steps aside to a
host that is being emptied, and moves on from there later.
"""

from collections import deque
from uuid import UUID

import numpy as np

from scheduler.model.placement import Placement
from scheduler.plan.knapsack import Flags, Whole
from scheduler.plan.move_groups import Circle, Refused
from scheduler.plan.moves import MoveCause
from scheduler.plan.rehearsal import Rehearsal


class Router:
    """One circle on its way to the counts."""

    def __init__(self, rehearsal: Rehearsal, circle: Circle, counts: Whole) -> None:
        """Nothing of the circle has moved yet."""
        problem = circle.problem
        self._rehearsal = rehearsal
        self._circle = circle
        self._needs = problem.needs
        self._wanted: Whole = np.maximum(counts - problem.counts, 0)
        self._leaving: Whole = np.maximum(problem.counts - counts, 0)
        self._spare = problem.spare.copy()
        self._closing: Flags = problem.clearable & ~counts.any(axis=1)
        self.refused: Refused = set()

    def run(self) -> list[UUID]:
        """Makes the moves; the VMs that had to leave a host that is being emptied and cannot."""
        queue = deque(np.flatnonzero(self._wanted.any(axis=1)).tolist())
        while queue:
            queue.extend(self._serve(queue.popleft()))
            if not queue and self._wanted.any():
                queue.extend(self._step_aside())
        return [vm for place in np.flatnonzero(self._closing) for vm in self._left_at(int(place))]

    def _serve(self, target: int) -> list[int]:
        """Lets in all that have room now: where they came from."""
        sources: list[int] = []
        wanted = np.flatnonzero(self._wanted[target])
        for kind in wanted[np.argsort(-self._needs[wanted, 1], kind="stable")].tolist():
            while self._wanted[target, kind] and self._fits(target, kind):
                source = self._source(kind)
                if source is None or not self._move(source, target, kind):
                    self._wanted[target, kind] = 0
                    break
                self._wanted[target, kind] -= 1
                if self._wanted[source].any():
                    sources.append(source)
        return sources

    def _source(self, kind: int) -> int | None:
        """Where to take one from: best where others wait for its room."""
        leaving = np.flatnonzero(self._leaving[:, kind])
        if not len(leaving):
            return None
        return int(leaving[self._wanted[leaving].sum(axis=1).argmax()])

    def _fits(self, target: int, kind: int) -> bool:
        return bool((self._needs[kind] <= self._spare[target]).all())

    def _move(self, source: int, target: int, kind: int, aside: bool = False) -> bool:
        """Whether the fleet let the VM go there."""
        vm = self._circle.members[source, kind][-1]
        to = self._circle.hosts[target]
        placement = self._rehearsal.ask(vm, frozenset({to}))
        if not isinstance(placement, Placement):
            self.refused.add((self._circle.kinds[kind], to))
            return False
        reason = MoveCause.EMPTIES if self._closing[source] else MoveCause.MAKES_ROOM
        self._rehearsal.make(vm, placement, MoveCause.STEPS_ASIDE if aside else reason)
        self._circle.members[source, kind].pop()
        self._circle.members.setdefault((target, kind), []).append(vm)
        self._leaving[source, kind] -= 1
        self._spare[source] += self._needs[kind]
        self._spare[target] -= self._needs[kind]
        return True

    def _step_aside(self) -> list[int]:
        """Moves the smallest VM whose leaving lets another one in; the host that it left."""
        waiting: Flags = np.asarray(self._wanted.any(axis=1))
        places, kinds = np.nonzero(self._leaving * waiting[:, None])
        for n in np.argsort(self._needs[kinds, 1], kind="stable").tolist():
            source, kind = int(places[n]), int(kinds[n])
            aside = self._aside(kind) if self._helps(source, kind) else None
            if aside is not None and self._move(source, aside, kind, aside=True):
                self._leaving[aside, kind] += 1
                return [source]
        return []

    def _helps(self, source: int, kind: int) -> bool:
        wanted = self._needs[np.flatnonzero(self._wanted[source])]
        room = self._spare[source] + self._needs[kind]
        return bool(np.all(wanted <= room, axis=1).any())

    def _aside(self, kind: int) -> int | None:
        """The host with most room of those that are being emptied."""
        can = self._closing & self._circle.problem.eligible[:, kind]
        can &= (self._needs[kind] <= self._spare).all(axis=1)
        return int(np.where(can, self._spare[:, 1], -1).argmax()) if can.any() else None

    def _left_at(self, place: int) -> list[UUID]:
        return [
            vm for (at, _), vms in sorted(self._circle.members.items()) if at == place for vm in vms
        ]
