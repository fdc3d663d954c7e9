"""A course is who is where as things happen one after the other, and the most there ever was."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never
from uuid import UUID

from scheduler.model.demand import Demand
from scheduler.model.inventory import Host
from scheduler.model.values import replace
from scheduler.simulation.history_events import ReleaseScope
from scheduler.snapshot.snapshot import InventorySnapshot, SnapshotHold, SnapshotVm


@dataclass(frozen=True, slots=True)
class Stay:
    """A VM on a host, with all that it holds there."""

    host: int
    datastore: int
    demand: Demand


@dataclass(frozen=True, slots=True)
class Peak:
    """The most that was promised at one moment, each by itself; `hosts` had a VM."""

    cpu: int = 0
    ram_mib: int = 0
    disk_bytes: int = 0
    hosts: int = 0


NOTHING = Peak()


class Occupancy:
    """Who is where, and the sums."""

    def __init__(self) -> None:
        """Nobody is anywhere."""
        self.stays: dict[UUID, list[Stay]] = {}
        self.peak = NOTHING
        self._sums = [0, 0, 0]
        self._crowd: Counter[int] = Counter()

    def enter(self, stay: Stay) -> None:
        """The VM has one more place."""
        self.stays.setdefault(stay.demand.vm, []).append(stay)
        self._count(stay, 1)
        cpu, ram_mib, disk_bytes = self._sums
        peak = self.peak
        if (
            cpu > peak.cpu
            or ram_mib > peak.ram_mib
            or disk_bytes > peak.disk_bytes
            or len(self._crowd) > peak.hosts
        ):
            self.peak = Peak(
                max(peak.cpu, cpu),
                max(peak.ram_mib, ram_mib),
                max(peak.disk_bytes, disk_bytes),
                max(peak.hosts, len(self._crowd)),
            )

    def leave(self, vm: UUID, which: ReleaseScope) -> tuple[Stay, ...]:
        """The places given back. A VM with one place that moves or moved keeps it."""
        stays = self.stays.get(vm, [])
        match which:
            case ReleaseScope.ALL:
                left = tuple(stays)
            case ReleaseScope.OLDEST:
                left = tuple(stays[:1]) if len(stays) > 1 else ()
            case ReleaseScope.NEWEST:
                left = tuple(stays[-1:]) if len(stays) > 1 else ()
            case _:
                assert_never(which)
        for stay in left:
            stays.remove(stay)
            self._count(stay, -1)
        if not stays:
            self.stays.pop(vm, None)
        return left

    def grow(self, vm: UUID, demand: Demand) -> Stay | None:
        """The VM holds more where it is; the place as it is then, None when it has none."""
        stays = self.stays.get(vm)
        if not stays:
            return None
        old = stays.pop()
        self._count(old, -1)
        more = replace(
            old.demand,
            cpu=old.demand.cpu + demand.cpu,
            ram_mib=old.demand.ram_mib + demand.ram_mib,
            disk_bytes=old.demand.disk_bytes + demand.disk_bytes,
        )
        grown = replace(old, demand=more)
        self.enter(grown)
        return grown

    def _count(self, stay: Stay, sign: int) -> None:
        self._sums[0] += sign * stay.demand.cpu
        self._sums[1] += sign * stay.demand.ram_mib
        self._sums[2] += sign * stay.demand.disk_bytes
        self._crowd[stay.host] += sign
        if not self._crowd[stay.host]:
            del self._crowd[stay.host]


def stays_of(cluster: InventorySnapshot) -> tuple[Stay, ...]:
    """Everybody who is there, residents and holds; a hold is known by its own id."""
    hosts = {host.id: host for host in cluster.hosts}
    return (
        *(_stay(hosts, each.vm, each) for each in cluster.residents),
        *(_stay(hosts, each.id, each) for each in cluster.holds),
    )


def _stay(hosts: Mapping[int, Host], id: UUID, each: SnapshotVm | SnapshotHold) -> Stay:
    host = hosts.get(each.host)
    demand = Demand(
        id,
        each.cpu,
        each.ram_mib,
        each.disk_bytes,
        "" if host is None else host.type,
        0 if host is None else host.datacenter,
        enterprise=each.enterprise,
        layer=each.layer,
    )
    return Stay(each.host, each.datastore, demand)
