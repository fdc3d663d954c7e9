"""Divergence is who is elsewhere than in history, and what that makes of each row.

Where nobody is elsewhere, every row is as history had it, bit for bit.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from scheduler.fleet.usage_ledger import Key, Use
from scheduler.model.values import replace
from scheduler.simulation.occupancy import Stay

Vm = int
"""The number that the store gives a VM."""
Sums = tuple[int, int, int]
"""Virtual CPUs, MiB, bytes."""
Parts = Mapping[Key, Sums]
NOTHING: Sums = (0, 0, 0)
UNTOLD = 0
"""In place of a datastore that history did not name; none has this id."""
_NOBODY: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class VisitedPlace:
    """A place that a VM had in history and the one it has now; None for none."""

    was: Stay | None
    now: Stay | None


class _Crowd:
    """Enterprises or layers on a host by how many of the VMs that asked are there."""

    __slots__ = ("_came", "_now", "_was", "_went")

    def __init__(self) -> None:
        self._was: dict[int, int] = {}
        self._now: dict[int, int] = {}
        self._went: set[int] = set()
        self._came: set[int] = set()

    def count(self, one: int, was: int, now: int) -> None:
        """So many more were there in history, and so many are there now."""
        before = self._was[one] = self._was.get(one, 0) + was
        present = self._now[one] = self._now.get(one, 0) + now
        (self._went.add if before and not present else self._went.discard)(one)
        (self._came.add if present > before else self._came.discard)(one)
        if not before and not present:
            del self._was[one], self._now[one]

    def asked(self) -> bool:
        """Whether any of history's VMs asked."""
        return any(self._was.values())

    def on(self, told: frozenset[int], before: frozenset[int]) -> frozenset[int]:
        """Those of a row; who was there `before` anybody asked is there still."""
        went = self._went - before
        if went:
            told = told - went
        return told | self._came if self._came else told


