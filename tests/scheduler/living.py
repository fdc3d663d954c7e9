"""Worlds that VMs live in: what is promised of each place is the sum of what lives there."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from hypothesis import strategies as st

from scheduler.fleet.fleet import Fleet
from scheduler.model.demand import Demand
from scheduler.model.inventory import AggregateScope, Datastore, Host, HostState, RuleSet
from scheduler.model.values import replace
from scheduler.plan.moves import Plan, PlannedMove
from scheduler.plan.resident import RESTING, UNKNOWN, MovableVm
from tests.scheduler.places import DATASTORE, HOST, SCOPE, World, fleet_of

SHARED = 1
APART = RuleSet(1, excluded={1: frozenset({2}), 2: frozenset({1})})
"""Enterprises 1 and 2 share no host."""
LOCAL = 100
"""The datastore of one host alone has this number and the host's."""


@dataclass(frozen=True, slots=True)
class Living:
    """Places, empty, and who lives there."""

    world: World
    residents: tuple[MovableVm, ...]

    def used(self) -> World:
        """The places with what is promised of them."""
        return World(
            tuple(self._host(host) for host in self.world.hosts),
            tuple(self._datastore(each) for each in self.world.datastores),
            tuple(self._scope(scope) for scope in self.world.scopes),
        )

    def fleet(self) -> Fleet:
        """A fleet that was told all of it."""
        fleet = fleet_of(self.used())
        fleet.apply(APART)
        return fleet

    def after(self, moves: Sequence[PlannedMove]) -> "Living":
        """When these moves have been made."""
        to = {move.vm: (move.target, move.datastore) for move in moves}
        moved = [
            replace(each, host=to[each.vm][0], datastore=to[each.vm][1]) if each.vm in to else each
            for each in self.residents
        ]
        return Living(self.world, tuple(moved))

    def busy(self) -> set[int]:
        """Hosts with any VM."""
        return {each.host for each in self.residents}

    def _host(self, host: Host) -> Host:
        demands = [each.demand for each in self.residents if each.host == host.id]
        return replace(
            host,
            cpu_used=sum(each.cpu for each in demands),
            ram_used_mib=sum(each.ram_mib for each in demands),
            enterprises=frozenset(each.enterprise for each in demands if each.enterprise),
            layers=frozenset(each.layer for each in demands if each.layer),
        )

    def _datastore(self, datastore: Datastore) -> Datastore:
        here = [each.demand for each in self.residents if each.datastore == datastore.id]
        return replace(datastore, used_bytes=sum(each.disk_bytes for each in here))

    def _scope(self, scope: AggregateScope) -> AggregateScope:
        racks = {host.id: host.rack for host in self.world.hosts}
        here = [each.demand for each in self.residents if racks[each.host] == scope.id]
        return replace(
            scope,
            cpu_used=sum(each.cpu for each in here),
            ram_used_mib=sum(each.ram_mib for each in here),
            disk_used_bytes=sum(each.disk_bytes for each in here),
        )


def host(id: int, cpu: int = 16, ram: int = 16) -> Host:
    """A host that sees the shared datastore and its own."""
    return replace(
        HOST,
        id=id,
        name=f"host{id}",
        cpu_limit=cpu,
        ram_limit_mib=ram,
        datastores=(SHARED, LOCAL + id),
    )


def resident(n: int, on: int, cpu: int, ram: int) -> MovableVm:
    """A VM with its disks on the shared datastore."""
    return MovableVm(Demand(UUID(int=n), cpu, ram, 1, "KVM", 1), on, SHARED)


def living(hosts: Sequence[Host], residents: Sequence[MovableVm]) -> Living:
    """These hosts with roomy datastores."""
    stores = [replace(DATASTORE, id=SHARED, name="shared", shared=True)]
    stores += [replace(DATASTORE, id=LOCAL + each.id, name=f"local{each.id}") for each in hosts]
    return Living(World(tuple(hosts), tuple(stores)), tuple(residents))


