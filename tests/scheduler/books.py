"""Books add up who is where, anew each time, and place by the second opinion: slow and plain."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from scheduler.fleet.usage_ledger import RULES, Key, Row
from scheduler.model.demand import Demand, Origin, RelocationScope
from scheduler.model.inventory import AggregateScope, Datastore, Host, RuleSet
from scheduler.model.limits import Rules, resolve
from scheduler.model.values import replace
from scheduler.simulation.occupancy import Stay
from tests.scheduler.places import World
from tests.scheduler.second_opinion import best, disk_choices

Size = tuple[int, int, int]


@dataclass
class Books:
    """Places, and who has them: VMs by their number, held seats by a negative one."""

    rules: Rules
    hosts: dict[int, Host]
    stores: dict[int, Datastore]
    stays: dict[int, list[Stay]] = field(default_factory=dict)

    def rows(self, without: int | None = None) -> dict[Key, Row]:
        """Every row with its limits and what is promised of it; as if one were not there."""
        stays = [stays for vm, stays in self.stays.items() if vm != without]
        used: Mapping[Key, list[int]] = defaultdict(lambda: [0, 0, 0])
        for there in stays:
            most: dict[Key, Size] = {}
            for stay in there:
                cpu, ram_mib, disk = size_of(stay)
                add(used["host", stay.host], (cpu, ram_mib, 0))
                for key, held in (
                    (("datastore", stay.datastore), (0, 0, disk)),
                    (("rack", self.hosts[stay.host].rack), (cpu, ram_mib, 0)),
                    (("datacenter", 1), (cpu, ram_mib, 0)),
                ):
                    most[key] = larger(most.get(key, (0, 0, 0)), held)
            for key, held in most.items():
                add(used[key], held)
        everybody = [stay for there in stays for stay in there]
        hosts = [
            replace(
                row,
                cpu_used=used["host", row.id][0],
                ram_used_mib=used["host", row.id][1],
                enterprises=frozenset(
                    stay.demand.enterprise
                    for stay in everybody
                    if stay.host == row.id and stay.demand.enterprise is not None
                ),
                layers=frozenset(
                    stay.demand.layer
                    for stay in everybody
                    if stay.host == row.id and stay.demand.layer is not None
                ),
            )
            for row in self.hosts.values()
        ]
        stores = [
            replace(row, used_bytes=used["datastore", row.id][2]) for row in self.stores.values()
        ]
        limited = resolve(self.rules, hosts, stores)
        scopes = [
            replace(row, cpu_used=used[row.kind, row.id][0], ram_used_mib=used[row.kind, row.id][1])
            for row in limited.scopes
        ]
        found: dict[Key, Row] = {RULES: limited.rules}
        found |= {("host", row.id): row for row in limited.hosts}
        found |= {("datastore", row.id): row for row in limited.datastores}
        return found | {(row.kind, row.id): row for row in scopes}

    def place(self, demand: Demand, seat: int | None = None) -> tuple[int, int] | None:
        """The host and the datastore that must be chosen, of all or of a held seat."""
        rows = self.rows(without=seat)
        if seat is not None:
            (held,) = self.stays[seat]
            rows = seat_only(rows, held)
            only = frozenset({held.host})
            demand = replace(demand, only=only if demand.only is None else only & demand.only)
        world = world_of(rows)
        policy = self.rules.row().policy(1)
        host = best(world, demand, policy)
        return None if host is None else (host.id, disk_choices(world, demand, host)[0].id)

    def has_room(self, vm: int, size: Size) -> bool:
        """Whether the VM may hold so much where it is."""
        stay = self.stays[vm][-1]
        more = [new - old for new, old in zip(size, size_of(stay), strict=True)]
        rows = self.rows()
        for key in (("host", stay.host), ("rack", self.hosts[stay.host].rack), ("datacenter", 1)):
            row = rows.get(key)
            if row is None:
                continue
            assert isinstance(row, Host | AggregateScope)
            for added, used, limit in (
                (more[0], row.cpu_used, row.cpu_limit),
                (more[1], row.ram_used_mib, row.ram_limit_mib),
            ):
                if added > 0 and limit is not None and used + added > limit:
                    return False
        return True

    def resize(self, vm: int, size: Size) -> None:
        """It holds so much where it is from now on."""
        self.stays[vm][-1] = sized(self.stays[vm][-1], size)

    def moving(self, vm: int, demand: Demand) -> Demand:
        """The demand as one of a VM of its present size that leaves its present place."""
        stay = self.stays[vm][-1]
        host, store = self.hosts[stay.host], self.stores[stay.datastore]
        cpu, ram_mib, _ = size_of(stay)
        origin = Origin(
            host.id, host.rack, host.hypervisor, store.id, store.shared, RelocationScope.DATACENTER
        )
        return replace(demand, cpu=cpu, ram_mib=ram_mib, origin=origin)


def seat_only(rows: Mapping[Key, Row], held: Stay) -> dict[Key, Row]:
    """The rows with a host that sees the datastore of its seat alone."""
    host = rows["host", held.host]
    assert isinstance(host, Host)
    return {**rows, ("host", held.host): replace(host, datastores=(held.datastore,))}


def world_of(rows: Mapping[Key, Row]) -> World:
    """The same rows by their sorts."""
    rules = rows[RULES]
    assert isinstance(rules, RuleSet)
    return World(
        tuple(row for row in rows.values() if isinstance(row, Host)),
        tuple(row for row in rows.values() if isinstance(row, Datastore)),
        tuple(row for row in rows.values() if isinstance(row, AggregateScope)),
        rules,
    )


def size_of(stay: Stay) -> Size:
    """vCPUs, MiB and bytes."""
    return (stay.demand.cpu, stay.demand.ram_mib, stay.demand.disk_bytes)


def sized(stay: Stay, size: Size) -> Stay:
    """The stay with another size."""
    cpu, ram_mib, disk = size
    return replace(stay, demand=replace(stay.demand, cpu=cpu, ram_mib=ram_mib, disk_bytes=disk))


def add(cell: list[int], amounts: Size) -> None:
    """Add number by number."""
    for n, amount in enumerate(amounts):
        cell[n] += amount


def larger(left: Size, right: Size) -> Size:
    """The larger of each number."""
    return (max(left[0], right[0]), max(left[1], right[1]), max(left[2], right[2]))
