"""Divergence is who is elsewhere than in history, and what that makes of each row.

Where nobody is elsewhere, every row is as history had it, bit for bit.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from scheduler.course import Stay
from scheduler.inventory import Datastore, Host, Scope
from scheduler.ledger import Key, Row

Vm = int
"""The number that the store gives a VM."""
Sums = tuple[int, int, int]
"""Virtual CPUs, MiB, bytes."""
Parts = Mapping[Key, Sums]
NOTHING: Sums = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Place:
    """A place that a VM had in history and the one it has now; None for none."""

    was: Stay | None
    now: Stay | None


@dataclass(slots=True)
class _Crowd:
    """Enterprises or layers on a host by how many of the VMs that asked are there."""

    was: Counter[int]
    now: Counter[int]

    def on(self, told: frozenset[int], before: frozenset[int]) -> frozenset[int]:
        """Those of a row; who was there `before` anybody asked is there still."""
        went = {one for one, count in self.was.items() if count and not self.now[one]} - before
        came = {one for one, count in self.now.items() if count > self.was[one]}
        return (told - went) | came


class Divergence:
    """The places of all VMs that asked since history began, and the sums of what differs."""

    def __init__(self, scopes_of: Callable[[int], Iterable[Key]]) -> None:
        """`scopes_of` names the aggregated elements of a host."""
        self.changed: set[Key] = set()
        self.sums = NOTHING
        self._scopes_of = scopes_of
        self._places: dict[Vm, tuple[Place, ...]] = {}
        self._parts: dict[Vm, Parts] = {}
        self._apart: Counter[Key] = Counter()
        self._more: dict[Key, Sums] = {}
        self._owners: dict[int, _Crowd] = {}
        self._layers: dict[int, _Crowd] = {}
        self._before: dict[int, frozenset[int]] = {}

    def enter(self, vm: Vm, was: Stay | None, now: Stay | None) -> None:
        """The VM got a place in history, or now, or both."""
        self._become(vm, (*self._places.get(vm, ()), Place(was, now)))

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
            places[-1] = Place(places[-1].was, left.now)
        self._become(vm, tuple(places))

    def resize(self, vm: Vm, host: int, amounts: Sequence[int]) -> None:
        """The VM holds so much there; where it is elsewhere now it holds as much there."""
        places = tuple(
            Place(_sized(place.was, amounts), place.now and _sized(place.now, amounts))
            if place.was is not None and place.was.host == host
            else place
            for place in self._places.get(vm, ())
        )
        self._become(vm, places)

    def knows(self, vm: Vm) -> bool:
        """Whether the VM has, or had in history, a place that was asked for."""
        return vm in self._places

    def now(self, vm: Vm) -> list[Stay]:
        """Where the VM is now, the oldest place first."""
        return [place.now for place in self._places.get(vm, ()) if place.now is not None]

    def told(self, row: Host) -> None:
        """History has these enterprises on the host: those of VMs that never asked, too."""
        crowd = self._owners.get(row.id)
        asked = crowd is not None and crowd.was.total() > 0
        before = self._before.get(row.id, frozenset()) if asked else row.enterprises
        self._before[row.id] = before & row.enterprises

    def on(self, row: Row) -> Row:
        """The row of history as it is now."""
        match row:
            case Host() if self._apart["host", row.id]:
                cpu, ram_mib, _ = self._more["host", row.id]
                before = self._before.get(row.id, frozenset())
                return replace(
                    row,
                    cpu_used=max(0, row.cpu_used + cpu),
                    ram_used_mib=max(0, row.ram_used_mib + ram_mib),
                    enterprises=self._owners[row.id].on(row.enterprises, before),
                    layers=self._layers[row.id].on(row.layers, frozenset()),
                )
            case Datastore() if self._apart["datastore", row.id]:
                disk = self._more["datastore", row.id][2]
                return replace(row, used_bytes=max(0, row.used_bytes + disk))
            case Scope() if self._apart[row.kind, row.id]:
                cpu, ram_mib, _ = self._more[row.kind, row.id]
                return replace(
                    row,
                    cpu_used=max(0, row.cpu_used + cpu),
                    ram_used_mib=max(0, row.ram_used_mib + ram_mib),
                )
        return row

    def _become(self, vm: Vm, places: tuple[Place, ...]) -> None:
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
            self._parts[vm] = {
                key: plus(now.get(key, NOTHING), was.get(key, NOTHING), -1)
                for key in was.keys() | now.keys()
            }
        for key, amounts in self._parts.get(vm, {}).items():
            self._add(key, amounts, 1)

    def _add(self, key: Key, amounts: Sums, sign: int) -> None:
        self.changed.add(key)
        self._apart[key] += sign
        self._more[key] = plus(self._more.get(key, NOTHING), amounts, sign)
        if key[0] in ("host", "datastore"):
            self.sums = plus(self.sums, amounts, sign)

    def _dwell(self, place: Place, sign: int) -> None:
        for stay, past in ((place.was, True), (place.now, False)):
            if stay is None:
                continue
            for crowds, one in (
                (self._owners, stay.demand.enterprise),
                (self._layers, stay.demand.layer),
            ):
                crowd = crowds.setdefault(stay.host, _Crowd(Counter(), Counter()))
                if one is not None:
                    (crowd.was if past else crowd.now)[one] += sign

    def _held(self, stays: Sequence[Stay]) -> Parts:
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


def _sized(stay: Stay, amounts: Sequence[int]) -> Stay:
    cpu, ram_mib, disk_bytes = amounts
    demand = replace(stay.demand, cpu=cpu, ram_mib=ram_mib, disk_bytes=disk_bytes)
    return replace(stay, demand=demand)
