"""Limits are exact: nobody gains or loses a unit by rounding (M-038)."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.model.arithmetic import WHOLE, fits, in_use, limit

large = st.integers(0, 2**62)


@given(large, st.integers(0, 1000), large, large)
def test_rounding_the_limit_down_changes_no_answer(
    physical: int, percent: int, used: int, wanted: int
) -> None:
    """M-038: used + wanted <= physical x percent / 100, in exact fractions."""
    exact = used + wanted <= Fraction(physical * percent, 100)
    assert (used + wanted <= limit(physical, percent)) == exact


@pytest.mark.parametrize(
    ("physical", "percent", "expected"),
    [
        (8, 100, 8),
        (8, 400, 32),
        (3, 50, 1),
        (1, 99, 0),
        (7, 0, 0),
        (10**15 + 1, 300, 3 * 10**15 + 3),
    ],
)
def test_the_percentage_applies_to_the_physical_amount(
    physical: int, percent: int, expected: int
) -> None:
    """M-039: 100 is the physical amount, more is oversubscription."""
    assert limit(physical, percent) == expected


def test_a_negative_percentage_is_refused() -> None:
    """RULE-8 is the caller's to tell; here it is a bug."""
    with pytest.raises(ValueError, match="-1"):
        limit(8, -1)


@pytest.mark.parametrize(
    ("allowed", "used", "wanted", "expected"),
    [
        (8, 7, 1, True),
        (8, 8, 1, False),
        (8, 9, 0, True),
        (0, 0, 1, False),
        (None, 10**18, 10**18, True),
    ],
)
def test_a_demand_fits_up_to_the_limit_itself(
    allowed: int | None, used: int, wanted: int, expected: bool
) -> None:
    """M-038: equality fits; adding nothing fits even over the limit; None is no limit."""
    assert fits(allowed, used, wanted) is expected


parts = st.tuples(st.integers(0, 50), st.integers(0, 50))


@given(parts, parts, parts, parts)
def test_shares_compare_as_exact_fractions(
    cpu: tuple[int, int], ram: tuple[int, int], other_cpu: tuple[int, int], other: tuple[int, int]
) -> None:
    """M-041: which host is more in use is never decided by rounding."""

    def exact(*both: tuple[int, int]) -> Fraction:
        return sum((Fraction(u, of) if of else Fraction(1) for u, of in both), Fraction(0))

    mine, theirs = in_use(cpu, ram), in_use(other_cpu, other)
    assert (mine < theirs) == (exact(cpu, ram) < exact(other_cpu, other))
    assert (mine == theirs) == (exact(cpu, ram) == exact(other_cpu, other))


def test_only_an_unused_host_has_no_share_in_use() -> None:
    """One MiB of an exbibyte counts."""
    assert in_use((0, 64), (0, 2**40)) == 0
    assert in_use((0, 64), (1, 2**60)) == 1
    assert in_use((64, 64), (0, 1)) == WHOLE
