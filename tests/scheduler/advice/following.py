"""Following advice by hand: each change as an edit of the town, sharing no code with the advice."""

from typing import Any, assert_never

from scheduler.advice.changes import (
    AddCapacity,
    AdviceStep,
    AllowHost,
    AllowReach,
    AttachDatastore,
    Change,
    EnableDatastore,
    LeaveLayer,
    LeaveTier,
    LiftExclusion,
    LiftReservation,
    LiftRestriction,
    ManageHost,
    MapNetwork,
    MoveVm,
    OpenTier,
    RaiseRule,
    ReconnectHost,
    ReserveHost,
    ShrinkDemand,
    WaitHold,
)
from scheduler.model.inventory import Host, HostState
from scheduler.model.limits import Level, LoadKind, LoadRule, Rules
from scheduler.model.values import replace
from tests.scheduler.advice.towns import Town


def followed(town: Town, *changes: Change) -> Town:
    """The town after somebody did all that."""
    for change in changes:
        town = _followed(town, change)
    return town


def _followed(town: Town, change: Change) -> Town:
    match change:
        case RaiseRule():
            loads = _raised(town.cluster.rules.loads, change)
            return _cluster(town, rules=Rules(loads=loads))
        case AddCapacity():
            freed = (change.cpu, change.ram_mib, change.disk_bytes)
            return replace(town, freed=(*town.freed, ((change.place, change.id), freed)))
        case MoveVm():
            assert not next(v for v in town.cluster.residents if v.vm == change.vm).protected
            moved = tuple(
                replace(vm, host=change.to_host, datastore=change.to_datastore)
                if vm.vm == change.vm
                else vm
                for vm in town.cluster.residents
            )
            return _cluster(town, residents=moved)
        case WaitHold():
            left = tuple(each for each in town.cluster.holds if each.id not in change.holds)
            assert len(left) == len(town.cluster.holds) - len(change.holds)
            return _cluster(town, holds=left)
        case EnableDatastore() | OpenTier():
            return _storage(town, change)
        case LiftRestriction():
            restricted = town.rules.restricted - {change.enterprise}
            return replace(town, rules=replace(town.rules, restricted=restricted))
        case LiftExclusion():
            apart = dict(town.rules.excluded)
            apart[change.enterprise] = apart[change.enterprise] - {change.other}
            apart[change.other] = apart[change.other] - {change.enterprise}
            return replace(town, rules=replace(town.rules, excluded=apart))
        case ShrinkDemand() | LeaveLayer() | LeaveTier() | AllowReach() | AllowHost():
            return _asked(town, change)
        case _:
            return _host(town, change)


def _cluster(town: Town, **fields: Any) -> Town:
    return replace(town, cluster=replace(town.cluster, **fields))


def _raised(loads: tuple[LoadRule, ...], change: RaiseRule) -> tuple[LoadRule, ...]:
    if change.rule is None:
        assert not any(
            (each.level, each.element) == (change.level, change.element) for each in loads
        ), "the API refuses a second rule for the element"
        kind = LoadKind.STORAGE if change.level is Level.DATASTORE else LoadKind.COMPUTE
        cpu, ram, storage = (_after(each) for each in (change.cpu, change.ram, change.storage))
        own = LoadRule(999, kind, change.level, change.element, cpu, ram, storage)
        return (*loads, own)
    return tuple(_grown(each, change) if each.id == change.rule else each for each in loads)


def _after(step: AdviceStep | None) -> int | None:
    return None if step is None else step.after


def _grown(rule: LoadRule, change: RaiseRule) -> LoadRule:
    assert (rule.level, rule.element) == (change.level, change.element)
    for step, present in (
        (change.cpu, rule.cpu_percent),
        (change.ram, rule.ram_percent),
        (change.storage, rule.storage_percent),
    ):
        assert step is None or (100 if present is None else present) == step.before < step.after
    return replace(
        rule,
        cpu_percent=rule.cpu_percent if change.cpu is None else change.cpu.after,
        ram_percent=rule.ram_percent if change.ram is None else change.ram.after,
        storage_percent=rule.storage_percent if change.storage is None else change.storage.after,
    )


def _storage(town: Town, change: EnableDatastore | OpenTier) -> Town:
    rows = []
    for row in town.cluster.datastores:
        if isinstance(change, EnableDatastore):
            rows.append(replace(row, enabled=True) if row.id == change.datastore else row)
        elif row.tier is not None and row.tier.id == change.tier:
            users = row.tier.enterprises
            if users is not None:
                users = None if change.enterprise is None else users | {change.enterprise}
            rows.append(replace(row, tier=replace(row.tier, enabled=True, enterprises=users)))
        else:
            rows.append(row)
    return _cluster(town, datastores=tuple(rows))


def _asked(
    town: Town, change: ShrinkDemand | LeaveLayer | LeaveTier | AllowReach | AllowHost
) -> Town:
    demand = town.demand
    match change:
        case ShrinkDemand(cpu=cpu, ram_mib=ram, disk_bytes=disk):
            assert cpu <= demand.cpu
            assert ram <= demand.ram_mib
            assert disk <= demand.disk_bytes
            demand = replace(demand, cpu=cpu, ram_mib=ram, disk_bytes=disk)
        case LeaveLayer():
            demand = replace(demand, layer=None)
        case LeaveTier():
            demand = replace(demand, tier=None)
        case AllowReach():
            assert demand.origin is not None
            demand = replace(demand, origin=replace(demand.origin, reach=change.reach))
        case AllowHost():
            demand = replace(demand, only=(demand.only or frozenset()) | {change.host})
    return replace(town, demand=demand)


def _host(
    town: Town,
    change: ManageHost
    | ReconnectHost
    | MapNetwork
    | AttachDatastore
    | LiftReservation
    | ReserveHost,
) -> Town:
    hosts = tuple(
        _edited(row, change) if row.id == change.host else row for row in town.cluster.hosts
    )
    return _cluster(town, hosts=hosts)


def _edited(
    host: Host,
    change: ManageHost
    | ReconnectHost
    | MapNetwork
    | AttachDatastore
    | LiftReservation
    | ReserveHost,
) -> Host:
    match change:
        case ManageHost():
            return replace(host, state=HostState.MANAGED)
        case ReconnectHost():
            return replace(host, reachable=True)
        case MapNetwork():
            return replace(host, networks=host.networks | {change.network})
        case AttachDatastore():
            return replace(host, datastores=(*host.datastores, change.datastore))
        case LiftReservation():
            return replace(host, reserved_for=None)
        case ReserveHost():
            return replace(host, reserved_for=change.enterprise)
        case _:
            assert_never(change)
