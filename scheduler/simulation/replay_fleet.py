"""A lived course has a fleet: each stay is claimed there, each leaving frees the room again."""

from collections.abc import Iterable
from uuid import UUID

from scheduler.fleet.fleet import Fleet
from scheduler.fleet.usage_ledger import Key, key_of
from scheduler.model.demand import Demand
from scheduler.model.fit_policy import FitPolicy
from scheduler.model.host_partition import HostPartition
from scheduler.model.inventory import AggregateScope, Datastore, Host, Tombstone
from scheduler.model.limits import Rules, resolve
from scheduler.model.placement import HostCounts, Placement
from scheduler.model.values import replace
from scheduler.simulation.history_events import ReleaseScope
from scheduler.simulation.occupancy import Occupancy, Stay, stays_of
from scheduler.snapshot.snapshot import InventorySnapshot

Place = Host | Datastore | AggregateScope
_SCOPES = ("cluster", "rack", "datacenter")


class ReplayFleet(Occupancy):
    """A course in which requests can be placed.

    The rows of its fleet have only the use that no stay explains; every stay is a claim. So a
    VM can leave, and take its enterprise and layer with it.
    """

    def __init__(self, cluster: InventorySnapshot, rules: Rules) -> None:
        """The cluster under these rules."""
        super().__init__()
        self.fleet = Fleet()
        self._rules = rules
        self._generation = 0
        self._claims: dict[Key, dict[tuple[UUID, int], Stay]] = {}
        self._places: dict[Key, Place] = {}
        rows: tuple[Place, ...] = (*cluster.hosts, *cluster.datastores, *cluster.scopes)
        self._places = {key_of(row): row for row in rows}
        stays = stays_of(cluster)
        self._empty(stays)
        hosts, datastores, scopes = self._sorts()
        limited = resolve(rules, hosts, datastores, scopes)
        told: tuple[Place, ...] = (*limited.datastores, *limited.scopes, *limited.hosts)
        for row in told:
            self._tell(row)
        self.fleet.apply(limited.rules)
        for stay in stays:
            self.enter(stay)

    def place(
        self, demand: Demand, policy: FitPolicy, share: HostPartition | None = None
    ) -> Placement | None:
        """What the fleet would choose; why it refuses is not asked."""
        return self.fleet.find(demand, policy, share)

    def enter(self, stay: Stay) -> None:
        """The VM has one more place, and the fleet knows."""
        super().enter(stay)
        self._claim(stay)

    def leave(self, vm: UUID, which: ReleaseScope) -> tuple[Stay, ...]:
        """Places given back; what a moving VM counted once is counted where it stays."""
        left = super().leave(vm, which)
        for stay in left:
            self._release(stay)
        for stay in self.stays.get(vm, ()) if left else ():
            self._claim(stay)
        return left

    def change(self, row: Place | Tombstone) -> None:
        """A place came, changed or went; whoever is there stays."""
        if isinstance(row, Tombstone):
            self._places.pop(key_of(row), None)
            self._generation += 1
            self.fleet.apply(replace(row, generation=self._generation))
            return
        key = key_of(row)
        there = list(self._claims.get(key, {}).values()) if isinstance(row, Host) else []
        for stay in there:
            self._release(stay)
        self._tell(self._limited(_with_use_of(row, self._places.get(key))))
        if not isinstance(row, Host):
            return
        for stay in there:
            self._claim(stay)
        hosts, _, scopes = self._sorts()
        for scope in resolve(self._rules, hosts, [], scopes).scopes:
            if scope != self._places.get(key_of(scope)):
                self._tell(scope)

    def host(self, id: int) -> Host | None:
        """A host as it was told last, without the claims."""
        row = self._places.get(("host", id))
        return row if isinstance(row, Host) else None

    def datastore(self, id: int) -> Datastore | None:
        """A datastore as it was told last, without the claims."""
        row = self._places.get(("datastore", id))
        return row if isinstance(row, Datastore) else None

    def _tell(self, row: Place) -> None:
        """A newer row ends the fleet's claims on it, so they are made again."""
        key = key_of(row)
        self._places[key] = row
        self._generation += 1
        self.fleet.apply(replace(row, generation=self._generation))
        for stay in list(self._claims.get(key, {}).values()):
            self._claim(stay)

    def _limited(self, row: Place) -> Place:
        match row:
            case Host():
                return resolve(self._rules, [row], []).hosts[0]
            case Datastore():
                return resolve(self._rules, [], [row]).datastores[0]
            case AggregateScope():
                hosts, _, _ = self._sorts()
                scopes = resolve(self._rules, hosts, [], [row]).scopes
                return next(each for each in scopes if key_of(each) == key_of(row))

    def _sorts(self) -> tuple[list[Host], list[Datastore], list[AggregateScope]]:
        rows = self._places.values()
        return (
            [row for row in rows if isinstance(row, Host)],
            [row for row in rows if isinstance(row, Datastore)],
            [row for row in rows if isinstance(row, AggregateScope)],
        )

    def _claim(self, stay: Stay) -> None:
        seen = self._seen(stay)
        self.fleet.claim(_placement(stay, seen), stay.demand)
        for row in seen:
            self._claims.setdefault((row.kind, row.id), {})[stay.demand.vm, stay.host] = stay

    def _release(self, stay: Stay) -> None:
        seen = self._seen(stay)
        self.fleet.release(_placement(stay, seen), stay.demand)
        for row in seen:
            self._claims.get((row.kind, row.id), {}).pop((stay.demand.vm, stay.host), None)

    def _seen(self, stay: Stay) -> list[HostCounts]:
        """What the stay holds; what an earlier one of the VM holds already is held once."""
        demand, before = stay.demand, self._before(stay)
        amounts = (demand.cpu, demand.ram_mib, demand.disk_bytes)
        disk = 0 if any(one.datastore == stay.datastore for one in before) else amounts[2]
        found = [HostCounts("datastore", stay.datastore, 0, 0, 0, 0, disk)]
        found.append(HostCounts("host", stay.host, 0, 0, *amounts[:2]))
        counted = {key for one in before for key in self._scopes_of(one.host)}
        nothing = (0, 0, 0)
        return found + [
            HostCounts(*key, 0, 0, *(nothing if key in counted else amounts))
            for key in self._scopes_of(stay.host)
        ]

    def _before(self, stay: Stay) -> list[Stay]:
        stays = self.stays.get(stay.demand.vm, [])
        return stays[: stays.index(stay)] if len(stays) > 1 and stay in stays else []

    def _scopes_of(self, host: int) -> list[Key]:
        row = self.host(host)
        if row is None:
            return []
        ids = zip(_SCOPES, (row.cluster, row.rack, row.datacenter), strict=True)
        return [(kind, id) for kind, id in ids if id is not None and (kind, id) in self._places]

    def _empty(self, stays: Iterable[Stay]) -> None:
        """Take the stays' part out of the use that the rows have."""
        for stay in stays:
            self.stays.setdefault(stay.demand.vm, []).append(stay)
        for stay in stays:
            for seen in self._seen(stay):
                key = (seen.kind, seen.id)
                if key in self._places:
                    self._places[key] = _less(self._places[key], seen, stay.demand)
        self.stays.clear()


