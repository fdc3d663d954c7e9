"""What lies around each host when it is lost: where its VMs may go, and what all hosts share.

A shared thing (a datastore, an aggregated limit) that takes everything the biggest loss adds
never stands in the way. One that might is counted as if nothing fitted there, so that what is
said to fit surely does.
"""

from collections.abc import Mapping

import numpy as np

from scheduler.capacity.free_capacity import MOST, CapacityElement, Column, FreeCapacity, times
from scheduler.model.datastore_choice import spare
from scheduler.model.demand import Demand, Origin, RelocationScope
from scheduler.model.inventory import AggregateScope, Datastore


class Surroundings:
    """For one Room; `biggest` are the vCPUs, MiB and bytes that one host's loss adds at most."""

    def __init__(self, room: FreeCapacity, biggest: tuple[int, int, int]) -> None:
        """Groups the hosts by reach, and by the aggregated limits that might stand in the way."""
        self._room = room
        self._biggest = biggest
        hosts = [at.host for at in room.candidates]
        self._groups: Mapping[RelocationScope, Column] = {
            RelocationScope.RACK: _numbered([(host.hypervisor, "", host.rack) for host in hosts]),
            RelocationScope.DATACENTER: _numbered(
                [(host.hypervisor, "", host.datacenter) for host in hosts]
            ),
        }
        self._tight = self._tightly(room)
        self._disks: dict[tuple[object, ...], Column] = {}
        self._full = {each.row.id for each in room.datastores if _spare(each) < biggest[2]}

    def elsewhere(self, places: Column, reach: RelocationScope, *, nested: bool = True) -> Column:
        """Of places by size and host: those on all other hosts that a host's VMs may go to.

        Not `nested`, aggregated limits are left out of the account: so many at the most.
        """
        group = self._groups[reach]
        if not (nested and self._tight.any()):
            return _sums(places, group) - places
        tight = self._tight > 0
        both = _numbered(list(zip(group.tolist(), self._tight.tolist(), strict=True)))
        return (
            _sums(np.where(tight, 0, places), group)
            + np.where(tight, _sums(places, both), 0)
            - places
        )

    def may_run_full(self, origin: Origin) -> bool:
        """Whether it matters that a VM's disk can stay where it is: others may find no room."""
        return origin.shared and origin.datastore in self._full

    def disk_places(self, demand: Demand, own: int) -> Column:
        """How many of the demand's disks each host takes; on its `own` datastore all stay."""
        key = (demand.disk_bytes, own, demand.tier, demand.enterprise)
        known = self._disks.get(key)
        if known is None:
            known = self._disks[key] = self._disk_places(demand, own)
        return known

    def _disk_places(self, demand: Demand, own: int) -> Column:
        roomy = np.full(len(self._room.candidates), -1, np.int64)
        open_ = np.zeros(len(self._room.candidates), bool)
        for each in self._room.usable(demand):
            left = _spare(each)
            open_[each.members] |= each.row.id == own or left >= self._biggest[2]
            if len(each.members) == 1:
                roomy[each.members] = np.maximum(roomy[each.members], left)
        seen = np.where(roomy < 0, 0, times(roomy, demand.disk_bytes))
        places: Column = np.where(open_, MOST, seen)
        return places

    def ample(self, size: Demand) -> bool:
        """Whether no datastore bounds how many of a size fit, whatever is lost."""
        slots = self._room.slots(size)
        return size.disk_bytes == 0 or all(
            (_spare(each) - self._biggest[2]) // size.disk_bytes >= int(slots[each.members].sum())
            for each in self._room.usable(size)
        )

    def _tightly(self, room: FreeCapacity) -> Column:
        """A number for each set of aggregated limits that may run out, 0 for none."""
        found: Column = np.zeros(len(room.candidates), np.int64)
        for each in room.scopes:
            assert isinstance(each.row, AggregateScope)
            if self._may_run_out(each.row):
                member = np.zeros_like(found)
                member[each.members] = 1
                found = _renumbered(found * 2 + member)
        return found

    def _may_run_out(self, scope: AggregateScope) -> bool:
        cpu, ram_mib, disk_bytes = self._biggest
        sides = (
            (scope.cpu_limit, scope.cpu_used, cpu),
            (scope.ram_limit_mib, scope.ram_used_mib, ram_mib),
            (scope.disk_limit_bytes, scope.disk_used_bytes, disk_bytes),
        )
        return any(
            limit is not None and wanted and used + wanted > limit for limit, used, wanted in sides
        )


def _spare(each: CapacityElement) -> int:
    assert isinstance(each.row, Datastore)
    return spare(each.row)


def _numbered(keys: list[tuple[object, ...]]) -> Column:
    known: dict[tuple[object, ...], int] = {}
    return np.array([known.setdefault(key, len(known)) for key in keys], np.int64)


def _renumbered(numbers: Column) -> Column:
    """Small numbers instead, 0 for 0: what is equal stays equal."""
    values = np.unique(np.append(numbers, 0))
    found: Column = np.searchsorted(values, numbers)
    return found


def _sums(places: Column, group: Column) -> Column:
    """For each row, the sum over all hosts of a host's group."""
    if not places.size:
        return places
    most = int(group.max()) + 1
    rows = [np.bincount(group, weights=row, minlength=most)[group] for row in places]
    return np.array(rows).astype(np.int64)
