"""A circle is the hosts among which relocations are legal, with their VMs counted by kind.

The arithmetic on circles only finds moves; whether one is legal the fleet says each time.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

import numpy as np

from scheduler.fleet.fleet import Fleet
from scheduler.fleet.ranking import FitPolicy
from scheduler.model.demand import Demand, RelocationScope
from scheduler.model.inventory import Host, HostState
from scheduler.model.reason import ReasonCode
from scheduler.model.values import replace
from scheduler.plan.knapsack import Flags, Whole
from scheduler.plan.packing import Problem
from scheduler.plan.resident import MovableVm, Terms, relocation

Key = tuple[int, str, str, int]
Kind = tuple[int, int, int, Demand, int]
"""Virtual CPUs, MiB and bytes to copy, all else that rules look at, the shared datastore or 0."""
Refused = set[tuple[Kind, int]]
"""Kinds that the fleet did not let onto a host although it seemed legal."""


@dataclass(slots=True)
class Circle:
    """Host ids by row and kinds by column of the problem; `members` are the VMs that may move."""

    hosts: list[int]
    kinds: list[Kind]
    problem: Problem
    members: dict[tuple[int, int], list[UUID]]
    residents: int


def circles(
    fleet: Fleet,
    residents: Iterable[MovableVm],
    terms: Terms,
    refused: Refused,
    counts: Callable[[Host, bool], bool],
) -> list[Circle]:
    """All circles with anything to move; `counts` takes a host, which is busy or not, or not."""
    living: dict[int, list[MovableVm]] = defaultdict(list)
    for each in residents:
        living[each.host].append(each)
    rows: dict[Key, list[Host]] = defaultdict(list)
    for host in fleet.hosts():
        busy = bool(living.get(host.id)) or host.cpu_used > 0 or host.ram_used_mib > 0
        if host.id not in terms.left_out and counts(host, busy):
            rack = host.rack if terms.reach is RelocationScope.RACK else 0
            rows[host.datacenter, host.hypervisor, host.type, rack].append(host)
    made = (_circle(fleet, rows[key], living, terms, refused) for key in sorted(rows))
    return [circle for circle in made if circle is not None]


def occupied(host: Host, busy: bool) -> bool:
    """Counts the hosts that have VMs: consolidating opens no other."""
    return busy


def every(host: Host, busy: bool) -> bool:
    """Counts all hosts: evening out may open an empty one."""
    return True


def _circle(
    fleet: Fleet,
    rows: list[Host],
    living: dict[int, list[MovableVm]],
    terms: Terms,
    refused: Refused,
) -> Circle | None:
    members: dict[tuple[int, Kind], list[MovableVm]] = defaultdict(list)
    for place, host in enumerate(rows):
        if not _works(host):
            continue
        for each in living.get(host.id, ()):
            if each.still is None:
                members[place, _kind(each, fleet, terms)].append(each)
    kinds = sorted({kind for _, kind in members}, key=_order)
    if not kinds:
        return None
    column = {kind: n for n, kind in enumerate(kinds)}
    counts = np.zeros((len(rows), len(kinds)), np.int64)
    for (place, kind), each_of in members.items():
        counts[place, column[kind]] = len(each_of)
    needs = np.array([kind[:3] for kind in kinds], np.int64)
    problem = Problem(
        needs,
        counts,
        np.array([_spare(host, fleet) for host in rows], np.int64),
        _eligible(fleet, rows, kinds, refused),
        _clearable(rows, living, counts @ needs),
        np.array([_middle(rows, _cpu), _middle(rows, _ram)], np.int64),
    )
    named = {
        (place, column[kind]): [each.vm for each in sorted(each_of, key=_cheapest_last)]
        for (place, kind), each_of in members.items()
    }
    ids = [host.id for host in rows]
    return Circle(ids, kinds, problem, named, sum(len(living.get(id, ())) for id in ids))


def _works(host: Host) -> bool:
    return host.state is HostState.MANAGED and host.reachable


def _kind(resident: MovableVm, fleet: Fleet, terms: Terms) -> Kind:
    demand = relocation(resident, fleet, terms.reach)
    origin = demand.origin
    assert origin is not None
    shared = resident.datastore if origin.shared else 0
    anywhere = replace(origin, host=0, datastore=shared)
    alike = replace(
        demand, vm=UUID(int=0), cpu=0, ram_mib=0, disk_bytes=0, origin=anywhere, only=None
    )
    return (demand.cpu, demand.ram_mib, 0 if shared else demand.disk_bytes, alike, shared)


def _order(kind: Kind) -> tuple[int, int, int, int, str]:
    return (*kind[:3], kind[4], repr(kind[3]))


def _cheapest_last(resident: MovableVm) -> tuple[bool, int, UUID]:
    return (resident.live, resident.demand.disk_bytes, resident.vm)


def _spare(host: Host, fleet: Fleet) -> tuple[int, int, int]:
    found = [fleet.datastore(id) for id in host.datastores]
    free = [each.limit_bytes - each.used_bytes for each in found if each and each.enabled]
    return (
        host.cpu_limit - host.cpu_used,
        host.ram_limit_mib - host.ram_used_mib,
        max([0, *free]),
    )


def _eligible(fleet: Fleet, rows: list[Host], kinds: list[Kind], refused: Refused) -> Flags:
    """Which host would do for which kind if it were empty, as the rulebook says."""
    asked: dict[Demand, set[int]] = {}
    eligible = np.zeros((len(rows), len(kinds)), np.bool_)
    for n, kind in enumerate(kinds):
        alike, shared = kind[3], kind[4]
        if alike not in asked:
            asked[alike] = _would_do(fleet, alike)
        for place, host in enumerate(rows):
            sees = not shared or shared in host.datastores
            would = host.id in asked[alike] and sees
            eligible[place, n] = would and (kind, host.id) not in refused
    return eligible


def _would_do(fleet: Fleet, alike: Demand) -> set[int]:
    passing = (ReasonCode.SAME_HOST,)
    return {
        host.id
        for host, _, reasons in fleet.candidates(alike, FitPolicy.PROGRESSIVE)
        if all(reason.lack.capacity or reason.lack in passing for reason in reasons)
    }


def _clearable(rows: list[Host], living: dict[int, list[MovableVm]], moving: Whole) -> Flags:
    """Hosts where everything that is promised belongs to VMs that may move."""
    return np.array(
        [
            _works(host)
            and all(each.still is None for each in living.get(host.id, ()))
            and host.cpu_used <= int(held[0])
            and host.ram_used_mib <= int(held[1])
            for host, held in zip(rows, moving, strict=True)
        ],
        np.bool_,
    )


def _middle(rows: list[Host], amount: Callable[[Host], int]) -> int:
    return sum(amount(host) for host in rows) // len(rows)


def _cpu(host: Host) -> int:
    return host.cpu_limit


def _ram(host: Host) -> int:
    return host.ram_limit_mib
