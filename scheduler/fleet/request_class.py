"""A sort of request is all of it but the size: policy, type, network, enterprise, tier, share.

A size that is new is searched in columns, which costs little more than the bare scan; asked
again it gets a window. Most requests of a cloud repeat a size.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from scheduler.fleet.datastore_columns import NOWHERE, FreeDiskColumn
from scheduler.fleet.eligibility import EligibilityMask
from scheduler.fleet.host_columns import Bools, HostColumns
from scheduler.fleet.ranked_window import RankedWindow, WindowPlace
from scheduler.fleet.ranking import rank_key, rank_key_column
from scheduler.fleet.shared_constraints import Last, SharedState, final_check_all
from scheduler.fleet.usage_ledger import UsageEntry
from scheduler.model.demand import Demand
from scheduler.model.fit_policy import FitPolicy

SHAPES_MAX = 64
"""Windows kept; the oldest goes first."""
NEW_MAX = 1024
_ANY = -(2**31)
Size = tuple[int, int, int]


class RequestClass:
    """Who is eligible, how glad, and the windows of the sizes asked for more than once."""

    __slots__ = ("_new", "_policy", "_shapes", "_shared", "_short", "kind", "shelf")

    def __init__(
        self,
        order: tuple[FitPolicy, bool],
        kind: EligibilityMask,
        shelf: FreeDiskColumn,
        shared: SharedState,
    ) -> None:
        """No size was asked for yet. The order is a policy, and whether unused hosts are short."""
        self._policy, self._short = order
        self._shared = shared
        self.kind = kind
        self.shelf = shelf
        self._shapes: dict[Size, RankedWindow] = {}
        self._new: set[Size] = set()

    def find(
        self, demand: Demand, section: HostColumns, last: Last
    ) -> tuple[int, UsageEntry] | None:
        """The gladdest slot that takes the demand, and its datastore; None when none does."""
        size = (demand.cpu, demand.ram_mib, demand.disk_bytes)
        shape = self._shapes.get(size)
        if shape is None and size not in self._new:
            if len(self._new) >= NEW_MAX:
                self._new.clear()
            self._new.add(size)
            return self._first(demand, section, self._passing(section, size), last)
        if shape is None:
            shape = self._keep(demand, size)
        found = shape.look(section, last)
        if isinstance(found, tuple):
            return found
        if found is WindowPlace.NOBODY:
            return None
        passing = self._passing(section, size)
        shape.open(section, rank_key_column(self._policy, demand, section, self._short), passing)
        found = shape.look(section, last)
        if isinstance(found, tuple):
            return found
        return self._thorough(demand, section, passing, last)

    def _first(
        self, demand: Demand, section: HostColumns, passing: Bools, last: Last
    ) -> tuple[int, UsageEntry] | None:
        """One search in columns."""
        scored = section.scratch()[2]
        np.multiply(rank_key_column(self._policy, demand, section, self._short), passing, scored)
        slot = int(scored.argmax())
        if not scored[slot]:
            return None
        store = last(slot)
        if store is not None:
            return slot, store
        return self._thorough(demand, section, passing, last)

    def _thorough(
        self, demand: Demand, section: HostColumns, passing: Bools, last: Last
    ) -> tuple[int, UsageEntry] | None:
        """The same with the last look in columns too."""
        passing = final_check_all(demand, passing, (section, self.shelf), self._shared)
        scored: NDArray[np.int64] = (
            rank_key_column(self._policy, demand, section, self._short) * passing
        )
        while True:
            slot = int(scored.argmax())
            if not scored[slot]:
                return None
            store = last(slot)
            if store is not None:
                return slot, store
            scored[slot] = 0

    def _passing(self, section: HostColumns, size: Size) -> Bools:
        """Who passes by columns. Nothing wanted always fits."""
        cpu, ram, disk = size
        passing, more, _ = section.scratch()
        at_least, both = np.greater_equal, np.bitwise_and
        at_least(section.cpu.array, cpu or _ANY, passing)
        both(passing, at_least(section.ram.array, ram or _ANY, more), passing)
        both(passing, at_least(self.shelf.free.array, disk or NOWHERE + 1, more), passing)
        if self.kind.mask is not None:
            both(passing, self.kind.mask, passing)
        return passing

    def _keep(self, demand: Demand, size: Size) -> RankedWindow:
        if len(self._shapes) >= SHAPES_MAX:
            del self._shapes[next(iter(self._shapes))]
        shape = RankedWindow(rank_key(self._policy, demand, self._short), self._passes(size))
        self._shapes[size] = shape
        return shape

    def _passes(self, size: Size) -> Callable[[HostColumns, int], bool]:
        """What `_passing` says, of one slot."""
        cpu, ram, disk = size[0] or _ANY, size[1] or _ANY, size[2] or NOWHERE + 1
        kind, shelf = self.kind, self.shelf

        def passes(section: HostColumns, slot: int) -> bool:
            return (
                section.cpu.values[slot] >= cpu
                and section.ram.values[slot] >= ram
                and shelf.free.values[slot] >= disk
                and kind.passes(section, slot)
            )

        return passes
