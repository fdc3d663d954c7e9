"""Capacity is counted in whole units and never rounded in anybody's favour."""

WHOLE = 10**12
"""All of a resource; shares are integers in parts of it, so that no comparison is inexact."""

IN_USE_MAX = 2**60
"""More than a million times all of it: sums are kept in columns of 64 bits."""


def limit(physical: int, percent: int) -> int:
    """What may be promised of a physical amount under a load rule of `percent` (0 or more).

    Over 100 is oversubscription. Rounding down loses nothing: `used + wanted` is whole, so it
    is at most physical * percent / 100 exactly when it is at most this. The rule bounds the sum
    alone: one VM may have more virtual CPUs than the host has cores.
    """
    if percent < 0:
        raise ValueError(f"a percentage cannot be negative: {percent}")
    return physical * percent // 100


def fits(limit: int | None, used: int, wanted: int) -> bool:
    """Whether `wanted` more may be promised; None is no limit.

    Adding nothing always fits: a limit lowered below present use touches no VM and does not
    hinder a move that leaves the sum as it is.
    """
    return limit is None or wanted <= 0 or used + wanted <= limit


def in_use(*parts: tuple[int, int]) -> int:
    """The shares in use of several resources, added, in parts of WHOLE.

    Each part is (used, limit); where nothing is allowed, all of it is in use. The sum is
    exact and rounded up once: equal sums stay equal, and only an unused host is 0. A host that
    promised IN_USE_MAX and more is beyond comparing.
    """
    over, under = 0, 1
    for used, limit_of in parts:
        share = (used, limit_of) if limit_of > 0 else (1, 1)
        over, under = over * share[1] + share[0] * under, under * share[1]
    return min(-(-over * WHOLE // under), IN_USE_MAX)
