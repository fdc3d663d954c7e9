"""Plans of any small world: legal in every order, no protected VM moved, at rest in the end."""

import json
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.fleet.fleet import Fleet
from scheduler.model.demand import RelocationScope
from scheduler.model.inventory import Host, HostState
from scheduler.model.values import replace
from scheduler.plan.consolidate import consolidate
from scheduler.plan.drain import drain
from scheduler.plan.moves import Plan, PlannedMove, from_mapping, part, to_mapping
from scheduler.plan.preconditions import surprises
from scheduler.plan.rebalance import even
from scheduler.plan.resident import MovableVm, Terms, relocation
from tests.scheduler import second_opinion
from tests.scheduler.living import Living, livings, starting
from tests.scheduler.places import World

EXAMPLES = settings(max_examples=40, deadline=None, derandomize=True)
Planner = Callable[[Fleet, Iterable[MovableVm], Terms], Plan]


def drain_first(fleet: Fleet, residents: Iterable[MovableVm], terms: Terms) -> Plan:
    return drain(1, fleet, residents, terms)


PLANNERS: list[Planner] = [consolidate, even, drain_first]
planners = pytest.mark.parametrize("planner", PLANNERS, ids=lambda one: one.__name__)
terms_ = st.builds(
    Terms,
    reach=st.sampled_from(RelocationScope),
    moves_max_percent=st.just(100),
    gain_min_percent=st.sampled_from([1, 5, 20]),
)


class Running:
    """The world while a plan runs: both places of a moving VM are booked."""

    def __init__(self, homes: Living, terms: Terms) -> None:
        self.homes = homes
        self.terms = terms
        self.moving: list[PlannedMove] = []

    def begin(self, move: PlannedMove) -> None:
        """Every rule must let the VM in, by the second opinion, and its disks onto that store."""
        resident = next(each for each in self.homes.residents if each.vm == move.vm)
        assert resident.still is None
        assert resident.host == move.source
        world = self.world()
        fleet = self.homes.fleet()
        demand = relocation(resident, fleet, self.terms.reach, frozenset({move.target}))
        target = next(each for each in world.hosts if each.id == move.target)
        assert target.state is HostState.MANAGED
        assert target.reachable
        assert second_opinion.findings(world, demand, target) == {}
        store = next(each for each in world.datastores if each.id == move.datastore)
        assert store.enabled
        assert store.id in target.datastores
        assert move.cost.ram_mib == (resident.demand.ram_mib if resident.live else 0)
        assert store.used_bytes + move.cost.disk_bytes <= max(store.limit_bytes, store.used_bytes)
        self.meets_nobody_it_must_not(resident, target)
        self.moving.append(move)

    def meets_nobody_it_must_not(self, resident: MovableVm, target: Host) -> None:
        """Layers, exclusion and reservation, with those who still leave and who already come."""
        coming = {move.vm for move in self.moving if move.target == target.id}
        others = [
            each.demand
            for each in self.homes.residents
            if (each.host == target.id or each.vm in coming) and each.vm != resident.vm
        ]
        demand = resident.demand
        assert demand.layer is None or demand.layer not in {each.layer for each in others}
        enterprises = {demand.enterprise, *(each.enterprise for each in others)}
        assert demand.enterprise is None or not {1, 2} <= enterprises
        assert target.reserved_for in {None, demand.enterprise}

    def end(self, move: PlannedMove) -> None:
        """The source is free."""
        self.moving.remove(move)
        self.homes = self.homes.after([move])

    def world(self) -> World:
        """What is promised now; what a moving VM holds at the source it holds at the target."""
        arriving = [
            replace(each, host=move.target, datastore=move.datastore)
            for each in self.homes.residents
            for move in self.moving
            if each.vm == move.vm
        ]
        both = Living(self.homes.world, (*self.homes.residents, *arriving)).used()
        # Disks that stay where they are, and a VM within its rack, count once.
        alone = {each.vm: each for each in self.homes.residents}
        stores = {each.id: each for each in both.datastores}
        racks = {each.id: each for each in both.scopes}
        host_racks = {each.id: each.rack for each in both.hosts}
        for each in arriving:
            home, demand = alone[each.vm], each.demand
            if home.datastore == each.datastore:
                store = stores[each.datastore]
                used = store.used_bytes - demand.disk_bytes
                stores[store.id] = replace(store, used_bytes=used)
            rack = racks.get(host_racks[each.host])
            if rack is not None and host_racks[home.host] == rack.id:
                racks[rack.id] = replace(rack, cpu_used=rack.cpu_used - demand.cpu)
        return World(both.hosts, tuple(stores.values()), tuple(racks.values()))


