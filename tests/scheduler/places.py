"""Places and demands for the tests: roomy ones to change, and small random worlds."""

from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from hypothesis import strategies as st

from scheduler.fleet.fleet import Fleet
from scheduler.fleet.ranking import FitPolicy
from scheduler.model.demand import Demand, Origin, RelocationScope
from scheduler.model.inventory import (
    NO_RULES,
    AggregateScope,
    Candidate,
    Datastore,
    Host,
    HostState,
    RuleSet,
    Tier,
)
from scheduler.model.values import replace

VM = UUID("6a1f0a52-2c7e-4a39-8f5e-0c1d2e3f4a5b")

HOST = Host(
    id=1,
    name="host1",
    datacenter=1,
    rack=1,
    rack_name="rack1",
    hypervisor="lab",
    type="KVM",
    state=HostState.MANAGED,
    reachable=True,
    cpus=8,
    memory_mib=8192,
    cpu_limit=8,
    cpu_used=0,
    ram_limit_mib=8192,
    ram_used_mib=0,
    cpu_rule="",
    ram_rule="",
    networks=frozenset({"lan"}),
    datastores=(1,),
    generation=1,
    character=1,
)
DATASTORE = Datastore(
    id=1,
    name="disks1",
    datacenter=1,
    enabled=True,
    shared=False,
    limit_bytes=1000,
    used_bytes=0,
    rule="",
    generation=1,
    character=1,
)
SCOPE = AggregateScope(
    kind="rack",
    id=1,
    name="rack1",
    cpu_limit=None,
    cpu_used=0,
    ram_limit_mib=None,
    ram_used_mib=0,
    disk_limit_bytes=None,
    disk_used_bytes=0,
    rule="",
    generation=1,
    character=1,
)
DEMAND = Demand(VM, cpu=1, ram_mib=128, disk_bytes=100, type="KVM", datacenter=1)
ORIGIN = Origin(host=9, rack=1, hypervisor="lab", datastore=9, shared=False)


def candidate(host: Host = HOST, *datastores: Datastore, **scopes: Any) -> Candidate:
    """A host that sees the given datastores, or one roomy one."""
    return Candidate(host, datastores or (DATASTORE,), **scopes)


@dataclass(frozen=True, slots=True)
class World:
    """All rows at one moment, as plain tuples."""

    hosts: tuple[Host, ...] = ()
    datastores: tuple[Datastore, ...] = ()
    scopes: tuple[AggregateScope, ...] = ()
    rules: RuleSet = NO_RULES

    @property
    def rows(self) -> tuple[Host | Datastore | AggregateScope | RuleSet, ...]:
        """Every row."""
        return (*self.hosts, *self.datastores, *self.scopes, self.rules)


def fleet_of(world: World) -> Fleet:
    """A fleet that was told the whole world."""
    fleet = Fleet()
    for row in world.rows:
        fleet.apply(row)
    return fleet


TIERS = {
    1: Tier(1, "gold"),
    2: Tier(2, "silver", progressive=True),
    3: Tier(3, "bronze", enterprises=frozenset({1})),
    4: Tier(4, "closed", enabled=False),
}
"""One of each kind."""
ELEMENTS = [(kind, id) for kind in ("rack", "cluster") for id in (1, 2, 3)] + [("datacenter", 1)]
amounts = st.integers(0, 8)
sizes = st.integers(0, 16)
limits = st.none() | st.integers(0, 16)
enterprises = st.sampled_from([1, 1, 2, 3])
layers = st.sampled_from([1, 2])
tiers = st.sampled_from([None, None, TIERS[2], TIERS[2], TIERS[1], TIERS[3], TIERS[4]])


T = TypeVar("T")


class Oddly:
    """Draws what is odd about a thing, at most so much; all else about it is plain.

    Worlds where everything is drawn freely refuse everything, and choose nothing.
    """

    def __init__(self, draw: st.DrawFn, names: str, most: int) -> None:
        """What may be odd, in words, of which at most so many are."""
        self._draw = draw
        self._odd = draw(st.frozensets(st.sampled_from(names.split()), max_size=most))

    def __call__(self, name: str, odd: st.SearchStrategy[T], plain: T) -> T:
        """The plain value unless this is odd."""
        return self._draw(odd) if name in self._odd else plain


@st.composite
def hosts(draw: st.DrawFn, id: int) -> Host:
    """A small host with a few oddities; rack 3 is in datacenter 2, the others in 1."""
    oddly = Oddly(draw, "rack driver type state reach cpu ram lan disks owner", 3)
    rack = oddly("rack", st.integers(1, 3), 1)
    cluster = draw(st.sampled_from([1, 2, None]))
    tags = st.sampled_from([(), ("san",)])
    return replace(
        HOST,
        id=id,
        name=f"host{id}",
        rack=rack,
        rack_name=f"rack{rack}",
        datacenter=2 if rack == 3 else 1,
        hypervisor=oddly("driver", st.just("other"), "lab"),
        type=oddly("type", st.just("VMX_04"), "KVM"),
        state=oddly("state", st.sampled_from(HostState), HostState.MANAGED),
        reachable=oddly("reach", st.just(False), True),
        cpus=draw(amounts),
        memory_mib=draw(amounts),
        cpu_limit=oddly("cpu", amounts, 9),
        cpu_used=draw(amounts),
        ram_limit_mib=oddly("ram", amounts, 10),
        ram_used_mib=draw(amounts),
        networks=frozenset(oddly("lan", tags, ("lan", "san"))),
        datastores=oddly("disks", st.lists(st.integers(1, 6), unique=True).map(tuple), (1, 2, 3)),
        cluster=cluster,
        cluster_name="" if cluster is None else f"cluster{cluster}",
        reserved_for=oddly("owner", enterprises, None),
        enterprises=draw(st.frozensets(enterprises, max_size=2)),
        layers=draw(st.frozensets(layers, max_size=1)),
    )


