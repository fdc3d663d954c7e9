"""A player acts requests out on a fleet by absolute rows, as the store would: no claims."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from scheduler.model.demand import Demand, Origin, RelocationScope
from scheduler.model.fit_policy import FitPolicy
from scheduler.model.inventory import AggregateScope, Datastore, Host, HostState
from scheduler.model.limits import Rules, resolve
from scheduler.model.placement import HostCounts, Placement
from scheduler.model.values import replace
from scheduler.simulation.history_events import (
    Happened,
    ReleaseEvent,
    ReleaseScope,
    RequestEvent,
    RowEvent,
)
from scheduler.snapshot.snapshot import InventorySnapshot, SnapshotVm, fleet
from tests.scheduler.places import DATASTORE, HOST, SCOPE


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to act out: a size to deploy, or something about the nth VM or host."""

    word: str
    number: int
    cpu: int
    ram_mib: int
    disk_bytes: int
    policy: FitPolicy
    tenant: int | None
    layer: int | None


def cluster_of(hosts: int, rules: Rules) -> InventorySnapshot:
    """Hosts in two racks with a wide datastore and, each second, one of its own."""
    places = tuple(
        replace(
            HOST,
            id=n,
            name=f"host{n}",
            rack=1 + n % 2,
            rack_name=f"rack{1 + n % 2}",
            cpus=8,
            memory_mib=16,
            datastores=(1, 100 + n) if n % 2 else (1,),
        )
        for n in range(1, hosts + 1)
    )
    stores = [replace(DATASTORE, id=1, shared=True, capacity_bytes=60)]
    stores += [
        replace(DATASTORE, id=100 + n, capacity_bytes=12) for n in range(1, hosts + 1) if n % 2
    ]
    sums = tuple(replace(SCOPE, id=rack, name=f"rack{rack}") for rack in (1, 2))
    limited = resolve(rules, places, stores, sums)
    return InventorySnapshot(limited.hosts, limited.datastores, limited.scopes, rules)


