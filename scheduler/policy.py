"""A fit policy orders the hosts that pass all rules: highest score first, ties to the lowest id."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType

from scheduler.inventory import Host
from scheduler.scores.filling import filling
from scheduler.scores.spreading import spreading


class FitPolicy(StrEnum):
    """PROGRESSIVE fills hosts one after the other, PERFORMANCE spreads over all of them."""

    PROGRESSIVE = "PROGRESSIVE"
    PERFORMANCE = "PERFORMANCE"


SCORES: Mapping[FitPolicy, Callable[[Host], int]] = MappingProxyType(
    {FitPolicy.PROGRESSIVE: filling, FitPolicy.PERFORMANCE: spreading}
)
"""How gladly each policy takes a host, judged before the demand is added."""
