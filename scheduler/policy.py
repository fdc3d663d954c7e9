"""A fit policy orders the hosts that pass all rules: highest score first, ties to the lowest id."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from scheduler.demand import Demand
from scheduler.fit_policy import FitPolicy
from scheduler.inventory import Host
from scheduler.scores.filling import filling
from scheduler.scores.spreading import spreading
from scheduler.section import Section

__all__ = ["SCORES", "FitPolicy", "glad_column", "glad_of", "score_of"]

SCORES: Mapping[FitPolicy, Callable[[Host], int]] = MappingProxyType(
    {
        FitPolicy.PROGRESSIVE: filling,
        FitPolicy.PERFORMANCE: spreading,
        FitPolicy.PACKING: filling,
    }
)
"""How gladly each policy takes a host, judged before the demand is added."""
_SPREAD = 2**60 + 2


def glad_of(policy: FitPolicy, demand: Demand) -> Callable[[Section, int], int]:
    """How glad one slot is, 1 or more: the score in another measure, in the same order."""
    if policy is FitPolicy.PERFORMANCE:
        return _spreading
    return _filling


def glad_column(policy: FitPolicy, demand: Demand, section: Section) -> NDArray[np.int64]:
    """The same for all slots."""
    if policy is FitPolicy.PERFORMANCE:
        return _SPREAD - section.glad.array
    return section.glad.array


def score_of(policy: FitPolicy, glad: int) -> int:
    """The score that is so glad."""
    return glad - _SPREAD + 1 if policy is FitPolicy.PERFORMANCE else glad - 1


def _filling(section: Section, slot: int) -> int:
    return section.glad.values[slot]


def _spreading(section: Section, slot: int) -> int:
    return _SPREAD - section.glad.values[slot]
