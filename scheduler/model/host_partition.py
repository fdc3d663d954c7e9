"""A share is the part of the hosts that one of several schedulers tries first.

Best fit makes all of them want the same host; where each tries its own hosts first they seldom
meet. Nothing is refused before the whole fleet was tried: a scheduler that finds no room in its
share fills the other hosts in the order of its own marks, seldom those that their owners fill.
"""

from functools import lru_cache
from typing import NamedTuple

_WORD = 2**64
_GOLDEN = 0x9E3779B97F4A7C15


class HostPartition(NamedTuple):
    """Part number `part` of `parts`, from 0."""

    part: int
    parts: int


@lru_cache(2**17)
def contains(host: int, share: HostPartition) -> bool:
    """Whether the host is one of those in the share."""
    return partition_of(host, share.parts) == share.part


def partition_of(host: int, parts: int) -> int:
    """The part a host belongs to, by rendezvous hashing: of all parts the one whose mark is
    highest, so that one part more takes hosts from all others and moves no other host."""
    return max(range(parts), key=lambda part: (rendezvous_weight(host, part), part))


def rendezvous_weight(host: int, part: int) -> int:
    """How much a host is a part's: a well mixed number of 64 bits (SplitMix64's finalizer)."""
    mixed = (host * _GOLDEN + (part + 1) * 0xD1B54A32D192ED03) % _WORD
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 % _WORD
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB % _WORD
    return mixed ^ (mixed >> 31)
