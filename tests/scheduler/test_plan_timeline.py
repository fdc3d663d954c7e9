"""A timeline overloads no place, waits for what a move needs, and wastes little time."""

from collections import Counter
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.plan.move_schedule import Capacities, Place, Timeline, length, timeline
from scheduler.plan.moves import MoveCause, MoveCost, Plan, PlannedMove

EXAMPLES = settings(max_examples=100, deadline=None, derandomize=True)
GIB = 2**30


def move(n: int, source: int, target: int, ram: int = 1, disk: int = 0, **more: int) -> PlannedMove:
    stores = (more.get("leaves", 1), more.get("to", 1))
    return PlannedMove(
        UUID(int=n), source, target, *stores, MoveCause.EMPTIES, 0, MoveCost(ram, disk)
    )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Up to thirty moves among six hosts, each after some of those before it."""
    moves: list[PlannedMove] = []
    for n in range(draw(st.integers(0, 30))):
        source, target = draw(st.permutations(range(1, 7)))[:2]
        disk = draw(st.sampled_from([0, 0, GIB]))
        stores = (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
        after = draw(st.sets(st.integers(0, n - 1), max_size=2)) if n else set()
        cost = MoveCost(draw(st.integers(0, 9)), disk)
        moves.append(
            PlannedMove(
                UUID(int=n),
                source,
                target,
                *stores,
                MoveCause.EMPTIES,
                0,
                cost,
                tuple(sorted(after)),
            )
        )
    return Plan("drain", tuple(moves))


capacities = st.builds(
    Capacities,
    host=st.integers(1, 8),
    datastore=st.sampled_from([4, 16, 40, 128]),
    network_moves=st.integers(1, 8),
    networks=st.just({1: 1, 2: 1, 3: 2, 4: 2}),
    slower=st.just({2: 1}),
)


def units(each: PlannedMove, given: Capacities) -> Counter[Place]:
    """What a move takes, told anew; where it is more than all, all."""
    storage = each.cost.disk_bytes > 0
    taken: Counter[Place] = Counter()
    for id in (each.source, each.target):
        taken["host", id] = min(4 if storage else 1, given.host)
    for id in (each.leaves, each.datastore):
        taken["datastore", id] = min(16 if storage else 1, given.datastore)
    networks = {given.networks.get(id, 0) for id in (each.source, each.target)}
    for id in networks if each.cost.ram_mib else ():
        taken["network", id] = 1
    return taken


def most(given: Capacities, place: Place) -> int:
    kind, id = place
    by_kind = {"host": given.host, "datastore": given.datastore}
    return by_kind.get(kind, 1 if id == 2 else given.network_moves)


def overloaded(plan: Plan, timed: Timeline, given: Capacities) -> list[Place]:
    found: list[Place] = []
    for now in set(timed.begins):
        load: Counter[Place] = Counter()
        for n, each in enumerate(plan.moves):
            if timed.begins[n] <= now < timed.ends[n]:
                load += units(each, given)
        found += [place for place, taken in load.items() if taken > most(given, place)]
    return found


@EXAMPLES
@given(plans(), capacities)
def test_no_place_is_overloaded_and_no_move_is_early(plan: Plan, given: Capacities) -> None:
    timed = timeline(plan, given)
    assert overloaded(plan, timed, given) == []
    for n, each in enumerate(plan.moves):
        assert timed.ends[n] - timed.begins[n] == length(each)
        assert all(timed.ends[earlier] <= timed.begins[n] for earlier in each.after)


@EXAMPLES
@given(plans(), capacities)
def test_the_bounds_are_bounds_and_the_plan_ends(plan: Plan, given: Capacities) -> None:
    timed = timeline(plan, given)
    assert max(timed.bound, timed.chain) <= timed.makespan
    assert timed.makespan <= sum(length(each) for each in plan.moves)
    assert timed == timeline(plan, given)


@pytest.mark.parametrize(
    ("moves", "makespan"),
    [
        # Eight running VMs leave one host at once, a ninth waits.
        ([move(n, 1, 2 + n) for n in range(8)], 1),
        ([move(n, 1, 2 + n) for n in range(9)], 2),
        # Two VMs with their disks.
        ([move(n, 1, 2 + n, 0, 2**20) for n in range(2)], 1),
        ([move(n, 1, 2 + n, 0, 2**20) for n in range(3)], 2),
        # Eight over one 10 GbE network.
        ([move(n, 2 * n, 2 * n + 1) for n in range(8)], 1),
        ([move(n, 2 * n, 2 * n + 1) for n in range(9)], 2),
        # Eight VMs with their disks off one datastore.
        ([move(n, 2 * n, 2 * n + 1, 0, 2**20, leaves=9, to=10 + n) for n in range(8)], 1),
        ([move(n, 2 * n, 2 * n + 1, 0, 2**20, leaves=9, to=10 + n) for n in range(9)], 2),
    ],
)
def test_the_limits_are_those_of_the_vendor(moves: list[PlannedMove], makespan: int) -> None:
    assert timeline(Plan("drain", tuple(moves)), Capacities()).makespan == makespan


def test_a_long_drain_is_near_its_bound() -> None:
    moves = [move(n, 1 + n % 4, 5 + n % 7, 1 + n * n % 64) for n in range(400)]
    timed = timeline(Plan("drain", tuple(moves)), Capacities())
    assert timed.makespan * 100 <= 115 * timed.bound
