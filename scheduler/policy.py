"""A fit policy orders the hosts that pass all rules: highest score first, ties to the lowest id."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from scheduler.fit_policy import FitPolicy
from scheduler.inventory import Host
from scheduler.scores.filling import filling
from scheduler.scores.spreading import spreading

__all__ = ["SCORES", "FitPolicy"]

SCORES: Mapping[FitPolicy, Callable[[Host], int]] = MappingProxyType(
    {
        FitPolicy.PROGRESSIVE: filling,
        FitPolicy.PERFORMANCE: spreading,
        FitPolicy.PACKING: filling,
    }
)
"""How gladly each policy takes a host, judged before the demand is added."""