def _placement(stay: Stay, seen: list[HostCounts]) -> Placement:
    return Placement(stay.host, stay.datastore, tuple(seen), FitPolicy.PROGRESSIVE, 0)


def _less(row: Place, seen: HostCounts, demand: Demand) -> Place:
    match row:
        case Host():
            return replace(
                row,
                cpu_used=max(0, row.cpu_used - seen.cpu),
                ram_used_mib=max(0, row.ram_used_mib - seen.ram_mib),
                enterprises=row.enterprises - {demand.enterprise},
                layers=row.layers - {demand.layer},
            )
        case Datastore():
            return replace(row, used_bytes=max(0, row.used_bytes - seen.disk_bytes))
        case AggregateScope():
            return replace(
                row,
                cpu_used=max(0, row.cpu_used - seen.cpu),
                ram_used_mib=max(0, row.ram_used_mib - seen.ram_mib),
                disk_used_bytes=max(0, row.disk_used_bytes - seen.disk_bytes),
            )


def _with_use_of(row: Place, known: Place | None) -> Place:
    """The row with the use that its predecessor had, or with none."""
    match row, known:
        case Host(), Host():
            return replace(
                row,
                cpu_used=known.cpu_used,
                ram_used_mib=known.ram_used_mib,
                enterprises=known.enterprises,
                layers=known.layers,
            )
        case Host(), _:
            nobody: frozenset[int] = frozenset()
            return replace(row, cpu_used=0, ram_used_mib=0, enterprises=nobody, layers=nobody)
        case Datastore(), _:
            used = known.used_bytes if isinstance(known, Datastore) else 0
            return replace(row, used_bytes=used)
        case AggregateScope(), AggregateScope():
            return replace(
                row,
                cpu_used=known.cpu_used,
                ram_used_mib=known.ram_used_mib,
                disk_used_bytes=known.disk_used_bytes,
            )
        case _:
            return replace(row, cpu_used=0, ram_used_mib=0, disk_used_bytes=0)
