"""Plans of known worlds: what is moved, why, what it waits for, and what is said of the rest."""

from collections.abc import Callable, Iterable
from uuid import UUID

import numpy as np
import pytest

from scheduler.fleet.fleet import Fleet
from scheduler.fleet.ranking import FitPolicy
from scheduler.model.arithmetic import WHOLE
from scheduler.model.inventory import HostState
from scheduler.model.values import replace
from scheduler.plan.consolidate import consolidate
from scheduler.plan.drain import drain
from scheduler.plan.move_groups import circles, occupied
from scheduler.plan.move_order import Router
from scheduler.plan.moves import MoveCause, MoveCost, Plan, PlannedMove, needed, part
from scheduler.plan.preconditions import surprises
from scheduler.plan.rebalance import even
from scheduler.plan.rehearsal import Rehearsal
from scheduler.plan.resident import MovableVm, Terms
from tests.scheduler.living import LOCAL, Living, host, living, resident

Planner = Callable[[Fleet, Iterable[MovableVm], Terms], Plan]
ALL = Terms(moves_max_percent=100)


def consolidated(homes: Living, terms: Terms = ALL) -> Plan:
    return consolidate(homes.fleet(), homes.residents, terms)


def test_half_empty_hosts_become_one() -> None:
    homes = living([host(1), host(2)], [resident(1, 1, 8, 8), resident(2, 2, 4, 4)])
    plan = consolidated(homes)
    move = PlannedMove(UUID(int=2), 2, 1, 1, 1, MoveCause.EMPTIES, WHOLE, MoveCost(4, 0))
    assert plan == Plan("consolidate", (move,), (), 2, 1, (2,), (2,), (), ((1, 1), (2, 1)))


def test_too_little_saved_is_nothing_done() -> None:
    homes = living([host(1), host(2)], [resident(1, 1, 8, 8), resident(2, 2, 4, 4)])
    plan = consolidated(homes, replace(ALL, saved_min=2))
    assert plan == Plan("consolidate", hosts_before=2, hosts_after=2)


@pytest.mark.parametrize("out", [{1}, {2}])
def test_what_somebody_else_balances_is_left_out(out: set[int]) -> None:
    """B9: neither is anything moved from there, nor to there; draining such a host is a wish."""
    vms = [resident(1, 1, 2, 2), resident(2, 2, 4, 4), resident(3, 2, 4, 4)]
    homes = living([host(1), host(2)], vms)
    for planned in (even, consolidate):
        assert planned(homes.fleet(), homes.residents, ALL).moves
        terms = replace(ALL, left_out=frozenset(out))
        assert planned(homes.fleet(), homes.residents, terms).moves == ()
    assert len(drain(2, homes.fleet(), homes.residents, replace(ALL, left_out=out)).moves) == 2


def test_no_more_vms_move_than_allowed() -> None:
    vms = [resident(n, 1 + n % 5, 2, 2) for n in range(20)]
    homes = living([host(id) for id in range(1, 6)], vms)
    plan = consolidated(homes, Terms(moves_max_percent=25))
    assert (plan.hosts_before, plan.hosts_after, len(plan.moves)) == (5, 4, 4)


def test_a_host_full_of_cpu_and_one_full_of_memory_trade() -> None:
    """Neither takes a VM of the third as it is."""
    thin = [resident(n, 1, 4, 1) for n in range(1, 5)]
    fat = [resident(n, 2, 1, 4) for n in range(5, 9)]
    homes = living([host(1), host(2), host(3)], [*thin, *fat, resident(9, 3, 6, 6)])
    plan = consolidated(homes)
    assert (plan.hosts_before, plan.hosts_after) == (3, 2)
    assert {move.reason for move in plan.moves} >= {MoveCause.EMPTIES, MoveCause.MAKES_ROOM}
    assert any(move.after for move in plan.moves)


