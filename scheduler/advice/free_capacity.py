"""Easing makes room without an edit of the places: a VM moved, a hold that ends, a smaller VM."""

from collections.abc import Iterator
from datetime import datetime

from scheduler.advice.apply import applied
from scheduler.advice.changes import MoveVm, ShrinkDemand, WaitHold
from scheduler.advice.evict import target_of
from scheduler.advice.local_inventory import LocalInventory, elements
from scheduler.advice.remedies import RemedyProposal
from scheduler.fleet.fleet import Fleet
from scheduler.model.inventory import Host
from scheduler.model.placement import HostVerdict, Placement
from scheduler.model.reason import ReasonCode
from scheduler.snapshot.snapshot import SnapshotHold, SnapshotVm

MOVES_MAX = 6
"""VMs considered on one host."""
ENDS_MAX = 12
"""Ends of holds considered."""
_VACATED = frozenset(
    {
        ReasonCode.CPU,
        ReasonCode.MEMORY,
        ReasonCode.STORAGE,
        ReasonCode.LAYER,
        ReasonCode.EXCLUDED,
        ReasonCode.AGGREGATED_CPU,
        ReasonCode.AGGREGATED_MEMORY,
        ReasonCode.AGGREGATED_STORAGE,
    }
)
"""What may pass when somebody leaves."""
_CPU = frozenset({ReasonCode.CPU, ReasonCode.AGGREGATED_CPU})
_RAM = frozenset({ReasonCode.MEMORY, ReasonCode.AGGREGATED_MEMORY})


def moves(scene: LocalInventory, verdict: HostVerdict, known: Fleet) -> Iterator[RemedyProposal]:
    """Single VMs whose move may free the host, smallest first; never a protected one."""
    if not all(reason.lack in _VACATED for reason in verdict.reasons):
        return
    host = scene.hosts[verdict.host]
    able = [vm for vm in scene.around.residents if _may_help(scene, verdict, host, vm)]
    able.sort(key=lambda vm: (vm.ram_mib, vm.cpu, vm.disk_bytes, vm.vm))
    for vm in able[:MOVES_MAX]:
        target = target_of(scene, known, vm)
        if target is None:
            continue
        move = MoveVm(
            vm.vm,
            vm.name,
            vm.host,
            scene.hosts[vm.host].name,
            target.host,
            scene.hosts[target.host].name,
            target.datastore,
            vm.cpu,
            vm.ram_mib,
            vm.disk_bytes,
        )
        yield RemedyProposal(verdict.host, (move,))


def shrunk(scene: LocalInventory, verdict: HostVerdict) -> Iterator[RemedyProposal]:
    """The biggest VM that the host takes, where only capacity is lacking."""
    demand = scene.demand
    if demand.origin is not None or not verdict.candidate:
        return
    cpu, ram, disk = demand.cpu, demand.ram_mib, demand.disk_bytes
    for reason in verdict.reasons:
        assert isinstance(reason.spare, int)
        if reason.lack in _CPU:
            cpu = min(cpu, reason.spare)
        elif reason.lack in _RAM:
            ram = min(ram, reason.spare)
        else:
            disk = min(disk, reason.spare)
    least = 0 if scene.around.fixed else 1
    wanted, left = (demand.cpu, demand.ram_mib, demand.disk_bytes), (cpu, ram, disk)
    pairs = [(before, after) for before, after in zip(wanted, left, strict=True) if after < before]
    if min(after for _, after in pairs) >= least:
        yield RemedyProposal(verdict.host, (ShrinkDemand(cpu, ram, disk),))


def waits(scene: LocalInventory, hosts: list[int]) -> Iterator[RemedyProposal]:
    """The first end of a hold by which one of these hosts will do, if there is one."""
    ending = [each for each in scene.around.holds if each.until is not None]
    for until in sorted({_instant(each) for each in ending})[:ENDS_MAX]:
        over = [each for each in ending if _instant(each) <= until]
        every = _wait(over)
        answer = applied(scene, every)
        placed = answer.fleet(hosts).place(scene.demand, scene.policy)
        if isinstance(placed, Placement):
            host = scene.hosts[placed.host]
            yield RemedyProposal(
                host.id, (_wait([each for each in over if _beside(scene, host, each)]),)
            )
            return


def _may_help(scene: LocalInventory, verdict: HostVerdict, host: Host, vm: SnapshotVm) -> bool:
    """Whether the move alone would answer the reasons of the host itself."""
    if vm.protected or vm.vm == scene.demand.vm or vm.host not in scene.hosts:
        return False
    if vm.host != host.id and vm.datastore not in host.datastores:
        return False
    here = vm.host == host.id
    for reason in verdict.reasons:
        short = reason.shortfall or 0
        match reason.lack:
            case ReasonCode.CPU:
                helps = here and vm.cpu >= short
            case ReasonCode.MEMORY:
                helps = here and vm.ram_mib >= short
            case ReasonCode.STORAGE:
                helps = vm.disk_bytes >= short
            case ReasonCode.LAYER:
                helps = here and vm.layer == scene.demand.layer
            case ReasonCode.EXCLUDED:
                owner = scene.demand.enterprise or 0
                helps = here and vm.enterprise in scene.rules.excluded.get(owner, ())
            case _:
                helps = True
        if not helps:
            return False
    return True


def _beside(scene: LocalInventory, host: Host, hold: SnapshotHold) -> bool:
    """Whether the hold is on a row that a VM on the host touches."""
    if hold.host == host.id or hold.datastore in host.datastores:
        return True
    other = scene.hosts.get(hold.host)
    limited = {key for key in elements(host) if key in scene.scopes}
    return other is not None and not limited.isdisjoint(elements(other))


def _wait(over: list[SnapshotHold]) -> WaitHold:
    last = max(over, key=lambda each: (_instant(each), each.id))
    assert last.until is not None
    return WaitHold(tuple(sorted({each.id for each in over})), last.until)


def _instant(hold: SnapshotHold) -> datetime:
    assert hold.until is not None
    return datetime.fromisoformat(hold.until)
