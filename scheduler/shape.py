"""A shape is one sort of request, as clouds have a few of: asked again, it knows where to look.

Its window holds the gladdest hosts that pass, in order, and follows the section's log. What is
not in the window is known to be less glad than all that is, so the first that also passes the
last look is the answer that a search of every host would give.
"""

from bisect import bisect_left
from collections.abc import Callable
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from scheduler.kind import Kind
from scheduler.section import Bools, Section
from scheduler.shelf import NOWHERE, Shelf, Stores

KEPT = 256
"""Hosts in a fresh window."""
TRIES = 48
"""Hosts that may fail the last look before all hosts are looked at in columns."""
_TOP = 2**62
_SLOT_BITS = 24
_SLOTS = 2**_SLOT_BITS - 1
_ENDLESS = _TOP << (_SLOT_BITS + 1)

Glad = Callable[[Section, int], int]
"""How glad one slot is, 1 or more."""
Gladness = Callable[[Section], NDArray[np.int64]]
"""The same for all slots."""


class Found(Enum):
    """What a window says instead of a slot."""

    NOBODY = "NOBODY"
    UNSURE = "UNSURE"


class Shape:
    """Amounts (virtual CPUs, MiB, bytes) and eligibility of a sort of demand."""

    __slots__ = ("_bound", "_keys", "_position", "amounts", "apart", "glad", "kind", "shelf")

    def __init__(
        self, amounts: tuple[int, int, int], kind: Kind, shelf: Shelf, apart: frozenset[int]
    ) -> None:
        """`apart` are the enterprises it shares no host with. Nothing wanted always fits."""
        cpu, ram, disk = amounts
        self.amounts = (
            cpu if cpu > 0 else -(2**31),
            ram if ram > 0 else -(2**31),
            disk if disk > 0 else NOWHERE + 1,
        )
        self.kind = kind
        self.shelf = shelf
        self.apart = apart
        self._keys: list[int] = []
        self._bound = -1
        self._position = -1

    def follow(self, section: Section, stores: Stores) -> None:
        """Let the eligibility take in what changed."""
        self.kind.follow(section)
        self.shelf.follow(section, stores)

    def mask(self, section: Section) -> Bools:
        """Who passes by columns."""
        cpu, ram, disk = self.amounts
        passing: Bools = np.greater_equal(section.cpu.array, cpu)
        passing &= section.ram.array >= ram
        passing &= self.shelf.free.array >= disk
        if self.kind.mask is not None:
            passing &= self.kind.mask
        return passing

    def passes(self, section: Section, slot: int) -> bool:
        """The same for one slot, and apart from whom it must be."""
        cpu, ram, disk = self.amounts
        return (
            section.cpu.values[slot] >= cpu
            and section.ram.values[slot] >= ram
            and self.shelf.free.values[slot] >= disk
            and self.kind.passes(section, slot)
            and self.apart.isdisjoint(section.entries[slot].enterprises)
        )

    def forget(self) -> None:
        """The window is of no use any more."""
        self._bound = -1

    def open(self, section: Section, glad: NDArray[np.int64], passing: Bools) -> None:
        """A fresh window from columns."""
        slots = passing.nonzero()[0]
        if self.apart:
            entries = section.entries
            far = [self.apart.isdisjoint(entries[slot].enterprises) for slot in slots.tolist()]
            slots = slots[np.array(far, bool)]
        scores = glad[slots]
        self._bound = _ENDLESS
        if len(slots) > KEPT:
            least = np.partition(scores, len(slots) - KEPT)[len(slots) - KEPT]
            above = slots[scores > least]
            slots = np.concatenate([above, slots[scores == least][: KEPT - len(above)]])
            scores = glad[slots]
            self._bound = 0
        pairs = zip(scores.tolist(), slots.tolist(), strict=True)
        self._keys = sorted((_TOP - score) << _SLOT_BITS | slot for score, slot in pairs)
        if self._bound == 0:
            self._bound = self._keys[-1] + 1
        self._position = section.log_base + len(section.log)

    def look(self, section: Section, glad: Glad, last: Callable[[int], bool]) -> int | Found:
        """The gladdest slot of the window that passes the last look too."""
        if self._bound < 0 or not self._catch_up(section, glad):
            return Found.UNSURE
        keys, failed = self._keys, 0
        while failed < len(keys):
            key = keys[failed]
            slot: int = key & _SLOTS
            if (_TOP - glad(section, slot)) << _SLOT_BITS | slot != key or not self.passes(
                section, slot
            ):
                del keys[failed]
                continue
            if last(slot):
                return slot
            failed += 1
            if failed == TRIES:
                return Found.UNSURE
        return Found.NOBODY if self._bound == _ENDLESS else Found.UNSURE

    def _catch_up(self, section: Section, glad: Glad) -> bool:
        """Take in the log since the last time; False when too much of it has passed."""
        start = self._position - section.log_base
        news = section.log[start:] if start >= 0 else []
        if start < 0 or len(news) > KEPT * 4:
            self.forget()
            return False
        self._position += len(news)
        keys, bound = self._keys, self._bound
        for slot in news if len(news) < 2 else set(news):
            key = (_TOP - glad(section, slot)) << _SLOT_BITS | slot
            if key >= bound or not self.passes(section, slot):
                continue
            at = bisect_left(keys, key)
            if at == len(keys) or keys[at] != key:
                keys.insert(at, key)
        if len(keys) > 2 * KEPT:
            self._bound = keys[KEPT]
            del keys[KEPT:]
        return True
