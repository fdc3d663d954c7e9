"""Applying makes the scene that a change would make; the one that was given stays as it is."""

from collections.abc import Mapping
from typing import Any, TypeVar, assert_never

from scheduler.advice.changes import (
    AddCapacity,
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
from scheduler.advice.evict import ended, moved
from scheduler.advice.local_inventory import LocalInventory
from scheduler.advice.raise_limits import raised
from scheduler.model.inventory import Host, HostState, Tier
from scheduler.model.values import replace

K = TypeVar("K")
V = TypeVar("V")


def applied(scene: LocalInventory, change: Change) -> LocalInventory:
    """The scene with the change made."""
    match change:
        case RaiseRule():
            return raised(scene, change)
        case AddCapacity():
            return _roomier(scene, change)
        case MoveVm():
            return moved(scene, change)
        case WaitHold():
            return ended(scene, change)
        case ManageHost(host=id):
            return _host(scene, id, state=HostState.MANAGED)
        case ReconnectHost(host=id):
            return _host(scene, id, reachable=True)
        case MapNetwork(host=id):
            return _host(scene, id, networks=scene.hosts[id].networks | {change.network})
        case AttachDatastore(host=id):
            seen = (*scene.hosts[id].datastores, change.datastore)
            return _host(scene, id, datastores=seen)
        case LiftReservation(host=id):
            return _host(scene, id, reserved_for=None)
        case ReserveHost(host=id):
            return _host(scene, id, reserved_for=change.enterprise)
        case EnableDatastore(datastore=id):
            stores = _with(scene.datastores, id, replace(scene.datastores[id], enabled=True))
            return replace(scene, datastores=stores)
        case OpenTier():
            return _opened(scene, change)
        case LiftExclusion() | LiftRestriction():
            return _lifted(scene, change)
        case ShrinkDemand() | LeaveLayer() | LeaveTier() | AllowReach() | AllowHost():
            return _asked(scene, change)
        case _:
            assert_never(change)


def _with(rows: Mapping[K, V], id: K, row: V) -> dict[K, V]:
    return {**rows, id: row}


def _host(scene: LocalInventory, id: int, **fields: Any) -> LocalInventory:
    row: Host = replace(scene.hosts[id], **fields)
    return replace(scene, hosts=_with(scene.hosts, id, row))


def _roomier(scene: LocalInventory, change: AddCapacity) -> LocalInventory:
    if change.place == "host":
        host = scene.hosts[change.id]
        return _host(
            scene,
            host.id,
            cpu_limit=host.cpu_limit + change.cpu,
            ram_limit_mib=host.ram_limit_mib + change.ram_mib,
        )
    if change.place == "datastore":
        store = scene.datastores[change.id]
        row = replace(store, limit_bytes=store.limit_bytes + change.disk_bytes)
        return replace(scene, datastores=_with(scene.datastores, change.id, row))
    scope = scene.scopes[change.place, change.id]
    wider = replace(
        scope,
        cpu_limit=_more(scope.cpu_limit, change.cpu),
        ram_limit_mib=_more(scope.ram_limit_mib, change.ram_mib),
        disk_limit_bytes=_more(scope.disk_limit_bytes, change.disk_bytes),
    )
    return replace(scene, scopes=_with(scene.scopes, (change.place, change.id), wider))


def _more(limit: int | None, by: int) -> int | None:
    return None if limit is None else limit + by


def _opened(scene: LocalInventory, change: OpenTier) -> LocalInventory:
    stores = {
        id: row
        if row.tier is None or row.tier.id != change.tier
        else replace(row, tier=_open(row.tier, change.enterprise))
        for id, row in scene.datastores.items()
    }
    return replace(scene, datastores=stores)


def _open(tier: Tier, enterprise: int | None) -> Tier:
    """Open to the enterprise too; one that only nobody's VM lacks is opened to all."""
    users = tier.enterprises
    if users is not None:
        users = None if enterprise is None else users | {enterprise}
    return replace(tier, enabled=True, enterprises=users)


def _lifted(scene: LocalInventory, change: LiftExclusion | LiftRestriction) -> LocalInventory:
    rules = scene.rules
    if isinstance(change, LiftRestriction):
        return replace(
            scene, rules=replace(rules, restricted=rules.restricted - {change.enterprise})
        )
    pair = {change.enterprise, change.other}
    excluded = {
        one: others - pair if one in pair else others for one, others in rules.excluded.items()
    }
    return replace(scene, rules=replace(rules, excluded=excluded))


def _asked(
    scene: LocalInventory, change: ShrinkDemand | LeaveLayer | LeaveTier | AllowReach | AllowHost
) -> LocalInventory:
    """The scene with another demand."""
    demand = scene.demand
    match change:
        case ShrinkDemand():
            amounts = (change.cpu, change.ram_mib, change.disk_bytes)
            cpu, ram, disk = amounts
            demand = replace(demand, cpu=cpu, ram_mib=ram, disk_bytes=disk)
        case LeaveLayer():
            demand = replace(demand, layer=None)
        case LeaveTier():
            demand = replace(demand, tier=None)
        case AllowReach():
            origin = None if demand.origin is None else replace(demand.origin, reach=change.reach)
            demand = replace(demand, origin=origin)
        case AllowHost():
            named = None if demand.only is None else demand.only | {change.host}
            demand = replace(demand, only=named)
        case _:
            assert_never(change)
    return replace(scene, demand=demand)
