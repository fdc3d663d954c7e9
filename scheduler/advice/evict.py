"""Leaving takes VMs and holds off their places: the sums shrink, and tenants that were alone go."""

from collections.abc import Sequence

from scheduler.advice.changes import MoveVm, WaitHold
from scheduler.advice.local_inventory import LocalInventory, Occupant, elements
from scheduler.fleet.fleet import Fleet
from scheduler.fleet.usage_ledger import Key
from scheduler.model.demand import Demand, Origin
from scheduler.model.inventory import Host
from scheduler.model.placement import HostCounts, Placement
from scheduler.model.values import replace
from scheduler.snapshot.snapshot import SnapshotVm


def moved(scene: LocalInventory, change: MoveVm) -> LocalInventory:
    """The scene with the VM at its target, as the scheduler would book and settle it."""
    vm = next(each for each in scene.around.residents if each.vm == change.vm)
    target = scene.fleet([change.to_host]).place(relocation(scene, vm), scene.policy)
    assert isinstance(target, Placement)
    return _arrived(_without(scene, [vm], target), vm, target)


def ended(scene: LocalInventory, change: WaitHold) -> LocalInventory:
    """The scene without the holds."""
    return _without(scene, [each for each in scene.around.holds if each.id in change.holds])


def target_of(scene: LocalInventory, known: Fleet, vm: SnapshotVm) -> Placement | None:
    """Where the scheduler would move a VM of the scene, among the hosts of the fleet."""
    answer = known.place(relocation(scene, vm), scene.policy)
    return answer if isinstance(answer, Placement) else None


def relocation(scene: LocalInventory, vm: SnapshotVm) -> Demand:
    """What moving a VM asks for."""
    host, store = scene.hosts[vm.host], scene.datastores.get(vm.datastore)
    origin = Origin(
        host.id,
        host.rack,
        host.hypervisor,
        vm.datastore,
        store is not None and store.shared,
        scene.around.reach,
        host.cluster,
    )
    return Demand(
        vm.vm,
        vm.cpu,
        vm.ram_mib,
        vm.disk_bytes,
        vm.type or host.type,
        host.datacenter,
        vm.network,
        origin,
        enterprise=vm.enterprise,
        layer=vm.layer,
        tier=vm.tier,
    )


def _without(
    scene: LocalInventory, gone: Sequence[Occupant], target: Placement | None = None
) -> LocalInventory:
    """The scene without them; what the `target` of the one that moves keeps is not taken away."""
    hosts, stores, scopes = dict(scene.hosts), dict(scene.datastores), dict(scene.scopes)
    kept = _kept(target)
    for each in gone:
        if each.host in hosts:
            hosts[each.host] = _emptier(scene, hosts[each.host], each, gone)
        if each.datastore in stores and ("datastore", each.datastore) not in kept:
            store = stores[each.datastore]
            stores[store.id] = replace(store, used_bytes=store.used_bytes - each.disk_bytes)
        for key in elements(hosts[each.host]) if each.host in hosts else ():
            if key not in scopes or key in kept:
                continue
            scope = scopes[key]
            scopes[key] = replace(
                scope,
                cpu_used=scope.cpu_used - each.cpu,
                ram_used_mib=scope.ram_used_mib - each.ram_mib,
                disk_used_bytes=scope.disk_used_bytes - each.disk_bytes,
            )
    return replace(scene, hosts=hosts, datastores=stores, scopes=scopes)


def _kept(target: Placement | None) -> set[Key]:
    """The rows that a move leaves as they are: it adds nothing there."""
    seen = () if target is None else target.seen
    return {(each.kind, each.id) for each in seen if not each.cpu + each.ram_mib + each.disk_bytes}


def _emptier(scene: LocalInventory, host: Host, leaver: Occupant, gone: Sequence[Occupant]) -> Host:
    """The host without one of them. Tenants go only where everybody on the host is known."""
    everyone = scene.occupants(host.id)
    before = scene.hosts[host.id]
    known = sum(each.cpu for each in everyone) == before.cpu_used
    known = known and sum(each.ram_mib for each in everyone) == before.ram_used_mib
    enterprises, layers = host.enterprises, host.layers
    if known:
        left = [each for each in everyone if each not in gone]
        enterprises = frozenset(each.enterprise for each in left if each.enterprise is not None)
        layers = frozenset(each.layer for each in left if each.layer is not None)
    return replace(
        host,
        cpu_used=host.cpu_used - leaver.cpu,
        ram_used_mib=host.ram_used_mib - leaver.ram_mib,
        enterprises=host.enterprises & enterprises,
        layers=host.layers & layers,
    )


def _arrived(scene: LocalInventory, vm: SnapshotVm, target: Placement) -> LocalInventory:
    hosts, stores, scopes = dict(scene.hosts), dict(scene.datastores), dict(scene.scopes)
    for seen in target.seen:
        match seen.kind:
            case "host":
                hosts[seen.id] = _fuller(hosts[seen.id], vm, seen)
            case "datastore":
                store = stores[seen.id]
                stores[seen.id] = replace(store, used_bytes=store.used_bytes + seen.disk_bytes)
            case _:
                scope = scopes[seen.kind, seen.id]
                scopes[seen.kind, seen.id] = replace(
                    scope,
                    cpu_used=scope.cpu_used + seen.cpu,
                    ram_used_mib=scope.ram_used_mib + seen.ram_mib,
                    disk_used_bytes=scope.disk_used_bytes + seen.disk_bytes,
                )
    return replace(scene, hosts=hosts, datastores=stores, scopes=scopes)


def _fuller(host: Host, vm: SnapshotVm, seen: HostCounts) -> Host:
    owner = frozenset(() if vm.enterprise is None else (vm.enterprise,))
    layer = frozenset(() if vm.layer is None else (vm.layer,))
    return replace(
        host,
        cpu_used=host.cpu_used + seen.cpu,
        ram_used_mib=host.ram_used_mib + seen.ram_mib,
        enterprises=host.enterprises | owner,
        layers=host.layers | layer,
    )
