"""Places and demands for the tests: roomy ones to change, and small random worlds."""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from scheduler.demand import Demand, Origin, Reach
from scheduler.fleet import Fleet
from scheduler.inventory import Candidate, Datastore, Host, HostState, Scope

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
SCOPE = Scope(
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
    scopes: tuple[Scope, ...] = ()

    @property
    def rows(self) -> tuple[Host | Datastore | Scope, ...]:
        """Every row."""
        return (*self.hosts, *self.datastores, *self.scopes)


def fleet_of(world: World) -> Fleet:
    """A fleet that was told the whole world."""
    fleet = Fleet()
    for row in world.rows:
        fleet.apply(row)
    return fleet


amounts = st.integers(0, 8)
limits = st.none() | st.integers(0, 16)
states = st.sampled_from([HostState.MANAGED] * 9 + list(HostState))
mostly = st.sampled_from([True, True, True, True, False])


@st.composite
def hosts(draw: st.DrawFn, id: int) -> Host:
    """A small host; rack 3 is in datacenter 2, the others in 1."""
    rack = draw(st.sampled_from([1, 1, 1, 2, 2, 3]))
    return replace(
        HOST,
        id=id,
        name=f"host{id}",
        rack=rack,
        rack_name=f"rack{rack}",
        datacenter=2 if rack == 3 else 1,
        hypervisor=draw(st.sampled_from(["lab", "lab", "lab", "other"])),
        type=draw(st.sampled_from(["KVM", "KVM", "KVM", "VMX_04"])),
        state=draw(states),
        reachable=draw(mostly),
        cpu_limit=draw(amounts),
        cpu_used=draw(amounts),
        ram_limit_mib=draw(amounts),
        ram_used_mib=draw(amounts),
        networks=frozenset(draw(st.sampled_from([("lan",), ("lan", "san"), ()]))),
        datastores=tuple(draw(st.lists(st.integers(1, 5), unique=True, max_size=3))),
    )


@st.composite
def datastores(draw: st.DrawFn, id: int) -> Datastore:
    """A small datastore, seen by whoever lists it."""
    return replace(
        DATASTORE,
        id=id,
        name=f"disks{id}",
        enabled=draw(mostly),
        shared=draw(st.booleans()),
        limit_bytes=draw(amounts),
        used_bytes=draw(amounts),
    )


@st.composite
def scopes(draw: st.DrawFn, kind: str, id: int) -> Scope:
    """An aggregated element that limits some of its sums."""
    return replace(
        SCOPE,
        kind=kind,
        id=id,
        name=f"{kind}{id}",
        cpu_limit=draw(limits),
        cpu_used=draw(amounts),
        ram_limit_mib=draw(limits),
        ram_used_mib=draw(amounts),
        disk_limit_bytes=draw(limits),
        disk_used_bytes=draw(amounts),
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Up to six hosts in three racks of two datacenters; some datastores are not known."""
    elements = [("rack", 1), ("rack", 2), ("rack", 3), ("datacenter", 1)]
    chosen = draw(st.lists(st.sampled_from(elements), unique=True))
    return World(
        tuple(draw(hosts(id)) for id in range(1, draw(st.integers(0, 6)) + 1)),
        tuple(draw(datastores(id)) for id in range(1, draw(st.integers(0, 5)) + 1)),
        tuple(draw(scopes(kind, id)) for kind, id in chosen),
    )


@st.composite
def demands(draw: st.DrawFn, world: World) -> Demand:
    """A deployment or a relocation in datacenter 1, sometimes limited to named hosts."""
    origin = None
    if draw(st.booleans()) and world.hosts:
        host = draw(st.sampled_from(world.hosts))
        origin = Origin(
            host.id,
            host.rack,
            host.hypervisor,
            draw(st.sampled_from(host.datastores or (9,))),
            draw(st.booleans()),
            draw(st.sampled_from(Reach)),
        )
    only = draw(st.none() | st.none() | st.frozensets(st.integers(1, 7), min_size=1, max_size=3))
    return Demand(
        VM,
        cpu=draw(st.integers(0, 4)),
        ram_mib=draw(st.integers(0, 4)),
        disk_bytes=draw(st.integers(0, 4)),
        type="KVM",
        datacenter=1,
        network=draw(st.sampled_from([None, None, "lan", "san"])),
        origin=origin,
        only=only,
    )
