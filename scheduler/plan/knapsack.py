"""A filling is the worthiest set of waiting VMs that fits a gap, found among all small sets."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Whole = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
KINDS_MAX = 64
"""Kinds of VMs looked at together; the sets of three grow with the cube of it."""
ROUNDS_MAX = 6
"""Sets of three put into one gap one after the other."""
NONE = -1


class Fillings:
    """Every set of one to three waiting VMs, worthiest first.

    `needs` has a row of amounts for each kind, `price` is that of one of each amount, and
    `waiting` tells how many there are of each kind.
    """

    def __init__(self, needs: Whole, price: Whole, waiting: Whole) -> None:
        """The sets of those that wait now."""
        self.worth: Whole = needs @ price
        worth = self.worth
        kinds = np.flatnonzero(waiting)
        if len(kinds) > KINDS_MAX:
            order = np.argsort(-(worth * waiting)[kinds], kind="stable")
            kinds = np.sort(kinds[order[:KINDS_MAX]])
        triples = np.append(kinds, NONE)[_triples(len(kinds))]
        # One row more, which the index NONE finds, stands for no VM.
        counts = np.append(waiting, 9)
        first, second, third = triples.T
        twice = (first == second).astype(np.int64)
        again = (second == third) & (third != NONE)
        enough = (counts[first] >= 1 + twice) & (counts[second] >= 1)
        enough &= ~again | (counts[third] >= 2 + twice)
        triples = triples[enough]
        worths = np.append(worth, 0)[triples].sum(axis=1)
        order = np.argsort(-worths, kind="stable")
        self._price = price
        self._densest = [
            (column, *_densest(worth[kinds], need))
            for column, need in enumerate(needs[kinds].T[:2])
            if len(kinds) and need.all()
        ]
        self._waiting = waiting.copy()
        self._known: dict[bytes, tuple[int, list[int]]] = {}
        self._triples = triples[order]
        self._worths = worths[order]
        amounts = np.vstack([needs, np.zeros_like(needs[:1])])
        self._needs = np.ascontiguousarray(amounts[self._triples].sum(axis=1).T)
        self._other_columns = [column for column in (1, 2) if self._needs[column].any()]

    def best(self, room: Whole, barred: Flags | None) -> tuple[int, list[int]]:
        """What a gap of these amounts takes: its worth, and the kinds; nothing barred is in."""
        key = room.tobytes() if barred is None else room.tobytes() + barred.tobytes()
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._best(room, barred)
        return known

    def at_most(self, rooms: Whole) -> Whole:
        """What no filling of each gap exceeds: it buys no more of a resource than there is."""
        most: Whole = rooms @ self._price
        for column, worth, need in self._densest:
            most = np.minimum(most, rooms[:, column] * worth // need)
        return most

    def _best(self, room: Whole, barred: Flags | None) -> tuple[int, list[int]]:
        worth, taken = 0, list[int]()
        fit = self._fit(room)
        if barred is not None:
            fit = fit[~np.append(barred, False)[self._triples[fit]].any(axis=1)]
        for _ in range(ROUNDS_MAX):
            if not len(fit):
                break
            found = fit[0]
            more = [int(kind) for kind in self._triples[found] if kind != NONE]
            if taken and not self._enough(taken + more):
                break
            taken += more
            worth += int(self._worths[found])
            room = room - self._needs[:, found]
            fit = fit[(self._needs[:, fit] <= room[:, None]).all(axis=0)]
        return worth, taken

    def _fit(self, room: Whole) -> Whole:
        """Which sets fit the gap alone, worthiest first; none where too much is promised."""
        if room.min() < 0:
            return np.empty(0, np.intp)
        fits = self._needs[0] <= room[0]
        for column in self._other_columns:
            fits &= self._needs[column] <= room[column]
        return np.flatnonzero(fits)

    def _enough(self, taken: list[int]) -> bool:
        return all(taken.count(kind) <= self._waiting[kind] for kind in set(taken))


def _densest(worth: Whole, need: Whole) -> tuple[int, int]:
    """Worth and need of the kind that is worth most for what it needs of one resource."""
    best = (0, 1)
    for one, wanted in zip(worth.tolist(), need.tolist(), strict=True):
        if one * best[1] > best[0] * wanted:
            best = (one, wanted)
    return best


@lru_cache(maxsize=KINDS_MAX + 1)
def _triples(kinds: int) -> Whole:
    """Positions of all sets; `kinds` itself, the last position, stands for no VM."""
    every = np.arange(kinds + 1)
    first, second, third = np.meshgrid(every, every, every, indexing="ij")
    sets = (first <= second) & (second <= third) & (first < kinds)
    return np.stack([first[sets], second[sets], third[sets]], axis=1)
