"""Losing a host: what counting says is what placing shows, for any policy, and nothing is left."""

from collections.abc import Mapping
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.capacity import residents_by_size
from scheduler.capacity.free_capacity import room_of
from scheduler.capacity.headroom import fits
from scheduler.capacity.host_failure import FailureAnalysis
from scheduler.capacity.residents_by_size import Residents
from scheduler.fleet.fleet import Fleet
from scheduler.model.demand import Demand, Origin, RelocationScope
from scheduler.model.fit_policy import FitPolicy
from scheduler.model.inventory import Host, RuleSet
from scheduler.model.placement import Placement
from scheduler.model.values import replace
from tests.scheduler.places import DATASTORE, DEMAND, HOST, SCOPE, World, fleet_of, worlds

APART = {1: frozenset({2}), 2: frozenset({1})}


@st.composite
def resident(draw: st.DrawFn, host: Host, number: int, reach: RelocationScope) -> Demand:
    """A small VM on the host."""
    datastore = draw(st.sampled_from(host.datastores or (9,)))
    return replace(
        DEMAND,
        vm=UUID(int=number),
        cpu=draw(st.integers(0, 4)),
        ram_mib=draw(st.integers(0, 2)),
        disk_bytes=draw(st.integers(0, 3)),
        datacenter=host.datacenter,
        enterprise=draw(st.sampled_from([None, 1, 2, 3])),
        layer=draw(st.sampled_from([None, None, 5])),
        origin=Origin(
            host.id,
            host.rack,
            host.hypervisor,
            datastore,
            draw(st.booleans()),
            reach,
            host.cluster,
        ),
    )


@st.composite
def alike(draw: st.DrawFn) -> World:
    """Two to five open hosts that differ in what is left of them and in their datastores."""
    hosts = tuple(
        replace(
            HOST,
            id=n,
            name=f"h{n}",
            rack=draw(st.sampled_from([1, 1, 2])),
            cpu_used=draw(st.integers(0, 8)),
            ram_used_mib=8192 - draw(st.integers(2, 8)),
            datastores=draw(st.sampled_from([(7,), (7, n), (n,), (7, 8)])),
        )
        for n in range(1, draw(st.integers(2, 5)) + 1)
    )
    datastores = tuple(
        replace(DATASTORE, id=n, limit_bytes=draw(st.integers(0, 9)), shared=n > 6)
        for n in range(1, 9)
    )
    racks = tuple(
        replace(SCOPE, id=n, cpu_limit=draw(st.none() | st.integers(0, 8)))
        for n in draw(st.sets(st.sampled_from([1, 2])))
    )
    return World(hosts, datastores, racks)


@st.composite
def crowds(draw: st.DrawFn) -> tuple[Fleet, Mapping[int, tuple[Demand, ...]]]:
    """A small world with VMs on its hosts, of few sizes, some in layers or kept apart."""
    world = draw(st.one_of(worlds(), alike(), alike()))
    reach = draw(st.sampled_from(RelocationScope))
    policy = draw(st.sampled_from(FitPolicy))
    numbers = iter(range(1, 1000))
    peopled = {}
    hosts = []
    for host in world.hosts:
        vms = [draw(resident(host, next(numbers), reach)) for _ in range(draw(st.integers(0, 3)))]
        peopled[host.id] = tuple(vms)
        hosts.append(
            replace(
                host,
                enterprises=frozenset(vm.enterprise for vm in vms if vm.enterprise),
                layers=frozenset(vm.layer for vm in vms if vm.layer),
            )
        )
    fleet = fleet_of(World(tuple(hosts), world.datastores, world.scopes))
    fleet.apply(RuleSet(1, {0: policy}, excluded=draw(st.sampled_from([{}, APART]))))
    return fleet, peopled


def homeless(fleet: Fleet, vms: list[Demand]) -> tuple[int, list[tuple[Placement, Demand]]]:
    """How many find no place, placed in this order; the others stay claimed."""
    done = []
    for vm in vms:
        found = fleet.place(vm, fleet.rules.policy(vm.datacenter))
        if isinstance(found, Placement):
            fleet.claim(found, vm)
            done.append((found, vm))
    return len(vms) - len(done), done


