"""Residents by size: for every host at once, whether its VMs surely fit on the others.

One VM of size `a`, wherever it is put, takes from a host at most as many places of size `b` as
`a` is bigger than `b` in its worst resource, rounded up. So after a host's bigger VMs were
placed, whatever hosts were chosen, at least so many places of `b` are left as there were, less
that. Each step errs on one side only: never safe for what the rules might refuse, never unsafe
for what some placing could do.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from scheduler.capacity.free_capacity import MOST, Column, FreeCapacity, Mask, times
from scheduler.capacity.headroom import computed
from scheduler.capacity.surroundings import Surroundings
from scheduler.model.demand import Demand, RelocationScope
from scheduler.model.inventory import Datastore

SIZES_MAX = 256
"""With more sizes than this they are rounded up, to powers of two."""
_CAP = 2**20  # as many places of one host count: no host has more VMs
_PLENTY = 2**60
_NOBODY = UUID(int=0)
Amounts: TypeAlias = NDArray[np.float64]
_Size = tuple[int, int, int, int, str, int, str | None, int | None, int | None, RelocationScope]


@dataclass(frozen=True, slots=True)
class SizeCount:
    """By host: what is certain. At least `short` VMs find no place; `slack` is how many places
    are surely left over of the size that has fewest."""

    safe: Mask
    unsafe: Mask
    short: Column
    slack: Column


class Residents:
    """The VMs of all hosts by size, biggest first, as columns; made once for one Room."""

    def __init__(self, room: FreeCapacity, peopled: Mapping[int, Sequence[Demand]]) -> None:
        """Raises ValueError for a VM whose origin is not the host it is listed under."""
        self._room = room
        self._minded = _minded(room)
        self._rounded = False
        lines = _lines(room, peopled)
        self._around = Surroundings(room, _biggest(lines))
        order = self._ordered(lines)
        if len(order) > SIZES_MAX:
            self._rounded = True
            order = self._ordered(lines)
        self._number = {size: n for n, size in enumerate(order)}
        self._demands = [_demand(size) for size in order]
        self._amounts = np.array([size[:3] for size in order], np.int64).reshape(-1, 3)
        # By size and host. Exact, also as floats, which multiply ten times faster.
        self._counts = np.zeros((len(order), len(room.candidates)))
        self._layered: list[tuple[int, int, int]] = []
        for n, vm in lines:
            size = self.number(vm)
            self._counts[size, n] += 1
            if vm.layer is not None:
                self._layered.append((n, size, vm.layer))
        self._owners = _owners(room, lines)
        self._hard = _hard(room, lines, self._layered, self._owners)

    def number(self, vm: Demand) -> int:
        """Where the VM's size comes in the order: 0 is the biggest."""
        return self._number[self._size(vm)]

    def counted(self) -> SizeCount:
        """What counting shows of the loss of each host."""
        places = self._slots(disks=True)
        slack = self._elsewhere(places) - self._needed(places)
        slack[self._counts == 0] = _PLENTY
        least = slack.min(axis=0, initial=_PLENTY).astype(np.int64)
        safe = (least >= 0) & ~self._hard
        short = np.zeros(len(safe), np.int64)
        if not (safe.all() or self._rounded):
            lacking = self._counts - self._elsewhere(self._slots(disks=False), at_most=True)
            short = np.where(safe, 0, lacking.max(axis=0, initial=0)).astype(np.int64)
        return SizeCount(safe, short > 0, short, least)

    def left(self, size: Demand) -> Column:
        """At least so many of a new size fit once the VMs of each lost host are placed again."""
        total = computed(self._room, size)
        if total is None:
            return np.zeros(len(self._room.candidates), np.int64)
        asked = np.array([[size.cpu, size.ram_mib, size.disk_bytes]], np.int64)
        disks = np.array([not self._around.ample(size)])
        taken = _takes(self._amounts, asked, disks)[:, 0] @ self._counts
        found = np.maximum(total - self._room.slots(size) - taken, 0)
        left: Column = found.astype(np.int64)
        apart = self._room.rules.excluded.get(size.enterprise or 0, frozenset())
        for n, owners in self._owners.items():
            if owners & apart:  # wherever they go, they close a whole host to it
                left[n] = 0
        return left

    def _size(self, vm: Demand) -> _Size:
        """The VM's size: its owner only counts where some rule minds the owner."""
        origin = vm.origin
        assert origin is not None
        cpu, ram, disk = vm.cpu, vm.ram_mib, vm.disk_bytes
        if self._rounded:
            cpu, ram, disk = _power(cpu), _power(ram), _power(disk)
        return (
            cpu,
            ram,
            disk,
            origin.datastore if self._around.may_run_full(origin) else -1,
            vm.type,
            vm.datacenter,
            vm.network,
            vm.enterprise if vm.enterprise in self._minded else None,
            vm.tier,
            origin.reach,
        )

    def _ordered(self, lines: list[tuple[int, Demand]]) -> list[_Size]:
        sizes = {self._size(vm) for _, vm in lines}
        cpu = max(sum(at.host.cpu_limit for at in self._room.candidates), 1)
        ram = max(sum(at.host.ram_limit_mib for at in self._room.candidates), 1)
        # repr breaks ties: the same order in every process.
        return sorted(sizes, key=lambda size: (-size[0] * ram - size[1] * cpu, repr(size)))

    def _slots(self, *, disks: bool) -> Column:
        """How many of each size (row) each host (column) takes."""
        room = self._room
        rows = []
        for demand, size in zip(self._demands, self._number, strict=True):
            row = np.minimum(times(room.cpu, demand.cpu), times(room.ram_mib, demand.ram_mib))
            if disks:
                row = np.minimum(row, self._around.disk_places(demand, size[3]))
            rows.append(np.where(room.eligible(demand), np.minimum(row, _CAP), 0))
        return np.array(rows, np.int64).reshape(len(rows), len(room.candidates))

    def _elsewhere(self, places: Column, *, at_most: bool = False) -> Column:
        """Places by size and host on the hosts that its VMs may go to: surely, or at most."""
        found = np.zeros_like(places)
        for reach in RelocationScope:
            sizes = [n for n, size in enumerate(self._number) if size[9] is reach]
            if sizes:
                found[sizes] = self._around.elsewhere(places[sizes], reach, nested=not at_most)
        if self._layered and not at_most:
            found -= self._closed_by_layers(places)
        return found

    def _closed_by_layers(self, places: Column) -> Column:
        """Places on hosts that have the layer of one of the VMs already."""
        layers: dict[int, list[int]] = {}
        for n, at in enumerate(self._room.candidates):
            for layer in at.host.layers:
                layers.setdefault(layer, []).append(n)
        sums = {layer: places[:, hosts].sum(axis=1) for layer, hosts in layers.items()}
        closed = np.zeros_like(places)
        for n, size, layer in self._layered:
            if layer in sums:
                own = places[size, n] if n in layers[layer] else 0
                closed[size, n] = max(closed[size, n], sums[layer][size] - own)
        return closed

    def _needed(self, places: Column) -> Amounts:
        """Places that a host's VMs, up to and with each size, take of that size at most."""
        disks = [
            bool((self._around.disk_places(demand, size[3])[row > 0] < MOST).any())
            for demand, size, row in zip(self._demands, self._number, places, strict=True)
        ]
        takes = np.maximum(_takes(self._amounts, self._amounts, np.array(disks, bool)), 1)
        needed: Amounts = np.tril(takes.T) @ self._counts
        return needed


