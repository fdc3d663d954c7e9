"""Packing keeps every VM, fits everywhere, stays in its budget and knows when it is done."""

from itertools import combinations_with_replacement

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.plan.knapsack import Fillings
from scheduler.plan.packing import Problem, arrivals, pack

EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True)
amounts = st.integers(0, 6)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Up to eight hosts and five kinds; some gaps are below nothing, some hosts stay open."""
    hosts, kinds = draw(st.integers(2, 8)), draw(st.integers(1, 5))

    def table(rows: int, columns: int, each: st.SearchStrategy[int]) -> list[list[int]]:
        return [[draw(each) for _ in range(columns)] for _ in range(rows)]

    counts = np.array(table(hosts, kinds, st.integers(0, 3)), np.int64)
    needs = np.array(table(kinds, 3, st.sampled_from([0, 1, 2, 5])), np.int64)
    spare = np.array(table(hosts, 3, st.integers(-2, 12)), np.int64)
    often = st.sampled_from([1, 1, 1, 1, 0])
    eligible = np.array(table(hosts, kinds, often), np.bool_)
    clearable = np.array(table(1, hosts, often)[0], np.bool_)
    return Problem(needs, counts, spare, eligible, clearable, np.array([16, 16], np.int64))


@EXAMPLES
@given(problems(), st.integers(0, 40))
def test_a_packed_state_is_possible_and_within_the_budget(problem: Problem, most: int) -> None:
    packed = pack(problem, most)
    came = np.maximum(packed.counts - problem.counts, 0)
    assert (packed.counts.sum(axis=0) == problem.counts.sum(axis=0)).all()
    assert packed.moves == arrivals(problem.counts, packed.counts) <= most
    assert not came[~problem.eligible].any()
    added = (packed.counts - problem.counts) @ problem.needs
    for host in range(len(added)):
        # A gap below nothing may stay so, but nothing more comes in.
        wanted = (came[host] @ problem.needs) > 0
        assert (added[host] <= problem.spare[host])[wanted].all()
    busy = problem.counts.any(axis=1)
    assert packed.emptied == int((busy & ~packed.counts.any(axis=1)).sum())
    assert not (busy & ~packed.counts.any(axis=1) & ~problem.clearable).any()


@EXAMPLES
@given(problems())
def test_packed_again_nothing_changes(problem: Problem) -> None:
    packed = pack(problem, 1000)
    spare = problem.spare + (problem.counts - packed.counts) @ problem.needs
    busy = packed.counts.any(axis=1) | ~problem.clearable
    again = Problem(
        problem.needs,
        packed.counts,
        spare,
        problem.eligible & busy[:, None],
        problem.clearable & packed.counts.any(axis=1),
        problem.size,
    )
    assert pack(again, 1000).moves == 0


@EXAMPLES
@given(
    st.lists(st.tuples(amounts, amounts, amounts), min_size=1, max_size=4),
    st.data(),
)
def test_a_filling_is_the_worthiest_small_set(
    kinds: list[tuple[int, int, int]], choices: st.DataObject
) -> None:
    needs = np.array(kinds, np.int64)
    waiting = np.array([choices.draw(st.integers(0, 3)) for _ in kinds], np.int64)
    room = np.array([choices.draw(st.integers(-1, 12)) for _ in range(3)], np.int64)
    barred = np.array([choices.draw(st.booleans()) for _ in kinds], np.bool_)
    price = np.array([3, 7, 0], np.int64)
    fillings = Fillings(needs, price, waiting)
    worth, taken = fillings.best(room, barred)
    held = needs[taken].sum(axis=0) if taken else np.zeros(3, np.int64)
    assert worth == int(held @ price)
    assert not taken or (held <= room).all()
    assert not barred[taken].any() if taken else True
    assert all(taken.count(kind) <= waiting[kind] for kind in taken)
    for size in (1, 2, 3):
        for chosen in combinations_with_replacement(range(len(kinds)), size):
            there = all(chosen.count(kind) <= waiting[kind] for kind in chosen)
            wanted = needs[list(chosen)].sum(axis=0)
            if there and not barred[list(chosen)].any() and (wanted <= room).all():
                assert worth >= int(wanted @ price)
    if (room >= 0).all():
        assert worth <= int(fillings.at_most(room[None, :])[0])