def run(plan: Plan, running: Running, draw: st.DataObject) -> Living:
    """Begins and ends moves in any order that the plan allows.

    The worst is often to begin whatever may begin, the last of the plan first.
    """
    worst = draw.draw(st.booleans())
    done: set[int] = set()
    begun: set[int] = set()
    while len(done) < len(plan.moves):
        begins = [("begin", n) for n in starting(plan, done, begun)]
        ends = [("end", n) for n in sorted(begun - done)]
        if worst:
            what, n = begins[-1] if begins else ends[0]
        else:
            what, n = draw.draw(st.sampled_from(begins + ends))
        if what == "begin":
            running.begin(plan.moves[n])
            begun.add(n)
        else:
            running.end(plan.moves[n])
            done.add(n)
    return running.homes


@planners
@EXAMPLES
@given(homes=livings(), terms=terms_, choices=st.data())
def test_every_move_is_legal_in_any_order_that_the_plan_allows(
    planner: Planner, homes: Living, terms: Terms, choices: st.DataObject
) -> None:
    plan = planner(homes.fleet(), homes.residents, terms)
    after = run(plan, Running(homes, terms), choices)
    assert len(homes.busy()) == plan.hosts_before
    assert len(after.busy()) == plan.hosts_after
    assert not after.busy() & set(plan.empties)


@planners
@EXAMPLES
@given(homes=livings(), terms=terms_, choices=st.data())
def test_so_is_every_part_of_it_with_what_it_needs(
    planner: Planner, homes: Living, terms: Terms, choices: st.DataObject
) -> None:
    plan = planner(homes.fleet(), homes.residents, terms)
    positions = st.sets(st.sampled_from(range(len(plan.moves)))) if plan.moves else st.just(set())
    chosen = choices.draw(positions)
    some = part(plan, chosen)
    assert {plan.moves[n] for n in chosen} - {*plan.moves} == set()
    assert len(some.moves) >= len(chosen)
    after = run(some, Running(homes, terms), choices)
    assert len(after.busy()) == some.hosts_after
    assert not after.busy() & set(some.empties)


@planners
@EXAMPLES
@given(homes=livings(), terms=terms_)
def test_one_world_has_one_plan_which_survives_storing(
    planner: Planner, homes: Living, terms: Terms
) -> None:
    fleet = homes.fleet()
    before = fleet.hosts()
    plan = planner(fleet, homes.residents, terms)
    assert fleet.hosts() == before
    assert planner(homes.fleet(), tuple(reversed(homes.residents)), terms) == plan
    assert from_mapping(json.loads(json.dumps(to_mapping(plan)))) == plan


@planners
@EXAMPLES
@given(homes=livings(), terms=terms_)
def test_one_after_the_other_nothing_surprises(
    planner: Planner, homes: Living, terms: Terms
) -> None:
    plan = planner(homes.fleet(), homes.residents, terms)
    for move in plan.moves:
        resident = next(each for each in homes.residents if each.vm == move.vm)
        assert surprises(move, homes.fleet(), resident, terms) == ()
        homes = homes.after([move])


@EXAMPLES
@given(homes=livings(), terms=terms_)
def test_consolidating_never_needs_more_hosts_and_comes_to_rest(
    homes: Living, terms: Terms
) -> None:
    for _ in range(len(homes.world.hosts)):
        plan = consolidate(homes.fleet(), homes.residents, terms)
        if not plan.moves:
            break
        assert plan.hosts_after < plan.hosts_before
        homes = homes.after(plan.moves)
    assert consolidate(homes.fleet(), homes.residents, terms).moves == ()


@EXAMPLES
@given(homes=livings(), terms=terms_)
def test_evened_out_once_there_is_nothing_left_to_even(homes: Living, terms: Terms) -> None:
    plan = even(homes.fleet(), homes.residents, terms)
    homes = homes.after(plan.moves)
    assert even(homes.fleet(), homes.residents, terms).moves == ()


@EXAMPLES
@given(homes=livings(), terms=terms_)
def test_draining_moves_or_explains_every_vm(homes: Living, terms: Terms) -> None:
    plan = drain(1, homes.fleet(), homes.residents, terms)
    here = {each.vm for each in homes.residents if each.host == 1}
    moved, blocked = {move.vm for move in plan.moves}, {each.vm for each in plan.blocked}
    assert moved | blocked == here
    assert not moved & blocked
    assert all(each.reasons for each in plan.blocked)
    assert plan.closes == (1,)
    assert (1 in plan.empties) == (bool(moved) and not blocked)
