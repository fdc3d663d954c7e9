"""Headroom says what still fits: the biggest VM, and how many of a size, as placing would show.

"How many fit" is the number that the scheduler itself would place one after the other. Where
the limits nest (hosts in clusters in racks in the datacenter, each datastore for hosts of its
own or never the one that fills up) every order of placing ends at the same number, and it is
computed. Otherwise an unlucky choice of datastore may cost a place: then the VMs are placed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np

from scheduler.capacity.free_capacity import (
    MOST,
    CapacityElement,
    Column,
    FreeCapacity,
    room_for_disk,
    room_of,
    times_of,
)
from scheduler.fleet.fleet import Fleet
from scheduler.model.datastore_choice import spare
from scheduler.model.demand import Demand
from scheduler.model.inventory import AggregateScope, Datastore
from scheduler.model.placement import Placement
from scheduler.model.values import replace

_Bound = tuple[Column, int]
_FIRST = 1 << 127
"""Ids of the VMs that are placed only to be counted; no real one is that large a number."""


@dataclass(frozen=True, slots=True)
class Biggest:
    """The most that one VM may ask: virtual CPUs, MiB and bytes each for themselves, and
    `shapes`, the pairs (cpu, ram_mib) of which neither can grow, most CPUs first.

    Each pair leaves room for the bytes that were asked for; all is 0 where no host is open.
    """

    cpu: int
    ram_mib: int
    disk_bytes: int
    shapes: tuple[tuple[int, int], ...]

    def cpu_at(self, mib_per_cpu: int) -> int:
        """The most CPUs that come with so much memory each."""
        if mib_per_cpu <= 0:
            return self.shapes[0][0] if self.shapes else 0
        return max((min(cpu, ram // mib_per_cpu) for cpu, ram in self.shapes), default=0)


def biggest(fleet: Fleet, demand: Demand, room: FreeCapacity | None = None) -> Biggest:
    """The biggest VM that fits now; of the demand its CPUs and memory are not looked at."""
    room = room or room_of(fleet)
    open_ = room.eligible(demand)
    cpu, ram = np.maximum(room.cpu, 0), np.maximum(room.ram_mib, 0)
    disk = room_for_disk(room, demand)
    for each in room.scopes:
        assert isinstance(each.row, AggregateScope)
        row, members = each.row, each.members
        cpu[members] = np.minimum(cpu[members], _left(row.cpu_limit, row.cpu_used))
        ram[members] = np.minimum(ram[members], _left(row.ram_limit_mib, row.ram_used_mib))
        left = _left(row.disk_limit_bytes, row.disk_used_bytes)
        disk[members] = np.minimum(disk[members], left)
    # Adding no bytes always fits.
    roomy = open_ & ((disk >= demand.disk_bytes) | (demand.disk_bytes == 0))
    return Biggest(
        int(cpu[open_].max(initial=0)),
        int(ram[open_].max(initial=0)),
        int(disk[open_].max(initial=0)),
        _frontier(cpu[roomy], ram[roomy]),
    )


def _left(limit: int | None, used: int) -> int:
    return 2**62 if limit is None else max(limit - used, 0)


def _frontier(cpu: Column, ram: Column) -> tuple[tuple[int, int], ...]:
    """The pairs that no other one exceeds."""
    shapes: list[tuple[int, int]] = []
    for n in np.lexsort((-ram, -cpu)):
        if not shapes or ram[n] > shapes[-1][1]:
            shapes.append((int(cpu[n]), int(ram[n])))
    return tuple(shapes)


def fits(fleet: Fleet, demand: Demand, room: FreeCapacity | None = None) -> int:
    """How many of the demand the scheduler would place from here on, exactly.

    Raises ValueError for a demand of nothing, which fits without end, and for a relocation.
    """
    if demand.origin is not None:
        raise ValueError("a VM that is somewhere already is not counted")
    if not (demand.cpu or demand.ram_mib or demand.disk_bytes):
        raise ValueError("a demand of nothing fits without end")
    counted = computed(room or room_of(fleet), demand)
    return len(placed(fleet, demand)) if counted is None else counted


def computed(room: FreeCapacity, demand: Demand) -> int | None:
    """The number by arithmetic; None where it depends on the order of placing."""
    slots = room.slots(demand)
    bounds = _by_datastore(room, demand, slots)
    if bounds is None:
        return None
    for each in room.scopes:
        assert isinstance(each.row, AggregateScope)
        bounds.append((each.members, _of_scope(each.row, demand)))
    return _nested(slots, bounds)


def placed(fleet: Fleet, demand: Demand, most: int = MOST) -> list[Placement]:
    """The places of up to `most` VMs of the demand, one after the other; none stays claimed."""
    policy = fleet.rules.policy(demand.datacenter)
    done: list[tuple[Placement, Demand]] = []
    named = demand.only or frozenset(host.id for host in fleet.hosts())
    used: set[int] = set()
    while len(done) < most:
        each = replace(demand, vm=UUID(int=_FIRST + len(done)))
        if demand.layer is not None:
            each = replace(each, only=named - used)
        found = fleet.place(each, policy)
        if not isinstance(found, Placement):
            break
        fleet.claim(found, each)
        done.append((found, each))
        used.add(found.host)
    for placement, each in reversed(done):
        fleet.release(placement, each)
    return [placement for placement, _ in done]


def _of_scope(scope: AggregateScope, demand: Demand) -> int:
    return min(
        times_of(scope.cpu_limit, scope.cpu_used, demand.cpu),
        times_of(scope.ram_limit_mib, scope.ram_used_mib, demand.ram_mib),
        times_of(scope.disk_limit_bytes, scope.disk_used_bytes, demand.disk_bytes),
    )


def _by_datastore(room: FreeCapacity, demand: Demand, slots: Column) -> list[_Bound] | None:
    """Bounds by datastore, after `slots` was cut by those of one host; None for a tangle.

    A datastore that takes all that its hosts could ever send bounds nobody. One that may fill
    up is a plain bound only while none of its hosts has another.
    """
    if demand.disk_bytes == 0:
        return []
    own = np.zeros_like(slots)
    seen = np.zeros_like(slots)
    free = np.zeros(slots.shape, bool)
    full: list[_Bound] = []
    for each in room.usable(demand):
        count = _of_datastore(each, demand)
        members = each.members[slots[each.members] > 0]
        seen[members] += 1
        if len(members) == 1:
            own[members] += count
        elif count >= int(slots[members].sum()):
            free[members] = True
        else:
            full.append((members, count))
    if any((seen[members] > 1).any() for members, _ in full):
        return None
    for members, _ in full:
        free[members] = True
    np.minimum(slots, np.where(free, slots, own), out=slots)
    return full


def _of_datastore(each: CapacityElement, demand: Demand) -> int:
    assert isinstance(each.row, Datastore)
    return min(max(spare(each.row), 0) // demand.disk_bytes, MOST)


def _nested(slots: Column, bounds: Sequence[_Bound]) -> int | None:
    """The sum of `slots` under bounds on sets of hosts; None unless the sets nest.

    Smallest set first, each one joins what it is made of, and counts for no more than its bound.
    """
    value, size = slots.copy(), np.ones_like(slots)
    group = np.arange(len(slots), dtype=np.int64)
    for members, most in sorted(bounds, key=lambda bound: len(bound[0])):
        if most >= int(slots[members].sum()):
            continue
        parts, counts = np.unique(group[members], return_counts=True)
        if (counts != size[parts]).any():
            return None
        total = int(value[parts].sum())
        value[parts] = 0
        group[members] = parts[0]
        size[parts[0]], value[parts[0]] = len(members), min(total, most)
    return int(value.sum())
