"""A held place takes the VM it is held for as if nothing were there, and no bigger one."""

from uuid import UUID

from hypothesis import given

from scheduler.fleet.fleet import Fleet
from scheduler.fleet.hold_placement import Held, place_held
from scheduler.model.demand import Demand
from scheduler.model.fit_policy import FitPolicy
from scheduler.model.inventory import HostState, RuleSet
from scheduler.model.placement import Placement, Refusal
from scheduler.model.values import replace
from tests.scheduler.places import DATASTORE, DEMAND, HOST, World, fleet_of
from tests.scheduler.test_headroom import peopled, sizes

OTHER = UUID(int=77)


@given(peopled(), sizes())
def test_what_was_placed_is_placed_again_where_it_is_held(fleet: Fleet, demand: Demand) -> None:
    policy = fleet.rules.policy(1)
    before = fleet.place(demand, policy)
    if not isinstance(before, Placement):
        return
    fleet.claim(before, demand)
    held = Held(before.host, before.datastore, demand.cpu, demand.ram_mib, demand.disk_bytes)
    again = place_held(fleet, replace(demand, vm=OTHER), held)
    assert isinstance(again, Placement)
    assert (again.host, again.datastore, again.score) == (
        before.host,
        before.datastore,
        before.score,
    )
    fleet.release(before, demand)
    assert fleet.place(demand, policy) == before


def test_neither_a_bigger_vm_nor_a_closed_host_nor_another_datastore() -> None:
    full = replace(HOST, cpu_used=8, datastores=(1, 2))
    stores = (DATASTORE, replace(DATASTORE, id=2, limit_bytes=10**6))
    held = Held(1, 1, 4, 128, 100)
    fits = replace(DEMAND, cpu=4)
    fleet = fleet_of(World((full,), stores))
    found = place_held(fleet, fits, held)
    assert isinstance(found, Placement)
    assert found.datastore == 1, "the roomier one is not held"
    assert isinstance(place_held(fleet, replace(fits, cpu=5), held), Refusal)
    assert isinstance(place_held(fleet, replace(fits, only=frozenset({2})), held), Refusal)
    closed = fleet_of(World((replace(full, state=HostState.HALTED),), stores))
    assert isinstance(place_held(closed, fits, held), Refusal)
    assert isinstance(place_held(fleet, fits, replace(held, host=9)), Refusal)


def test_the_score_is_the_one_among_all_hosts() -> None:
    """PACKING keeps the last unused hosts, and there are many: the held one is not the last."""
    hosts = tuple(replace(HOST, id=n, name=f"host{n}") for n in range(1, 21))
    world = World(hosts, (DATASTORE,), rules=RuleSet(1, {0: FitPolicy.PACKING}))
    before = fleet_of(world).place(replace(DEMAND, only=frozenset({1})), FitPolicy.PACKING)
    assert isinstance(before, Placement)
    filled = replace(HOST, cpu_used=1, ram_used_mib=128)
    booked = replace(world, hosts=(filled, *hosts[1:]))
    held = Held(1, 1, 1, 128, 0)
    again = place_held(fleet_of(booked), DEMAND, held)
    assert isinstance(again, Placement)
    assert again.score == before.score