@dataclass
class Player:
    """Acts steps out and keeps what happened."""

    cluster: InventorySnapshot
    history: list[Happened] = field(default_factory=list)
    homes: dict[UUID, list[tuple[int, int, Demand]]] = field(default_factory=dict)
    sizes: dict[UUID, Demand] = field(default_factory=dict)
    moving: list[UUID] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.fleet = fleet(self.cluster)
        self.at = 0

    def play(self, steps: Iterable[Step]) -> list[Happened]:
        """Act all steps out."""
        for step in steps:
            self.at += 1
            getattr(self, f"_{step.word}")(step)
        return self.history

    def now(self) -> InventorySnapshot:
        """The cluster as it is now, with everybody who is there; nobody moves."""
        while self.moving:
            self._settle(Step("settle", 1, 0, 0, 0, FitPolicy.PACKING, None, None))
        residents = [
            SnapshotVm(
                vm,
                f"vm{vm.int}",
                host,
                datastore,
                size.cpu,
                size.ram_mib,
                size.disk_bytes,
                size.enterprise,
                size.layer,
            )
            for vm, ((host, datastore, _),) in self.homes.items()
            for size in [self.sizes[vm]]
        ]
        sums = [self.fleet.scope("rack", rack) for rack in (1, 2)]
        stores = [self.fleet.datastore(each.id) for each in self.cluster.datastores]
        return InventorySnapshot(
            self.fleet.hosts(),
            tuple(each for each in stores if each is not None),
            tuple(each for each in sums if each is not None),
            self.cluster.rules,
            tuple(residents),
        )

    def _deploy(self, step: Step) -> None:
        vm = UUID(int=self.at)
        demand = Demand(
            vm,
            step.cpu,
            step.ram_mib,
            step.disk_bytes,
            "KVM",
            1,
            enterprise=step.tenant,
            layer=step.layer,
        )
        found = self._ask(demand, step.policy)
        if found is not None:
            self._book(found.seen, 1)
            self.homes[vm] = [(found.host, found.datastore, demand)]
            self.sizes[vm] = demand
            self._mark(found.host)

    def _remove(self, step: Step) -> None:
        vm = self._vm(step)
        if vm is None:
            return
        self.history.append(ReleaseEvent(self.at, vm))
        homes, size = self.homes.pop(vm), self.sizes.pop(vm)
        for host, datastore, _ in homes:
            self._book(self._rows_of(host, datastore, size), -1)
            self._mark(host)

    def _grow(self, step: Step) -> None:
        vm = self._vm(step)
        if vm is None:
            return
        ((host, datastore, _),) = self.homes[vm]
        size = self.sizes[vm]
        more = replace(
            size, cpu=step.cpu, ram_mib=step.ram_mib, disk_bytes=0, only=frozenset({host})
        )
        if size.layer is not None:
            return
        found = self._ask(more, step.policy)
        if found is not None:
            self._book(self._rows_of(host, datastore, more), 1)
            whole = replace(size, cpu=size.cpu + step.cpu, ram_mib=size.ram_mib + step.ram_mib)
            self.sizes[vm] = whole

    def _move(self, step: Step) -> None:
        vm = self._vm(step)
        if vm is None:
            return
        ((host, datastore, _),) = self.homes[vm]
        row, store = self.fleet.host(host), self.fleet.datastore(datastore)
        assert row is not None
        assert store is not None
        origin = Origin(
            host, row.rack, row.hypervisor, datastore, store.shared, RelocationScope.DATACENTER
        )
        found = self._ask(replace(self.sizes[vm], origin=origin), step.policy)
        if found is None:
            return
        size = self.sizes[vm]
        self._book(found.seen, 1)
        self.homes[vm].append((found.host, found.datastore, size))
        self._mark(found.host)
        self.moving.append(vm)

    def _settle(self, step: Step) -> None:
        """The oldest open move ends: the VM arrived, or it never will."""
        if not self.moving:
            return
        vm = self.moving.pop(0)
        size = self.sizes[vm]
        arrived = step.number % 3 > 0
        self.history.append(
            ReleaseEvent(self.at, vm, ReleaseScope.OLDEST if arrived else ReleaseScope.NEWEST)
        )
        back = self.homes[vm].pop(0 if arrived else 1)
        host, datastore, _ = self.homes[vm][0]
        # What both places share was counted once and stays with the VM.
        kept = {(row.kind, row.id) for row in self._rows_of(host, datastore, size)}
        rows = self._rows_of(back[0], back[1], size)
        self._book([row for row in rows if (row.kind, row.id) not in kept], -1)
        self._mark(back[0])

    def _resize(self, step: Step) -> None:
        """The datastore that all see gets another size."""
        row = self.fleet.datastore(1)
        assert row is not None
        changed = replace(row, capacity_bytes=40 + step.number, limit_bytes=0)
        self.history.append(RowEvent(self.at, changed))
        self._put(changed)

    def _close(self, step: Step) -> None:
        hosts = self.fleet.hosts()
        row = hosts[step.number % len(hosts)]
        state = HostState.HALTED if row.state is HostState.MANAGED else HostState.MANAGED
        changed = replace(row, state=state, cpus=4 + step.number % 8)
        self.history.append(RowEvent(self.at, changed))
        self._put(changed)

    def _ask(self, demand: Demand, policy: FitPolicy) -> Placement | None:
        found = self.fleet.place(demand, policy)
        if isinstance(found, Placement):
            asked = RequestEvent(self.at, demand, policy, found.host, found.datastore, found.score)
            self.history.append(asked)
            return found
        self.history.append(RequestEvent(self.at, demand, policy))
        return None

    def _vm(self, step: Step) -> UUID | None:
        settled = sorted(self.homes.keys() - set(self.moving))
        return settled[step.number % len(settled)] if settled else None

    def _rows_of(self, host: int, datastore: int, size: Demand) -> list[HostCounts]:
        row = self.fleet.host(host)
        assert row is not None
        found = [
            HostCounts("host", host, 0, 0, size.cpu, size.ram_mib),
            HostCounts("datastore", datastore, 0, 0, disk_bytes=size.disk_bytes),
        ]
        for kind, id in (("rack", row.rack), ("datacenter", 1)):
            if self.fleet.scope(kind, id) is not None:
                found.append(HostCounts(kind, id, 0, 0, size.cpu, size.ram_mib, size.disk_bytes))
        return found

    def _book(self, rows: Iterable[HostCounts], sign: int) -> None:
        for seen in rows:
            cpu, ram, disk = sign * seen.cpu, sign * seen.ram_mib, sign * seen.disk_bytes
            row = self._row(seen.kind, seen.id)
            match row:
                case Host():
                    row = replace(
                        row, cpu_used=row.cpu_used + cpu, ram_used_mib=row.ram_used_mib + ram
                    )
                case Datastore():
                    row = replace(row, used_bytes=row.used_bytes + disk)
                case AggregateScope():
                    row = replace(
                        row,
                        cpu_used=row.cpu_used + cpu,
                        ram_used_mib=row.ram_used_mib + ram,
                        disk_used_bytes=row.disk_used_bytes + disk,
                    )
            self._put(row)

    def _mark(self, host: int) -> None:
        """Who is on the host."""
        row = self.fleet.host(host)
        assert row is not None
        there = [
            self.sizes[vm] for vm, homes in self.homes.items() for home in homes if home[0] == host
        ]
        tenants = frozenset(each.enterprise for each in there if each.enterprise is not None)
        layers = frozenset(each.layer for each in there if each.layer is not None)
        self._put(replace(row, enterprises=tenants, layers=layers))

    def _row(self, kind: str, id: int) -> Host | Datastore | AggregateScope:
        row = {"host": self.fleet.host, "datastore": self.fleet.datastore}.get(kind)
        found = row(id) if row else self.fleet.scope(kind, id)
        assert found is not None
        return found

    def _put(self, row: Host | Datastore | AggregateScope) -> None:
        """The row with its limits, told anew."""
        rules = self.cluster.rules
        if isinstance(row, Host):
            row = resolve(rules, [row], []).hosts[0]
        if isinstance(row, Datastore):
            row = resolve(rules, [], [row]).datastores[0]
        self.fleet.apply(replace(row, generation=row.generation + 1))
        if isinstance(row, Host):
            sums = [self.fleet.scope("rack", rack) for rack in (1, 2)]
            known = [each for each in sums if each is not None]
            for scope in resolve(rules, self.fleet.hosts(), [], known).scopes:
                self.fleet.apply(replace(scope, generation=scope.generation + 1))