def starting(plan: Plan, done: set[int], begun: set[int]) -> list[int]:
    """The moves that may begin."""
    return [
        n
        for n, move in enumerate(plan.moves)
        if n not in begun and all(earlier in done for earlier in move.after)
    ]


rarely = st.sampled_from([False] * 19 + [True])


@st.composite
def _hosts(draw: st.DrawFn, id: int) -> Host:
    rack = draw(st.sampled_from([1, 1, 1, 2]))
    odd, cut_off = draw(rarely), draw(rarely)
    return replace(
        host(id, draw(st.sampled_from([6, 8, 8, 12])), draw(st.sampled_from([6, 8, 8, 12]))),
        rack=rack,
        rack_name=f"rack{rack}",
        state=draw(st.sampled_from([HostState.MANAGED] * 9 + list(HostState)))
        if odd
        else HostState.MANAGED,
        reachable=not cut_off,
        reserved_for=1 if draw(rarely) else None,
        hypervisor="other" if draw(rarely) else "lab",
        networks=frozenset(draw(st.sampled_from([("lan", "san")] * 4 + [("lan",)]))),
    )


@st.composite
def livings(draw: st.DrawFn) -> Living:
    """Up to seven hosts in two racks with up to 24 VMs, of which few may not move.

    A host may be promised more than its limit: its limit was lowered.
    """
    hosts = [draw(_hosts(id)) for id in range(1, draw(st.integers(3, 7)) + 1)]
    made: list[MovableVm] = []
    for n in range(1, draw(st.integers(2, 24)) + 1):
        demand, first = draw(_demands(n)), draw(st.integers(0, len(hosts) - 1))
        turn = hosts[first:] + hosts[:first]
        roomy = [each for each in turn if _has_room(each, demand, made)]
        home = hosts[0] if draw(rarely) else (roomy or [None])[0]
        if home is not None:
            made.append(draw(_residents(demand, home)))
    homes = living(hosts, made)
    stores = [
        replace(each, limit_bytes=draw(st.sampled_from([8, 30, 1000])), enabled=not draw(rarely))
        for each in homes.world.datastores
    ]
    cpu = sum(each.demand.cpu for each in made)
    racks = [
        replace(
            SCOPE, id=id, name=f"rack{id}", cpu_limit=draw(st.none() | st.integers(cpu // 2, cpu))
        )
        for id in (1, 2)
    ]
    return Living(World(tuple(hosts), tuple(stores), tuple(racks)), homes.residents)


def _has_room(host: Host, demand: Demand, made: list[MovableVm]) -> bool:
    here = [each.demand for each in made if each.host == host.id]
    cpu, ram = sum(each.cpu for each in here), sum(each.ram_mib for each in here)
    return cpu + demand.cpu <= host.cpu_limit and ram + demand.ram_mib <= host.ram_limit_mib


@st.composite
def _demands(draw: st.DrawFn, n: int) -> Demand:
    cpu, ram = draw(st.sampled_from([(1, 1), (1, 3), (3, 1), (2, 2), (2, 5), (5, 2), (0, 1)]))
    network = draw(st.sampled_from([None, "lan", "lan", "lan", "san"]))
    return Demand(
        UUID(int=n),
        cpu,
        ram,
        draw(st.integers(0, 3)),
        "KVM",
        1,
        network,
        enterprise=draw(st.sampled_from([None, None, 1, 1, 2])),
        layer=draw(st.sampled_from([None, None, None, 1])),
    )


@st.composite
def _residents(draw: st.DrawFn, demand: Demand, home: Host) -> MovableVm:
    return MovableVm(
        demand,
        home.id,
        draw(st.sampled_from([SHARED, SHARED, LOCAL + home.id])),
        protected=draw(rarely),
        pinned=draw(st.sampled_from([""] * 9 + [RESTING, UNKNOWN])),
        live=draw(st.booleans()),
    )
