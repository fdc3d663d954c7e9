"""Which hosts came nearest to a demand that was refused."""

import heapq
from collections.abc import Iterable

from scheduler.model.placement import HostVerdict
from scheduler.model.reason import Reason, ReasonCode

PARTS = 10**6
"""All that is wanted; shares of it are integers in parts of it."""


def nearest(verdicts: Iterable[HostVerdict], most: int) -> list[HostVerdict]:
    """The hosts that fail the fewest rules, and by the least: those asked for come first."""
    return heapq.nsmallest(most, verdicts, key=distance)


def distance(verdict: HostVerdict) -> tuple[bool, int, int, int]:
    """Asked for or not, rules failed, by how much in all, and the id."""
    unasked = any(reason.lack is ReasonCode.NOT_ASKED for reason in verdict.reasons)
    missing = sum(share(reason) for reason in verdict.reasons)
    return unasked, len(verdict.reasons), missing, verdict.host


def share(reason: Reason) -> int:
    """What is missing, as parts of what is wanted; what is no amount is missing whole."""
    short, wanted = reason.shortfall, reason.wanted
    if short is None or not isinstance(wanted, int) or wanted <= 0:
        return PARTS
    return short * PARTS // wanted
