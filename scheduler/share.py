"""A share is the part of the hosts that one of several schedulers tries first.

Best fit makes all of them want the same host; where each tries its own hosts first they seldom
meet. Nothing is refused before the whole fleet was tried.
"""

from typing import NamedTuple

_WORD = 2**64
_GOLDEN = 0x9E3779B97F4A7C15


class Share(NamedTuple):
    """Part number `part` of `parts`, from 0."""

    part: int
    parts: int


def part_of(host: int, parts: int) -> int:
    """The part a host belongs to, by rendezvous hashing: of all parts the one whose mark is
    highest, so that one part more takes hosts from all others and moves no other host."""
    return max(range(parts), key=lambda part: (_mark(host, part), part))


def _mark(host: int, part: int) -> int:
    """A well mixed number of 64 bits (the finalizer of SplitMix64)."""
    mixed = (host * _GOLDEN + (part + 1) * 0xD1B54A32D192ED03) % _WORD
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 % _WORD
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB % _WORD
    return mixed ^ (mixed >> 31)
