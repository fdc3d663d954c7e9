"""Promises of this process stay counted until the ledger's own numbers hold them.

The feed tells absolute numbers, also while a claim is on its way: whoever took these as they are
would offer the promised room again.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import structs

from scheduler.fleet.usage_ledger import Claimant, Key
from scheduler.model.demand import Demand
from scheduler.model.placement import HostCounts, Placement


@dataclass(slots=True)
class _Promise:
    """What a claimant was promised of one row; the row counts it since generation `since`."""

    placement: Placement
    demand: Demand
    since: int | None = None


class Promises:
    """By row, what it may not count yet."""

    def __init__(self) -> None:
        """None."""
        self._rows: dict[Key, dict[Claimant, _Promise]] = {}

    def make(self, placement: Placement, demand: Demand) -> None:
        """A place is promised; nothing is booked yet."""
        for seen in placement.seen:
            of_row = self._rows.setdefault((seen.kind, seen.id), {})
            of_row[_claimant(placement, demand)] = _Promise(_only(placement, seen), demand)

    def booked(
        self, placement: Placement, demand: Demand, generations: Mapping[Key, int]
    ) -> tuple[HostCounts, ...]:
        """It is booked, if the transaction commits: rows of these generations count it.

        This is said before the commit, since the feed may tell of it before the commit returns.
        Returns the promises that are over, since their rows were not written: others in the
        transaction gave back as much, or it takes nothing there.
        """
        claimant = _claimant(placement, demand)
        for seen in placement.seen:
            promise = self._rows.get((seen.kind, seen.id), {}).get(claimant)
            if promise is not None:
                promise.since = generations.get((seen.kind, seen.id))
        unwritten = [seen for seen in placement.seen if (seen.kind, seen.id) not in generations]
        for seen in unwritten:
            self._drop((seen.kind, seen.id), claimant)
        return tuple(unwritten)

    def end(self, placement: Placement, demand: Demand) -> None:
        """It was not granted."""
        for seen in placement.seen:
            self._drop((seen.kind, seen.id), _claimant(placement, demand))

    def beyond(self, key: Key, generation: int) -> list[tuple[Placement, Demand]]:
        """What a row of that generation, which the fleet has just taken, does not count."""
        of_row = self._rows.get(key, {})
        told = [
            claimant
            for claimant, one in of_row.items()
            if one.since is not None and one.since <= generation
        ]
        for claimant in told:
            self._drop(key, claimant)
        return [(one.placement, one.demand) for one in of_row.values()]

    def _drop(self, key: Key, claimant: Claimant) -> None:
        of_row = self._rows.get(key, {})
        of_row.pop(claimant, None)
        if not of_row:
            self._rows.pop(key, None)


def _claimant(placement: Placement, demand: Demand) -> Claimant:
    return (demand.vm.int, placement.host)


def _only(placement: Placement, seen: HostCounts) -> Placement:
    return structs.replace(placement, seen=(seen,))
