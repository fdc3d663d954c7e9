"""A fit policy orders the hosts that pass all rules: highest score first, ties to the lowest id.

A search measures gladness: the score of a policy in another measure, 1 or more, in the same order.
`short` says for PACKING that unused hosts are so few that they come last.
"""

from collections.abc import Callable
from typing import Final, assert_never

import numpy as np
from numpy.typing import NDArray

from scheduler.fleet.host_columns import HostColumns
from scheduler.model.arithmetic import IN_USE_MAX
from scheduler.model.demand import Demand
from scheduler.model.fit_policy import FitPolicy
from scheduler.model.inventory import Host
from scheduler.scores.best_fit_residue import LAST, FreeRoom, packing, packing_columns
from scheduler.scores.bin_packing import filling
from scheduler.scores.spread import spreading

__all__ = ["FitPolicy", "rank_key", "rank_key_column", "score", "score_from_rank"]

# Names of our own, since to look a member up in its class takes as long as the rest of a question.
_PROGRESSIVE: Final = FitPolicy.PROGRESSIVE
_PERFORMANCE: Final = FitPolicy.PERFORMANCE
_PACKING: Final = FitPolicy.PACKING
_SPREAD = IN_USE_MAX + 2
_PACK = 2**28
"""More than any packing score is below zero."""


def score(policy: FitPolicy, host: Host, demand: Demand, short: bool) -> int:
    """How gladly the policy takes the demand on the host: the definition, for one host."""
    match policy:
        case FitPolicy.PROGRESSIVE:
            return filling(host)
        case FitPolicy.PERFORMANCE:
            return spreading(host)
        case FitPolicy.PACKING:
            room = FreeRoom(
                host.cpu_limit,
                host.cpu_limit - host.cpu_used,
                host.ram_limit_mib,
                host.ram_limit_mib - host.ram_used_mib,
            )
            last = LAST if short and filling(host) == 0 else 0
            return packing(room, demand.cpu, demand.ram_mib) - last
        case _:
            assert_never(policy)


def rank_key(policy: FitPolicy, demand: Demand, short: bool) -> Callable[[HostColumns, int], int]:
    """How glad one slot is."""
    if policy is _PROGRESSIVE:
        return _filling
    if policy is _PERFORMANCE:
        return _spreading
    if policy is _PACKING:
        return _packing(demand, short)
    assert_never(policy)


def rank_key_column(
    policy: FitPolicy, demand: Demand, section: HostColumns, short: bool
) -> NDArray[np.int64]:
    """The same for all slots."""
    if policy is _PROGRESSIVE:
        return section.glad.array
    if policy is _PERFORMANCE:
        return _SPREAD - section.glad.array
    if policy is _PACKING:
        room = FreeRoom(
            section.cpu_limit.array,
            section.cpu.array.astype(np.int64),
            section.ram_limit.array,
            section.ram.array.astype(np.int64),
        )
        glad = packing_columns(room, demand.cpu, demand.ram_mib) + _PACK
        return glad - LAST * (section.glad.array == 1) if short else glad
    assert_never(policy)


def score_from_rank(policy: FitPolicy, glad: int) -> int:
    """The score that is so glad."""
    if policy is _PROGRESSIVE:
        return glad - 1
    if policy is _PERFORMANCE:
        return glad - _SPREAD + 1
    if policy is _PACKING:
        return glad - _PACK
    assert_never(policy)


def _filling(section: HostColumns, slot: int) -> int:
    return section.glad.values[slot]


def _spreading(section: HostColumns, slot: int) -> int:
    return _SPREAD - section.glad.values[slot]


def _packing(demand: Demand, short: bool) -> Callable[[HostColumns, int], int]:
    cpu, ram_mib = demand.cpu, demand.ram_mib

    def glad(section: HostColumns, slot: int) -> int:
        entry = section.entries[slot]
        row = entry.row
        assert isinstance(row, Host)
        room = FreeRoom(
            row.cpu_limit,
            row.cpu_limit - entry.cpu,
            row.ram_limit_mib,
            row.ram_limit_mib - entry.ram,
        )
        last = LAST if short and section.glad.values[slot] == 1 else 0
        return packing(room, cpu, ram_mib) + _PACK - last

    return glad
