"""A shape is one size of one sort of request: asked again, it knows where to look.

Its window holds the gladdest hosts that pass, in order, and follows the section's log. What is
not in the window is known to be less glad than all that is, so the first that also passes the
last look is the answer that a search of every host would give.
"""

from bisect import bisect_left
from collections.abc import Callable
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from scheduler.fleet.host_columns import Bools, HostColumns
from scheduler.fleet.shared_constraints import Last
from scheduler.fleet.usage_ledger import UsageEntry

KEPT = 256
"""Hosts in a fresh window."""
TRIES = 48
"""Hosts that may fail the last look before all hosts are looked at in columns."""
_TOP = 2**62
_SLOT_BITS = 24
_SLOTS = 2**_SLOT_BITS - 1
_ENDLESS = _TOP << (_SLOT_BITS + 1)

Glad = Callable[[HostColumns, int], int]
"""How glad one slot is, 1 or more."""


class WindowPlace(Enum):
    """What a window says instead of a slot."""

    NOBODY = "NOBODY"
    UNSURE = "UNSURE"


class RankedWindow:
    """The window of one size; `passes` says of a slot whether it passes by what is its own."""

    __slots__ = ("_bound", "_glad", "_keys", "_passes", "_position")

    def __init__(self, glad: Glad, passes: Callable[[HostColumns, int], bool]) -> None:
        """A window that is yet to be opened."""
        self._glad = glad
        self._passes = passes
        self._keys: list[int] = []
        self._bound = -1
        self._position = -1

    def open(self, section: HostColumns, glad: NDArray[np.int64], passing: Bools) -> None:
        """A fresh window from columns."""
        slots = passing.nonzero()[0]
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

    def look(self, section: HostColumns, last: Last) -> tuple[int, UsageEntry] | WindowPlace:
        """The gladdest slot of the window that passes the last look too, and its datastore."""
        if self._bound < 0 or not self._catch_up(section):
            return WindowPlace.UNSURE
        keys, failed, glad, passes = self._keys, 0, self._glad, self._passes
        while failed < len(keys):
            key = keys[failed]
            slot: int = key & _SLOTS
            stale = (_TOP - glad(section, slot)) << _SLOT_BITS | slot != key
            if stale or not passes(section, slot):
                del keys[failed]
                continue
            store = last(slot)
            if store is not None:
                return slot, store
            failed += 1
            if failed == TRIES:
                return WindowPlace.UNSURE
        return WindowPlace.NOBODY if self._bound == _ENDLESS else WindowPlace.UNSURE

    def _catch_up(self, section: HostColumns) -> bool:
        """Take in the log since the last time; False when too much of it has passed."""
        start = self._position - section.log_base
        if start < 0 or len(section.log) - start > KEPT * 4:
            self._bound = -1
            return False
        news = section.log[start:]
        self._position += len(news)
        keys, bound, glad, passes = self._keys, self._bound, self._glad, self._passes
        for slot in news if len(news) < 2 else set(news):
            key = (_TOP - glad(section, slot)) << _SLOT_BITS | slot
            if key >= bound or not passes(section, slot):
                continue
            at = bisect_left(keys, key)
            if at == len(keys) or keys[at] != key:
                keys.insert(at, key)
        if len(keys) > 2 * KEPT:
            self._bound = keys[KEPT]
            del keys[KEPT:]
        return True
