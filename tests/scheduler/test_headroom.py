"""Headroom: "k fit" is k that can really be placed and no more; the biggest VM really fits."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.capacity.free_capacity import room_of
from scheduler.capacity.headroom import biggest, computed, fits
from scheduler.fleet.fleet import Fleet
from scheduler.model.demand import Demand
from scheduler.model.inventory import HostState, RuleSet
from scheduler.model.placement import Placement, Refusal
from scheduler.model.values import replace
from tests.scheduler.places import DATASTORE, DEMAND, HOST, ORIGIN, SCOPE, World, fleet_of, worlds


@st.composite
def sizes(draw: st.DrawFn) -> Demand:
    """A small demand of something in datacenter 1."""
    cpu, ram, disk = draw(st.tuples(*[st.integers(0, 3)] * 3).filter(any))
    return replace(
        DEMAND,
        cpu=cpu,
        ram_mib=ram,
        disk_bytes=disk,
        network=draw(st.sampled_from([None, None, "lan"])),
        enterprise=draw(st.sampled_from([None, 1, 2])),
        only=draw(st.none() | st.none() | st.frozensets(st.integers(1, 7), max_size=4)),
    )


@st.composite
def peopled(draw: st.DrawFn) -> Fleet:
    """A world in which hosts are reserved, in clusters, and have enterprises that keep apart."""
    world = draw(worlds())
    hosts = tuple(
        replace(
            host,
            cluster=draw(st.sampled_from([None, 10 * host.rack + 1, 10 * host.rack + 2])),
            reserved_for=draw(st.sampled_from([None, None, 1])),
            enterprises=draw(st.frozensets(st.integers(1, 2), max_size=1)),
        )
        for host in world.hosts
    )
    clusters = tuple(
        replace(
            SCOPE, kind="cluster", id=id, name=f"cluster{id}", cpu_limit=draw(st.integers(0, 9))
        )
        for id in draw(st.sets(st.sampled_from([11, 12, 21])))
    )
    fleet = fleet_of(World(hosts, world.datastores, (*world.scopes, *clusters)))
    fleet.apply(RuleSet(1, excluded={1: frozenset({2}), 2: frozenset({1})}))
    return fleet


def place_until_refused(fleet: Fleet, demand: Demand, most: int = 500) -> int:
    """How many the scheduler really takes; they stay claimed."""
    for n in range(most):
        each = replace(demand, vm=UUID(int=n + 1))
        found = fleet.place(each, fleet.rules.policy(1))
        if isinstance(found, Refusal):
            return n
        fleet.claim(found, each)
    raise AssertionError("no end of placing")


@given(peopled(), sizes())
def test_so_many_fit_and_no_more(fleet: Fleet, demand: Demand) -> None:
    before = fleet.hosts()
    counted = fits(fleet, demand)
    assert fleet.hosts() == before
    assert place_until_refused(fleet, demand) == counted


@given(peopled(), sizes())
def test_what_is_computed_is_what_placing_shows(fleet: Fleet, demand: Demand) -> None:
    counted = computed(room_of(fleet), demand)
    assert counted in (None, place_until_refused(fleet, demand))


def test_nested_limits_are_computed_and_a_tangle_is_not() -> None:
    """Two hosts of a rack, one datastore each or the same: sums. Two that overlap: placing."""
    hosts = tuple(replace(HOST, id=n, datastores=(n,)) for n in (1, 2))
    own = tuple(replace(DATASTORE, id=n, limit_bytes=500) for n in (1, 2))
    rack = replace(SCOPE, cpu_limit=7)
    assert computed(room_of(fleet_of(World(hosts, own, (rack,)))), DEMAND) == 7
    assert computed(room_of(fleet_of(World(hosts, own))), DEMAND) == 10
    both = tuple(replace(host, datastores=(1,)) for host in hosts)
    assert computed(room_of(fleet_of(World(both, own, (rack,)))), DEMAND) == 5
    overlapping = (replace(HOST, id=1, datastores=(1, 2)), hosts[1])
    assert computed(room_of(fleet_of(World(overlapping, own))), DEMAND) is None
    racks = tuple(replace(host, rack=n) for n, host in enumerate(both, 1))
    crossing = (*racks, replace(HOST, id=3, datastores=(2,)))
    assert computed(room_of(fleet_of(World(crossing, own, (rack,)))), DEMAND) is None


def test_a_layer_takes_one_of_each_host() -> None:
    hosts = tuple(replace(HOST, id=n, layers=frozenset({9} if n == 3 else ())) for n in (1, 2, 3))
    assert fits(fleet_of(World(hosts, (DATASTORE,))), replace(DEMAND, layer=9)) == 2
    overlapping = tuple(replace(host, datastores=(1, 2)[: host.id]) for host in hosts)
    stores = tuple(replace(DATASTORE, id=n, limit_bytes=100) for n in (1, 2))
    assert fits(fleet_of(World(overlapping, stores)), replace(DEMAND, layer=9)) == 2


@pytest.mark.parametrize(
    "demand", [replace(DEMAND, cpu=0, ram_mib=0, disk_bytes=0), replace(DEMAND, origin=ORIGIN)]
)
def test_what_has_no_number_is_refused(demand: Demand) -> None:
    with pytest.raises(ValueError, match=r"without end|already"):
        fits(Fleet(), demand)


@given(peopled(), sizes())
def test_the_biggest_fits_and_nothing_bigger(fleet: Fleet, demand: Demand) -> None:
    found = biggest(fleet, demand)

    def fit(cpu: int, ram: int, disk: int) -> bool:
        asked = replace(demand, cpu=cpu, ram_mib=ram, disk_bytes=disk)
        return isinstance(fleet.place(asked, fleet.rules.policy(1)), Placement)

    if fit(0, 0, 0):
        assert fit(found.cpu, 0, 0)
        assert fit(0, found.ram_mib, 0)
        assert fit(0, 0, found.disk_bytes)
    assert not fit(found.cpu + 1, 0, 0)
    assert not fit(0, found.ram_mib + 1, 0)
    assert not fit(0, 0, found.disk_bytes + 1)
    for cpu, ram in found.shapes:
        assert fit(cpu, ram, demand.disk_bytes)
        assert not fit(cpu + 1, ram, demand.disk_bytes)
        assert not fit(cpu, ram + 1, demand.disk_bytes)
    assert fit(0, 0, demand.disk_bytes) == bool(found.shapes)


@given(peopled(), sizes(), st.integers(1, 3))
def test_the_biggest_of_a_ratio_fits_and_one_more_cpu_does_not(
    fleet: Fleet, demand: Demand, ratio: int
) -> None:
    cpu = biggest(fleet, demand).cpu_at(ratio)
    for more, placed in ((0, bool(cpu)), (1, False)):
        asked = replace(demand, cpu=cpu + more, ram_mib=(cpu + more) * ratio)
        if cpu + more:
            answer = fleet.place(asked, fleet.rules.policy(1))
            assert isinstance(answer, Placement) == placed


def test_the_biggest_shapes_are_those_that_no_other_exceeds() -> None:
    sizes = ((4, 100), (2, 300), (2, 200), (1, 300), (3, 100))
    hosts = tuple(
        replace(HOST, id=n, cpu_limit=cpu, ram_limit_mib=ram)
        for n, (cpu, ram) in enumerate(sizes, 1)
    )
    found = biggest(fleet_of(World(hosts, (DATASTORE,))), DEMAND)
    assert (found.cpu, found.ram_mib, found.disk_bytes) == (4, 300, 1000)
    assert found.shapes == ((4, 100), (2, 300))
    assert [found.cpu_at(ratio) for ratio in (1, 50, 100, 301)] == [4, 2, 2, 0]


def test_a_closed_host_has_no_room() -> None:
    closed = replace(HOST, state=HostState.HALTED)
    fleet = fleet_of(World((closed,), (DATASTORE,)))
    assert fits(fleet, DEMAND) == 0
    assert biggest(fleet, DEMAND).shapes == ()