class Divergence:
    """The places of all VMs that asked since history began, and the sums of what differs."""

    def __init__(self, scopes_of: Callable[[int], Iterable[Key]]) -> None:
        """`scopes_of` names the aggregated elements of a host."""
        self.changed: set[Key] = set()
        self.sums = NOTHING
        self._scopes_of = scopes_of
        self._places: dict[Vm, tuple[VisitedPlace, ...]] = {}
        self._parts: dict[Vm, Parts] = {}
        self._apart: dict[Key, list[int]] = {}
        self._owners: dict[int, _Crowd] = {}
        self._layers: dict[int, _Crowd] = {}
        self._before: dict[int, frozenset[int]] = {}

    def enter(self, vm: Vm, was: Stay | None, now: Stay | None) -> None:
        """The VM got a place in history, or now, or both."""
        self._become(vm, (*self._places.get(vm, ()), VisitedPlace(was, now)))

    def forget_unasked(self, vm: Vm) -> None:
        """The VM asks once more in history for what it has only now."""
        places = self._places.get(vm, ())
        self._become(vm, tuple(place for place in places if place.was is not None))

    def leave(self, vm: Vm, host: int) -> None:
        """The VM gave back its place on a host of history, the oldest where it has two.

        It does not leave the place it has now for one that it was refused.
        """
        places = list(self._places.get(vm, ()))
        left = next((p for p in places if p.was is not None and p.was.host == host), None)
        if left is None:
            return
        places.remove(left)
        if places and all(place.now is None for place in places):
            places[-1] = VisitedPlace(places[-1].was, left.now)
        self._become(vm, tuple(places))

    def resize(self, vm: Vm, host: int, was: Sequence[int], now: Sequence[int]) -> None:
        """The VM holds so much there in history, and so much where it is now."""
        places = tuple(
            VisitedPlace(_sized(place.was, was), place.now and _sized(place.now, now))
            if place.was is not None and place.was.host == host
            else place
            for place in self._places.get(vm, ())
        )
        self._become(vm, places)

    def meet(self, vm: Vm, stay: Stay) -> None:
        """The VM is there in history; so it is now, unless it is known to be elsewhere."""
        if vm not in self._places:
            self.enter(vm, stay, stay)
            return
        self._become(
            vm,
            tuple(
                VisitedPlace(_known(place.was, stay), _known(place.now, stay))
                for place in self._places[vm]
            ),
        )

    def knows(self, vm: Vm) -> bool:
        """Whether the VM has, or had in history, a place that was asked for."""
        return vm in self._places

    def was(self, vm: Vm, host: int) -> Stay | None:
        """The place that the VM has on a host in history, as far as it is known."""
        stays = (place.was for place in self._places.get(vm, ()))
        return next((stay for stay in stays if stay is not None and stay.host == host), None)

    def now(self, vm: Vm) -> list[Stay]:
        """Where the VM is now, the oldest place first."""
        return [place.now for place in self._places.get(vm, ()) if place.now is not None]

    def told(self, host: int, enterprises: frozenset[int]) -> None:
        """History has these enterprises on the host: those of VMs that never asked, too."""
        crowd = self._owners.get(host)
        if crowd is not None and crowd.asked():
            enterprises &= self._before.get(host, _NOBODY)
        self._before[host] = enterprises

    def on(self, key: Key, use: Use) -> Use:
        """What is promised of a row of history as it is now."""
        apart = self._apart.get(key)
        if apart is None:
            return use
        _, cpu, ram_mib, disk = apart
        kind, id = key
        owners, layers = use.enterprises, use.layers
        if kind == "host":
            owners = self._owners[id].on(owners, self._before.get(id, _NOBODY))
            layers = self._layers[id].on(layers, _NOBODY)
        return Use(
            max(0, use.cpu + cpu),
            max(0, use.ram_mib + ram_mib),
            max(0, use.disk_bytes + disk),
            owners,
            layers,
        )

    def _become(self, vm: Vm, places: tuple[VisitedPlace, ...]) -> None:
        """These are the VM's places from now on."""
        for place in self._places.pop(vm, ()):
            self._dwell(place, -1)
        for key, amounts in self._parts.pop(vm, {}).items():
            self._add(key, amounts, -1)
        if not places:
            return
        self._places[vm] = places
        for place in places:
            self._dwell(place, 1)
        if any(place.was != place.now for place in places):
            was = self._held([place.was for place in places if place.was is not None])
            now = self._held([place.now for place in places if place.now is not None])
            for key, amounts in was.items():
                now[key] = plus(now.get(key, NOTHING), amounts, -1)
            self._parts[vm] = now
            for key, amounts in now.items():
                self._add(key, amounts, 1)

    def _add(self, key: Key, amounts: Sums, sign: int) -> None:
        """One VM more, or less, that is elsewhere makes so much of a difference to the row."""
        self.changed.add(key)
        apart = self._apart.get(key)
        if apart is None:
            apart = self._apart[key] = [0, 0, 0, 0]
        cpu, ram_mib, disk = amounts
        apart[0] += sign
        apart[1] += sign * cpu
        apart[2] += sign * ram_mib
        apart[3] += sign * disk
        if not apart[0]:
            del self._apart[key]
        if key[0] in ("host", "datastore"):
            self.sums = plus(self.sums, amounts, sign)

    def _dwell(self, place: VisitedPlace, sign: int) -> None:
        for stay, was, now in ((place.was, sign, 0), (place.now, 0, sign)):
            if stay is None:
                continue
            for crowds, one in (
                (self._owners, stay.demand.enterprise),
                (self._layers, stay.demand.layer),
            ):
                crowd = crowds.get(stay.host)
                if crowd is None:
                    crowd = crowds[stay.host] = _Crowd()
                if one is not None:
                    crowd.count(one, was, now)

    def _held(self, stays: Sequence[Stay]) -> dict[Key, Sums]:
        """What one VM with these stays holds: its disk once in each datastore, itself once in
        each aggregated element."""
        held: dict[Key, Sums] = {}
        for stay in stays:
            cpu, ram_mib, disk = stay.demand.cpu, stay.demand.ram_mib, stay.demand.disk_bytes
            host, datastore = ("host", stay.host), ("datastore", stay.datastore)
            held[host] = plus(held.get(host, NOTHING), (cpu, ram_mib, 0), 1)
            held[datastore] = (0, 0, max(disk, held.get(datastore, NOTHING)[2]))
            for key in self._scopes_of(stay.host):
                there = held.get(key, NOTHING)
                held[key] = (max(cpu, there[0]), max(ram_mib, there[1]), 0)
        return held


def plus(left: Sums, right: Sums, sign: int) -> Sums:
    """The sum, or with a sign of -1 the difference."""
    return (left[0] + sign * right[0], left[1] + sign * right[1], left[2] + sign * right[2])


def _known(stay: Stay | None, like: Stay) -> Stay | None:
    if stay is None or stay.datastore != UNTOLD:
        return stay
    demand = stay.demand
    told = replace(
        like.demand, cpu=demand.cpu, ram_mib=demand.ram_mib, disk_bytes=demand.disk_bytes
    )
    return replace(like, demand=told)


def _sized(stay: Stay, amounts: Sequence[int]) -> Stay:
    cpu, ram_mib, disk_bytes = amounts
    demand = replace(stay.demand, cpu=cpu, ram_mib=ram_mib, disk_bytes=disk_bytes)
    return replace(stay, demand=demand)