def test_in_a_circle_one_steps_aside() -> None:
    """Hosts 1 and 2 are full and trade one for one; only the host that is emptied has room."""
    vms = [resident(1, 1, 4, 1), resident(2, 2, 1, 4), resident(3, 3, 1, 1)]
    homes = living([host(1, 4, 4), host(2, 4, 4), host(3, 5, 5)], vms)
    rehearsal = Rehearsal(homes.fleet(), homes.residents, ALL)
    (circle,) = circles(rehearsal.fleet, homes.residents, ALL, set(), occupied)
    _, fat, thin = (circle.kinds.index(kind) for kind in sorted(circle.kinds, key=repr))
    counts = np.zeros_like(circle.problem.counts)
    counts[0, fat] = counts[1, thin] = 1
    router = Router(rehearsal, circle, counts)
    assert [vm.int for vm in router.run()] == [3]
    assert router.refused == set()
    assert [(move.vm.int, move.target, move.reason) for move in rehearsal.moves] == [
        (1, 3, MoveCause.STEPS_ASIDE),
        (2, 1, MoveCause.MAKES_ROOM),
        (1, 2, MoveCause.EMPTIES),
    ]
    assert [move.after for move in rehearsal.moves] == [(), (0,), (0, 1)]


def test_protected_and_resting_vms_stay() -> None:
    protected = replace(resident(1, 1, 4, 4), protected=True)
    resting = replace(resident(2, 2, 4, 4), pinned="RESTING")
    homes = living([host(1), host(2)], [protected, resting])
    assert consolidated(homes).moves == ()
    assert even(homes.fleet(), homes.residents, ALL).moves == ()
    assert [each.reasons for each in drain(1, homes.fleet(), homes.residents, ALL).blocked] == [
        ("PROTECTED",)
    ]
    assert [each.reasons for each in drain(2, homes.fleet(), homes.residents, ALL).blocked] == [
        ("RESTING",)
    ]


def test_promises_to_unknown_vms_keep_a_host_open() -> None:
    homes = living([host(1), host(2)], [resident(1, 1, 8, 8), resident(2, 2, 4, 4)])
    fleet = homes.fleet()
    for id in (1, 2):
        known = fleet.host(id)
        assert known is not None
        fleet.apply(replace(known, cpu_used=known.cpu_used + 1, generation=2))
    assert consolidate(fleet, homes.residents, ALL).moves == ()


def test_draining_begins_with_the_biggest_and_says_why_others_stay() -> None:
    vms = [resident(1, 1, 2, 2), resident(2, 1, 8, 8), resident(3, 1, 4, 4)]
    halted = replace(host(3), state=HostState.HALTED)
    homes = living([host(1), host(2, 10, 10), halted], vms)
    plan = drain(1, homes.fleet(), homes.residents, ALL)
    assert [(move.vm.int, move.target) for move in plan.moves] == [(2, 2), (1, 2)]
    assert [(each.vm.int, each.reasons) for each in plan.blocked] == [
        (3, ("HOST_STATE", "CPU", "MEMORY"))
    ]
    assert "host2" in plan.blocked[0].told
    assert (plan.closes, plan.empties, plan.opens) == ((1,), (), (2,))


def test_draining_follows_the_policy() -> None:
    vms = [resident(1, 1, 2, 2), resident(2, 2, 2, 2)]
    homes = living([host(1), host(2), host(3)], vms)
    for policy, target in ((FitPolicy.PROGRESSIVE, 2), (FitPolicy.PERFORMANCE, 3)):
        plan = drain(1, homes.fleet(), homes.residents, ALL, policy)
        assert [move.target for move in plan.moves] == [target]


def test_nothing_leaves_an_unreachable_or_unknown_host() -> None:
    homes = living([replace(host(1), reachable=False), host(2)], [resident(1, 1, 2, 2)])
    plan = drain(1, homes.fleet(), homes.residents, ALL)
    assert [each.reasons for each in plan.blocked] == [("UNREACHABLE",)]
    with pytest.raises(LookupError):
        drain(9, homes.fleet(), homes.residents, ALL)


