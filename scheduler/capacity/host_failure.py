"""Losing tells whether the VMs of any one host would find a place on the others, and which worst.

What is computed: for each host by itself, its VMs restart elsewhere by the rules of a relocation
(another host of their driver, within their reach), the biggest first, as the scheduler places
them. Three answers, the cheapest first:

- safe by counting: each VM that was placed before takes at most so many places of a size, so if
  all hosts together have more places than that, every choice of hosts leaves one. This is
  sound for any fit policy, and all hosts' losses are one product of matrices.
- unsafe by counting: of one size alone there are more VMs than places.
- else the VMs are really placed, in a fleet where the lost host is still there but is nobody's
  choice, and taken back.

Aggregated limits and shared datastores count in full; disks on a shared datastore stay there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np

from scheduler.capacity.free_capacity import FreeCapacity, Mask, room_of
from scheduler.capacity.headroom import fits
from scheduler.capacity.residents_by_size import Residents
from scheduler.fleet.fleet import Fleet
from scheduler.model.demand import Demand
from scheduler.model.placement import Placement
from scheduler.model.values import replace

Peopled = Mapping[int, Sequence[Demand]]
"""The VMs of each host, as demands whose origin it is."""


@dataclass(frozen=True, slots=True)
class HostFailure:
    """What the loss of one host would mean.

    `homeless` VMs find no place, by name where they were really placed. `left` is how many of
    the size asked for fit afterwards, None when nothing was asked; `placed` says that it and
    `homeless` were found by placing, else they were counted: so many at least.
    """

    host: int
    vms: int
    homeless: int
    placed: bool
    names: tuple[UUID, ...] = ()
    left: int | None = None


@dataclass(frozen=True, slots=True)
class FailureReport:
    """What the loss of any one host would mean.

    `undecided` hosts stay only where placing was not wanted. `worst` has the most homeless VMs,
    or leaves the least. `left`: so many of the size asked for still fit after any one loss, at
    least; at most it is `worst.left`. `placed` counts the hosts that counting did not decide.
    """

    unsafe: tuple[int, ...]
    undecided: tuple[int, ...]
    worst: HostFailure | None
    placed: int
    left: int | None = None

    @property
    def safe(self) -> bool:
        """Whether all VMs survive the loss of any one host."""
        return not (self.unsafe or self.undecided)


class FailureAnalysis:
    """The columns of one fleet and its residents: made once, asked often.

    It answers for the moment of its making; until then the fleet must not change.
    """

    def __init__(self, fleet: Fleet, peopled: Peopled, room: FreeCapacity | None = None) -> None:
        """Raises ValueError for a VM whose origin is not the host it is listed under."""
        self._fleet = fleet
        self._peopled = peopled
        self._room = room or room_of(fleet)
        self._residents = Residents(self._room, peopled)

    def survey(self, size: Demand | None = None, *, place: bool = True) -> FailureReport:
        """All losses, each by itself. Without `place` only what counting decides."""
        counted = self._residents.counted()
        unknown = ~(counted.safe | counted.unsafe)
        short = counted.short.copy()
        if place:
            for n in np.flatnonzero(unknown):
                short[n] = self._placed(int(n)).homeless
        left = None if size is None else self._residents.left(size)
        if not len(short):
            return FailureReport((), (), None, 0, None if size is None else 0)
        measure = counted.slack if left is None else left
        worst = int(short.argmax() if short.any() else measure.argmin())
        return FailureReport(
            self._ids(short > 0),
            () if place else self._ids(unknown),
            self._loss(worst, int(short[worst]), size, place=place),
            int(unknown.sum()) if place else 0,
            None if left is None else int(left.min()),
        )

    def _ids(self, mask: Mask) -> tuple[int, ...]:
        return tuple(self._room.candidates[n].host.id for n in np.flatnonzero(mask))

    def _loss(self, n: int, short: int, size: Demand | None, *, place: bool) -> HostFailure:
        if place and (short or size is not None):
            return self._placed(n, size)
        host = self._room.candidates[n].host.id
        return HostFailure(host, len(self._peopled.get(host, ())), short, placed=False)

    def _placed(self, n: int, size: Demand | None = None) -> HostFailure:
        """The VMs of one host placed on the others, and what fits then; none stays claimed."""
        fleet, host = self._fleet, self._room.candidates[n].host
        vms = sorted(self._peopled.get(host.id, ()), key=self._residents.number)
        policy = fleet.rules.policy(host.datacenter)
        done: list[tuple[Placement, Demand]] = []
        homeless = []
        for vm in vms:
            found = fleet.place(vm, policy)
            if isinstance(found, Placement):
                fleet.claim(found, vm)
                done.append((found, vm))
            else:
                homeless.append(vm.vm)
        left = None if size is None else fits(fleet, self._without(size, host.id))
        for placement, vm in reversed(done):
            fleet.release(placement, vm)
        return HostFailure(host.id, len(vms), len(homeless), True, tuple(homeless), left)

    def _without(self, size: Demand, lost: int) -> Demand:
        others = frozenset(self._room.position) - {lost}
        return replace(size, only=others if size.only is None else others & size.only)
