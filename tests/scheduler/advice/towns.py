"""Towns: small clusters whose rules, residents and holds explain every number."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from hypothesis import strategies as st

from scheduler.fleet.fleet import Fleet
from scheduler.fleet.ranking import FitPolicy
from scheduler.fleet.usage_ledger import Row
from scheduler.model.demand import Demand, Origin, RelocationScope
from scheduler.model.inventory import AggregateScope, Datastore, Host, RuleSet
from scheduler.model.limits import Level, LoadKind, LoadRule, Rules, resolve
from scheduler.model.values import replace
from scheduler.snapshot.snapshot import InventorySnapshot, SnapshotHold, SnapshotVm
from tests.scheduler import places

UNTIL = ("2030-01-01T10:00:00Z", "2030-01-01T11:00:00+00:00", "2030-01-01T11:30:00+01:00")
Room = Mapping[tuple[str, int], tuple[int, int, int]]
"""Room freed by hand, by (kind, id): CPUs, MiB, bytes."""


@dataclass(frozen=True, slots=True)
class Town:
    """A cluster, what is asked of it, and what hands did there: room freed."""

    cluster: InventorySnapshot
    demand: Demand
    policy: FitPolicy
    reach: RelocationScope
    rules: RuleSet
    freed: tuple[tuple[tuple[str, int], tuple[int, int, int]], ...] = ()

    def fleet(self) -> Fleet:
        """All of it, worked out anew from rules, residents and holds."""
        fleet = Fleet()
        for row in self.rows():
            fleet.apply(row)
        return fleet

    def rows(self) -> list[Row]:
        """Every row: use by adding up, limits by the rules."""
        town = self.cluster
        everyone: list[SnapshotVm | SnapshotHold] = [*town.residents, *town.holds]
        hosts = [_peopled(host, [e for e in everyone if e.host == host.id]) for host in town.hosts]
        stores = [
            replace(
                store, used_bytes=sum(e.disk_bytes for e in everyone if e.datastore == store.id)
            )
            for store in town.datastores
        ]
        scopes = [_summed(scope, hosts, everyone) for scope in town.scopes]
        limited = resolve(town.rules, hosts, stores, scopes)
        rows: list[Row] = [*limited.rows[:-1], self.rules]
        return [_freer(row, dict(self.freed)) for row in rows]


def _peopled(host: Host, there: Iterable[SnapshotVm | SnapshotHold]) -> Host:
    there = list(there)
    return replace(
        host,
        cpu_used=sum(e.cpu for e in there),
        ram_used_mib=sum(e.ram_mib for e in there),
        enterprises=frozenset(e.enterprise for e in there if e.enterprise is not None),
        layers=frozenset(e.layer for e in there if e.layer is not None),
    )


def _summed(
    scope: AggregateScope, hosts: list[Host], everyone: list[SnapshotVm | SnapshotHold]
) -> AggregateScope:
    inside = {h.id for h in hosts if getattr(h, scope.kind) == scope.id}
    there = [e for e in everyone if e.host in inside]
    return replace(
        scope,
        cpu_used=sum(e.cpu for e in there),
        ram_used_mib=sum(e.ram_mib for e in there),
        disk_used_bytes=sum(e.disk_bytes for e in there),
    )


def _freer(row: Row, freed: Room) -> Row:
    """The row with so much more room: freed as far as there is use, then added."""
    match row:
        case Host():
            cpu, ram, _ = freed.get(("host", row.id), (0, 0, 0))
            return replace(
                row,
                cpu_used=max(row.cpu_used - cpu, 0),
                cpu_limit=row.cpu_limit + max(cpu - row.cpu_used, 0),
                ram_used_mib=max(row.ram_used_mib - ram, 0),
                ram_limit_mib=row.ram_limit_mib + max(ram - row.ram_used_mib, 0),
            )
        case Datastore():
            _, _, disk = freed.get(("datastore", row.id), (0, 0, 0))
            return replace(
                row,
                used_bytes=max(row.used_bytes - disk, 0),
                limit_bytes=row.limit_bytes + max(disk - row.used_bytes, 0),
            )
        case AggregateScope():
            room = freed.get((row.kind, row.id), (0, 0, 0))
            limits = (row.cpu_limit, row.ram_limit_mib, row.disk_limit_bytes)
            wider = [None if a is None else a + b for a, b in zip(limits, room, strict=True)]
            return replace(
                row, cpu_limit=wider[0], ram_limit_mib=wider[1], disk_limit_bytes=wider[2]
            )
        case RuleSet():
            return row


@st.composite
def load_rules(draw: st.DrawFn) -> tuple[LoadRule, ...]:
    """A few rules, at most one an element."""
    elements = [
        *[(LoadKind.COMPUTE, Level.HOST, id) for id in (1, 2)],
        *[(LoadKind.COMPUTE, level, 1) for level in (Level.CLUSTER, Level.RACK, Level.DATACENTER)],
        *[(LoadKind.STORAGE, level, 1) for level in (Level.DATASTORE, Level.DATACENTER)],
        (LoadKind.STORAGE, Level.TIER, 2),
    ]
    chosen = draw(st.lists(st.sampled_from(elements), unique=True, max_size=5))
    percents = st.sampled_from([50, 70, 90, 100])
    more = st.sampled_from([60, 100, 133, 150, None])
    return tuple(
        LoadRule(n, kind, level, element, storage_percent=draw(percents))
        if kind is LoadKind.STORAGE
        else LoadRule(n, kind, level, element, draw(more), draw(more), aggregated=draw(summed))
        for n, (kind, level, element) in enumerate(chosen, 1)
    )


summed = st.sampled_from([False, False, True])


@st.composite
def towns(draw: st.DrawFn) -> Town:
    """A small world with everybody in it, and a demand."""
    world = draw(places.worlds())
    sizes = st.integers(4, 12)
    hosts = tuple(replace(host, cpus=draw(sizes), memory_mib=draw(sizes)) for host in world.hosts)
    stores = tuple(replace(store, capacity_bytes=draw(sizes)) for store in world.datastores)
    residents = tuple(draw(st.lists(_residents(hosts), max_size=7, unique_by=_vm))) if hosts else ()
    holds = tuple(draw(st.lists(_holds(hosts), max_size=2, unique_by=_id))) if hosts else ()
    rules = Rules(loads=draw(load_rules()))
    cluster = InventorySnapshot(hosts, stores, world.scopes, rules, residents, holds)
    reach = draw(st.sampled_from(RelocationScope))
    demand = draw(places.demands(replace(world, hosts=())))
    if residents and draw(st.sampled_from([False, False, True])):
        vm = draw(st.sampled_from(residents))
        demand = replace(moving(cluster, vm, reach), only=demand.only)
    return Town(cluster, demand, draw(st.sampled_from(FitPolicy)), reach, world.rules)


def moving(cluster: InventorySnapshot, vm: SnapshotVm, reach: RelocationScope) -> Demand:
    """What the relocation of a resident asks for."""
    host = next(each for each in cluster.hosts if each.id == vm.host)
    shared = any(store.shared for store in cluster.datastores if store.id == vm.datastore)
    origin = Origin(host.id, host.rack, host.hypervisor, vm.datastore, shared, reach, host.cluster)
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


def _vm(one: SnapshotVm) -> UUID:
    return one.vm


def _id(one: SnapshotHold) -> UUID:
    return one.id


@st.composite
def _residents(draw: st.DrawFn, hosts: tuple[Host, ...]) -> SnapshotVm:
    host = draw(st.sampled_from(hosts))
    vm = UUID(int=draw(st.integers(1, 99)))
    return SnapshotVm(
        vm,
        f"vm{vm.int}",
        host.id,
        draw(st.sampled_from(host.datastores or (9,))),
        draw(st.integers(0, 4)),
        draw(st.integers(0, 4)),
        draw(st.integers(0, 4)),
        draw(st.none() | places.enterprises),
        draw(st.none() | st.none() | places.layers),
        host.type,
        protected=draw(st.sampled_from([False, False, True])),
    )


@st.composite
def _holds(draw: st.DrawFn, hosts: tuple[Host, ...]) -> SnapshotHold:
    host = draw(st.sampled_from(hosts))
    return SnapshotHold(
        UUID(int=draw(st.integers(100, 199))),
        host.id,
        draw(st.sampled_from(host.datastores or (9,))),
        draw(st.integers(0, 6)),
        draw(st.integers(0, 6)),
        draw(st.integers(0, 6)),
        draw(st.none() | places.enterprises),
        draw(st.none() | places.layers),
        draw(st.none() | st.sampled_from(UNTIL)),
    )