@st.composite
def datastores(draw: st.DrawFn, id: int) -> Datastore:
    """A small datastore, seen by whoever lists it."""
    oddly = Oddly(draw, "closed shared full", 1)
    return replace(
        DATASTORE,
        id=id,
        name=f"disks{id}",
        enabled=oddly("closed", st.just(False), True),
        shared=oddly("shared", st.just(True), False),
        capacity_bytes=draw(amounts),
        limit_bytes=oddly("full", amounts, 12),
        used_bytes=draw(amounts),
        tier=draw(tiers),
    )


@st.composite
def scopes(draw: st.DrawFn, kind: str, id: int) -> AggregateScope:
    """An aggregated element that limits some of its sums."""
    oddly = Oddly(draw, "cpu ram disk", 2)
    return replace(
        SCOPE,
        kind=kind,
        id=id,
        name=f"{kind}{id}",
        cpu_limit=oddly("cpu", limits, None),
        cpu_used=draw(amounts),
        ram_limit_mib=oddly("ram", limits, 16),
        ram_used_mib=draw(amounts),
        disk_limit_bytes=oddly("disk", limits, 16),
        disk_used_bytes=draw(amounts),
    )


@st.composite
def rule_sets(draw: st.DrawFn, version: int = 1) -> RuleSet:
    """Enterprises kept apart (both ways) or to reserved hosts, and policies."""
    oddly = Oddly(draw, "policies reserved", 2)
    excluded: dict[int, frozenset[int]] = {}
    pairs = st.lists(st.sampled_from([(1, 2), (1, 3), (2, 3)]), max_size=2, unique=True)
    for one, other in draw(pairs):
        excluded[one] = excluded.get(one, frozenset()) | {other}
        excluded[other] = excluded.get(other, frozenset()) | {one}
    chosen = st.dictionaries(st.sampled_from([0, 1, 2]), st.sampled_from(FitPolicy))
    return RuleSet(
        version,
        policies=oddly("policies", chosen, {}),
        excluded=excluded,
        restricted=oddly("reserved", st.frozensets(enterprises, min_size=1), frozenset()),
        enterprises={1: "acme", 2: "umbrella"},
        tiers={tier.id: tier.name for tier in TIERS.values()},
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Up to six hosts in three racks of two datacenters; some datastores are not known."""
    chosen = draw(st.lists(st.sampled_from(ELEMENTS), unique=True, max_size=4))
    return World(
        tuple(draw(hosts(id)) for id in range(1, draw(st.sampled_from([3, 4, 6, 1, 0])) + 1)),
        tuple(draw(datastores(id)) for id in range(1, draw(st.sampled_from([4, 5, 3, 1, 0])) + 1)),
        tuple(draw(scopes(kind, id)) for kind, id in chosen),
        draw(rule_sets()),
    )


@st.composite
def roomy(draw: st.DrawFn) -> tuple[World, Demand]:
    """Up to 12 hosts of ordinary sizes that mostly have room, and an ordinary VM: many fit."""
    hosts = []
    few = draw(st.booleans())
    for id in range(1, draw(st.sampled_from([2, 5, 11, 12])) + 1):
        cores = draw(st.sampled_from([16, 24, 48]))
        memory = cores * draw(st.sampled_from([2048, 4096, 8192]))
        begun = id > 2 if few else draw(st.booleans())
        used = draw(st.integers(1, cores // 2)) if begun else 0
        host = replace(HOST, id=id, name=f"host{id}", cpu_limit=cores, cpu_used=used)
        mib = used * draw(st.sampled_from([512, 1024, 2048]))
        hosts.append(replace(host, ram_limit_mib=memory, ram_used_mib=mib))
    cpu = draw(st.sampled_from([1, 4, 8, 16]))
    mib = cpu * draw(st.sampled_from([1024, 2048, 4096]))
    return World(tuple(hosts), (DATASTORE,)), replace(DEMAND, cpu=cpu, ram_mib=mib)


@st.composite
def demands(draw: st.DrawFn, world: World) -> Demand:
    """A deployment or a relocation in datacenter 1, sometimes limited to named hosts."""
    oddly = Oddly(draw, "size network origin only tier refused", 2)
    size = oddly("size", st.tuples(amounts, amounts, amounts), (1, 1, 1))
    named = st.frozensets(st.integers(1, 7), min_size=1, max_size=3)
    return Demand(
        VM,
        cpu=size[0],
        ram_mib=size[1],
        disk_bytes=size[2],
        type="KVM",
        datacenter=1,
        network=oddly("network", st.sampled_from(["lan", "san"]), None),
        origin=oddly("origin", origins(world), None),
        only=oddly("only", named, None),
        enterprise=draw(st.none() | enterprises),
        layer=draw(st.none() | st.none() | layers),
        refused=oddly("refused", named.map(lambda ids: tuple((id, "full") for id in ids)), ()),
        tier=oddly("tier", st.sampled_from([*TIERS, 9]), None),
    )


@st.composite
def origins(draw: st.DrawFn, world: World) -> Origin | None:
    """Where a VM of this world may be, if it has a host."""
    if not world.hosts:
        return None
    host = draw(st.sampled_from(world.hosts))
    return Origin(
        host.id,
        host.rack,
        host.hypervisor,
        draw(st.sampled_from(host.datastores or (9,))),
        draw(st.booleans()),
        draw(st.sampled_from(RelocationScope)),
        host.cluster,
    )
