"""Packing: the promises that a fleet relies on, and what it prefers."""

from dataclasses import astuple

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scheduler.scores.best_fit_residue import (
    FAMILIES_MIB,
    LAST,
    RESERVE,
    SHARES,
    FreeRoom,
    packing,
    packing_columns,
    short_of_unused,
    usable,
)

GIB = 1024
cpus = st.integers(0, 2**20)
mib = st.integers(0, 2**40)


@st.composite
def rooms(draw: st.DrawFn) -> FreeRoom[int]:
    """Any host that has promised no more than it may."""
    cpu_limit, ram_limit = draw(cpus), draw(mib)
    return FreeRoom(
        cpu_limit,
        draw(st.integers(0, cpu_limit)),
        ram_limit,
        draw(st.integers(0, ram_limit)),
    )


def host(cpu_free: int, gib_free: int) -> FreeRoom[int]:
    """A host of 96 virtual CPUs and 384 GiB."""
    return FreeRoom(96, cpu_free, 384 * GIB, gib_free * GIB)


@given(st.lists(rooms(), min_size=1, max_size=8), cpus, mib)
def test_columns_have_the_same_integers(many: list[FreeRoom[int]], cpu: int, ram_mib: int) -> None:
    columns = [np.array(column, dtype=np.int64) for column in zip(*map(astuple, many), strict=True)]
    found = packing_columns(FreeRoom(*columns), cpu, ram_mib)
    assert found.dtype == np.int64
    assert found.tolist() == [packing(one, cpu, ram_mib) for one in many]


@given(rooms(), rooms(), st.integers(0, 64), st.integers(0, 2**18))
def test_the_reserve_comes_after_every_other_host(
    one: FreeRoom[int], other: FreeRoom[int], cpu: int, ram_mib: int
) -> None:
    assert packing(one, cpu, ram_mib) - LAST < packing(other, cpu, ram_mib)


@given(rooms(), cpus, mib, st.integers(0, 64), st.integers(0, 2**18))
def test_a_bigger_vm_is_never_more_welcome(
    room: FreeRoom[int], cpu: int, ram_mib: int, more_cpu: int, more_mib: int
) -> None:
    assert packing(room, cpu + more_cpu, ram_mib + more_mib) <= packing(room, cpu, ram_mib)


@given(rooms())
def test_usable_is_a_share_for_each_family(room: FreeRoom[int]) -> None:
    whole = FreeRoom(room.cpu_limit, room.cpu_limit, room.ram_limit_mib, room.ram_limit_mib)
    assert 0 <= usable(room) <= usable(whole) <= SHARES * len(FAMILIES_MIB)


def test_all_of_an_unused_host_is_usable() -> None:
    assert usable(host(96, 384)) == SHARES * len(FAMILIES_MIB)
    assert usable(host(0, 384)) == usable(host(96, 0)) == 0


def test_of_hosts_in_balance_the_fuller_is_taken() -> None:
    scores = [packing(host(free, 4 * free), 2, 8 * GIB) for free in (2, 24, 48, 96)]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == len(scores)


def test_memory_is_taken_where_it_would_be_stranded() -> None:
    """Either host has the same length of what is left; only one has no CPU to go with it."""
    much_memory = (2, 32 * GIB)
    assert packing(host(12, 192), *much_memory) > packing(host(48, 48), *much_memory)


def test_cpu_is_taken_where_it_would_be_stranded() -> None:
    much_cpu = (8, 8 * GIB)
    assert packing(host(48, 48), *much_cpu) > packing(host(12, 192), *much_cpu)


def test_a_big_vm_begins_a_host_early_and_a_small_one_does_not() -> None:
    unused, poor_in_memory = host(96, 384), host(72, 128)
    assert packing(unused, 16, 128 * GIB) > packing(poor_in_memory, 16, 128 * GIB)
    assert packing(unused, 1, 8 * GIB) < packing(poor_in_memory, 1, 8 * GIB)


def test_one_host_of_so_many_is_the_reserve() -> None:
    assert short_of_unused(5, 5 * RESERVE)
    assert not short_of_unused(6, 5 * RESERVE)
    assert short_of_unused(1, 2)
    assert not short_of_unused(2, 2)