def undo(fleet: Fleet, done: list[tuple[Placement, Demand]]) -> None:
    for placement, vm in done:
        fleet.release(placement, vm)


@settings(max_examples=300)
@given(crowds())
def test_counting_never_contradicts_placing(
    crowd: tuple[Fleet, Mapping[int, tuple[Demand, ...]]],
) -> None:
    fleet, peopled = crowd
    room = room_of(fleet)
    counting = Residents(room, peopled)
    counted = counting.counted()
    for n, at in enumerate(room.candidates):
        vms = sorted(peopled[at.host.id], key=counting.number)
        lost, done = homeless(fleet, vms)
        undo(fleet, done)
        assert not (counted.safe[n] and lost)
        assert lost >= counted.short[n]
        assert bool(counted.short[n]) == bool(counted.unsafe[n])


@settings(max_examples=200)
@given(crowds(), st.sampled_from([None, 1]), st.integers(1, 2))
def test_the_answer_is_that_of_placing_every_host_s_vms(
    crowd: tuple[Fleet, Mapping[int, tuple[Demand, ...]]], enterprise: int | None, cpu: int
) -> None:
    fleet, peopled = crowd
    before = fleet.hosts()
    size = replace(DEMAND, cpu=cpu, ram_mib=1, disk_bytes=1, enterprise=enterprise)
    losses = FailureAnalysis(fleet, peopled)
    found = losses.survey(size)
    assert fleet.hosts() == before
    counting = Residents(room_of(fleet), peopled)
    unsafe, lefts, losts = [], {}, {}
    for host in before:
        lost, done = homeless(fleet, sorted(peopled[host.id], key=counting.number))
        others = frozenset(each.id for each in before) - {host.id}
        lefts[host.id], losts[host.id] = fits(fleet, replace(size, only=others)), lost
        undo(fleet, done)
        if lost:
            unsafe.append(host.id)
    assert found.unsafe == tuple(unsafe)
    assert found.safe == (not unsafe)
    if before:
        assert found.left is not None
        assert found.worst is not None
        assert found.left <= min(lefts.values())
        assert found.worst.left == lefts[found.worst.host]
        assert found.worst.homeless == losts[found.worst.host]


def equal_hosts(count: int, cpu_used: int) -> tuple[Fleet, dict[int, list[Demand]]]:
    """Equal hosts of 8 CPUs on one shared datastore, each full of VMs of one CPU."""
    hosts = tuple(replace(HOST, id=n, name=f"h{n}", cpu_used=cpu_used) for n in range(1, count + 1))
    shared = replace(DATASTORE, shared=True, limit_bytes=10**6)
    return fleet_of(World(hosts, (shared,))), {
        host.id: [
            replace(
                DEMAND,
                vm=UUID(int=100 * host.id + n),
                origin=Origin(host.id, 1, "lab", 1, True),
            )
            for n in range(cpu_used)
        ]
        for host in hosts
    }


@pytest.mark.parametrize(("used", "safe"), [(6, True), (7, False)])
def test_five_equal_hosts_lose_one(used: int, safe: bool) -> None:
    """Four others with two CPUs free each take six VMs; with one free each not seven."""
    fleet, peopled = equal_hosts(5, used)
    found = FailureAnalysis(fleet, peopled).survey(DEMAND)
    assert found.safe == safe
    assert found.placed == 0, "counting is enough for equal sizes"
    assert found.left == (2 if safe else 0)
    assert found.worst is not None
    assert found.worst.homeless == (0 if safe else 3)
    assert len(found.worst.names) == found.worst.homeless


def test_without_placing_the_undecided_are_named() -> None:
    """A VM of 3 CPUs may cost two places of 2, and there are two: only placing tells."""
    fleet, peopled = equal_hosts(2, 3)
    peopled = {1: [replace(vm, cpu=2 + n) for n, vm in enumerate(peopled[1][:2])]}
    only_counted = FailureAnalysis(fleet, peopled).survey(place=False)
    assert only_counted.undecided == (1,)
    assert not only_counted.safe
    placed = FailureAnalysis(fleet, peopled).survey()
    assert (placed.safe, placed.placed) == (True, 1)