def test_evening_out_lowers_the_highest_load_by_the_hysteresis_or_not_at_all() -> None:
    vms = [resident(n, 1, 4, 4) for n in (1, 2, 3)]
    homes = living([host(1), host(2)], vms)
    plan = even(homes.fleet(), homes.residents, ALL)
    assert [(move.source, move.target, move.gain) for move in plan.moves] == [(1, 2, WHOLE // 4)]
    assert even(homes.fleet(), homes.residents, replace(ALL, gain_min_percent=26)).moves == ()


def test_disks_of_a_host_alone_are_copied_with_the_vm() -> None:
    home = replace(resident(1, 1, 2, 2), datastore=LOCAL + 1, live=False)
    homes = living([host(1), host(2)], [home])
    closed = replace(host(2), datastores=(LOCAL + 2,))
    homes = Living(replace(homes.world, hosts=(host(1), closed)), homes.residents)
    (move,) = drain(1, homes.fleet(), homes.residents, ALL).moves
    assert (move.leaves, move.datastore, move.cost) == (LOCAL + 1, LOCAL + 2, MoveCost(0, 1))


def surprised(homes: Living, move: PlannedMove) -> tuple[str, ...]:
    return surprises(move, homes.fleet(), homes.residents[0], ALL)


def test_the_first_surprise_is_seen() -> None:
    homes = living([host(1), host(2)], [resident(1, 1, 4, 4)])
    (move,) = drain(1, homes.fleet(), homes.residents, ALL).moves
    assert surprised(homes, move) == ()
    assert surprised(homes.after([move]), move) == ("ELSEWHERE",)
    assert surprised(homes, replace(move, target=9)) == ("GONE",)
    assert surprised(homes, replace(move, datastore=9)) == ("OTHER_DATASTORE",)
    kept = replace(homes.residents[0], protected=True)
    assert surprised(living([host(1), host(2)], [kept]), move) == ("PROTECTED",)
    cut_off = [replace(host(1), reachable=False), host(2)]
    assert surprised(living(cut_off, homes.residents), move) == ("UNREACHABLE",)
    crowded = [*homes.residents, resident(2, 2, 13, 13)]
    assert surprised(living([host(1), host(2)], crowded), move) == ("CPU", "MEMORY")


def chain() -> Plan:
    def move(n: int, source: int, after: tuple[int, ...]) -> PlannedMove:
        return PlannedMove(
            UUID(int=n), source, source + 1, 1, 1, MoveCause.EMPTIES, 0, MoveCost(1, 0), after
        )

    moves = (move(1, 3, ()), move(2, 2, (0,)), move(3, 1, (1,)), move(4, 7, ()))
    lived = ((1, 1), (2, 1), (3, 1), (4, 1), (7, 1), (8, 0))
    return Plan("drain", moves, (), 5, 4, (), (1, 7), (8,), lived)


def test_a_part_takes_along_what_it_needs() -> None:
    plan = chain()
    assert needed(plan, [2]) == (0, 1, 2)
    assert needed(plan, [3, 0]) == (0, 3)
    assert part(plan, range(4)) == plan
    some = part(plan, [1, 3])
    assert [(move.vm.int, move.after) for move in some.moves] == [(1, ()), (2, (0,)), (4, ())]
    assert (some.empties, some.opens, some.hosts_after) == ((2, 7), (8,), 4)


def crowd() -> list[MovableVm]:
    """Forty VMs of five shapes on seven hosts, which carry 5 to 20 of each resource."""
    shapes = [(1, 2), (2, 1), (3, 2), (1, 4), (2, 2)]
    return [resident(n, 1 + n * n % 11 % 7, *shapes[n % 5]) for n in range(40)]


@pytest.mark.parametrize("planner", [consolidate, even])
def test_a_thousand_rounds_move_nothing_after_the_first(planner: Planner) -> None:
    homes = living([host(id, 24, 24) for id in range(1, 8)], crowd())
    made: list[int] = []
    for _ in range(1000):
        plan = planner(homes.fleet(), homes.residents, ALL)
        made.append(len(plan.moves))
        homes = homes.after(plan.moves)
    assert made[0] > 0
    assert not any(made[1:])