def _biggest(lines: list[tuple[int, Demand]]) -> tuple[int, int, int]:
    """The most that one host's VMs ask for, each resource for itself."""
    sums: dict[int, list[int]] = {}
    for n, vm in lines:
        cell = sums.setdefault(n, [0, 0, 0])
        cell[0] += vm.cpu
        cell[1] += vm.ram_mib
        cell[2] += vm.disk_bytes
    cpu, ram, disk = (max((cell[n] for cell in sums.values()), default=0) for n in range(3))
    return cpu, ram, disk


def _lines(room: FreeCapacity, peopled: Mapping[int, Sequence[Demand]]) -> list[tuple[int, Demand]]:
    """Every VM on a known host, with the host's position."""
    lines = []
    for host, vms in peopled.items():
        for vm in vms:
            if vm.origin is None or vm.origin.host != host:
                raise ValueError(
                    f"{vm.vm} is listed under host {host}, where it does not come from"
                )
            if host in room.position:
                lines.append((room.position[host], vm))
    return lines


def _minded(room: FreeCapacity) -> frozenset[int | None]:
    """Enterprises that some rule treats unlike others."""
    rules = room.rules
    found: set[int | None] = {*rules.excluded, *rules.restricted}
    found |= {at.host.reserved_for for at in room.samples}
    for each in room.datastores:
        if isinstance(each.row, Datastore) and each.row.tier is not None:
            found |= each.row.tier.enterprises or frozenset()
    return frozenset(found - {None})


def _demand(size: _Size) -> Demand:
    cpu, ram, disk, _, type, datacenter, network, enterprise, tier, _ = size
    return Demand(
        _NOBODY,
        cpu,
        ram,
        disk,
        type,
        datacenter,
        network,
        enterprise=enterprise,
        tier=tier,
    )


def _owners(room: FreeCapacity, lines: list[tuple[int, Demand]]) -> dict[int, set[int]]:
    """By host, the enterprises of its VMs that exclusions are about."""
    found: dict[int, set[int]] = {}
    for n, vm in lines:
        if vm.enterprise is not None and vm.enterprise in room.rules.excluded:
            found.setdefault(n, set()).add(vm.enterprise)
    return found


def _hard(
    room: FreeCapacity,
    lines: list[tuple[int, Demand]],
    layered: list[tuple[int, int, int]],
    owners: Mapping[int, set[int]],
) -> Mask:
    """Hosts whose own VMs would close hosts to each other, or are limited: nothing is counted."""
    hard = np.zeros(len(room.candidates), bool)
    for (n, _), count in Counter((n, layer) for n, _, layer in layered).items():
        hard[n] |= count > 1
    for n, vm in lines:
        hard[n] |= vm.only is not None
    for n, found in owners.items():
        hard[n] |= any(room.rules.excluded[each] & found for each in found)
    return hard


def _takes(of: Column, places: Column, disks: Mask) -> Amounts:
    """How many places of each size (column) one VM of each size (row) takes at most."""
    most = np.zeros((len(of), len(places)), np.int64)
    for side in range(3):
        wanted = places[:, side]
        counted = (wanted > 0) & disks if side == 2 else wanted > 0
        taken = -(-of[:, side, None] // np.maximum(wanted, 1))
        most = np.maximum(most, np.where(counted, taken, 0))
    taken_most: Amounts = np.minimum(most, MOST).astype(np.float64)
    return taken_most


def _power(amount: int) -> int:
    """The next power of two."""
    return 1 << (amount - 1).bit_length() if amount else 0