def test_small_vms_come_after_big_ones() -> None:
    """4 CPUs and then 1 into 5: the small one needs no place that the big one could lack."""
    fleet, peopled = equal_hosts(2, 3)
    peopled = {1: [replace(vm, cpu=4 - 3 * n) for n, vm in enumerate(peopled[1][:2])]}
    found = FailureAnalysis(fleet, peopled).survey()
    assert (found.safe, found.placed) == (True, 0)


def test_an_aggregated_limit_that_would_run_out_counts() -> None:
    """The VMs of rack 1 may go to rack 2, whose aggregated limit takes one more of them only."""
    fleet, peopled = equal_hosts(2, 2)
    second = replace(HOST, id=2, name="h2", rack=2, generation=2)
    fleet.apply(second)
    fleet.apply(replace(SCOPE, id=2, cpu_limit=1))
    peopled = {
        1: [
            replace(vm, origin=Origin(1, 1, "lab", 1, True, RelocationScope.DATACENTER))
            for vm in peopled[1]
        ],
        2: [],
    }
    assert FailureAnalysis(fleet, peopled).survey().unsafe == (1,)
    fleet.apply(replace(SCOPE, id=2, cpu_limit=2, generation=2))
    assert FailureAnalysis(fleet, peopled).survey().safe


def test_many_sizes_are_rounded_up_and_still_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(residents_by_size, "SIZES_MAX", 1)
    fleet, peopled = equal_hosts(5, 6)
    peopled[1] = [replace(vm, ram_mib=100 + n) for n, vm in enumerate(peopled[1])]
    assert FailureAnalysis(fleet, peopled).survey().safe
    peopled[1] = [replace(vm, ram_mib=2000 + n) for n, vm in enumerate(peopled[1])]
    assert FailureAnalysis(fleet, peopled).survey(place=False).undecided == ()


def test_a_vm_of_another_host_is_refused() -> None:
    fleet, peopled = equal_hosts(2, 2)
    with pytest.raises(ValueError, match="listed under host 2"):
        FailureAnalysis(fleet, {2: peopled[1]})


def apart(hosts: int, *vms: tuple[int, int]) -> tuple[Fleet, dict[int, list[Demand]]]:
    """Equal hosts of 8 CPUs; on the first one VMs of (enterprise, CPUs), of which the enterprises
    1 and 2 are kept apart by now."""
    fleet, peopled = equal_hosts(hosts, 0)
    owned = [
        replace(
            DEMAND,
            vm=UUID(int=n),
            cpu=cpu,
            enterprise=enterprise,
            origin=Origin(1, 1, "lab", 1, True),
        )
        for n, (enterprise, cpu) in enumerate(vms)
    ]
    owners = frozenset(enterprise for enterprise, _ in vms)
    used = sum(cpu for _, cpu in vms)
    fleet.apply(replace(HOST, cpu_used=used, enterprises=owners, name="h1", generation=2))
    fleet.apply(RuleSet(2, {}, excluded=APART))
    return fleet, {**peopled, 1: owned}


def test_vms_that_are_kept_apart_by_now_may_find_no_place_together() -> None:
    """Each would fit on the one host that is left; whoever comes first closes it to the other."""
    fleet, peopled = apart(2, (1, 1), (2, 1))
    found = FailureAnalysis(fleet, peopled).survey()
    assert (found.unsafe, found.placed) == ((1,), 1)
    assert found.worst is not None
    assert found.worst.homeless == 1
    assert FailureAnalysis(*apart(3, (1, 1), (2, 1))).survey().safe


def test_a_tenant_that_moves_closes_whole_hosts_to_who_is_kept_apart_from_it() -> None:
    """Two VMs of 5 CPUs close two of four hosts: 8 of 2 CPUs are left, and not the 10 that fit
    beside them."""
    fleet, peopled = apart(5, (2, 5), (2, 5))
    size = replace(DEMAND, cpu=2, enterprise=1)
    others = frozenset({2, 3, 4, 5})
    lost, done = homeless(fleet, peopled[1])
    left = fits(fleet, replace(size, only=others))
    undo(fleet, done)
    assert (lost, left) == (0, 8)
    found = FailureAnalysis(fleet, peopled).survey(size)
    assert found.left is not None
    assert found.left <= left
    unminded = FailureAnalysis(fleet, peopled).survey(replace(size, enterprise=3))
    assert unminded.left == 10
