"""The policy over the six faults, and leases that end before anyone else may begin (I4)."""

import pytest

from drivers.contract import LeaseLost
from drivers.faults import Busy, Indeterminate, Missing, Rejected, Unreachable, Unsupported
from gateway.tasks.fault_policy import (
    LONGEST_WAIT_S,
    Limits,
    Then,
    after,
    is_exhausted,
    leaves_nothing,
    wait_s,
)
from gateway.tasks.lease import Lease, now_s
from gateway.tasks.saga import ActionKind, Mode, NextAction, SagaStep

LIMITS = Limits(attempts_max=3)


@pytest.mark.parametrize(
    ("fault", "tries", "then"),
    [
        (Unreachable("x"), 0, Then.AGAIN),
        (Unreachable("x"), 2, Then.FAIL),
        (Busy("x"), 1, Then.AGAIN),
        (Busy("x"), 2, Then.FAIL),
        (Rejected("x"), 0, Then.FAIL),
        (Missing("x"), 0, Then.FAIL),
        (Unsupported("x"), 0, Then.FAIL),
        (Indeterminate("x"), 0, Then.LOOK),
        (Indeterminate("x"), 99, Then.LOOK),
    ],
)
def test_each_fault_has_one_consequence(fault, tries, then):
    assert after(fault, tries, LIMITS) is then


def test_only_faults_that_touched_nothing_count_as_clean():
    faults = [Unreachable, Busy, Rejected, Missing, Unsupported, Indeterminate]
    assert [kind for kind in faults if leaves_nothing(kind("x"))] == [
        Unreachable,
        Busy,
        Unsupported,
    ]


def test_waits_double_up_to_the_longest():
    waits = [wait_s(n) for n in range(12)]
    assert waits == sorted(waits)
    assert waits[1] == 2 * waits[0]
    assert waits[-1] == LONGEST_WAIT_S


def test_a_lease_ends_its_margin_early():
    now = now_s()
    Lease(now, lease_s=10, margin_s=2).check()
    with pytest.raises(LeaseLost):
        Lease(now - 8.5, lease_s=10, margin_s=2).check()


def test_a_lapsed_lease_that_was_renewed_holds_again():
    now = now_s()
    lease = Lease(now - 100, lease_s=10, margin_s=2)
    lease.renewed(now, 10)
    lease.check()


def test_a_lost_lease_never_holds_again():
    lease = Lease(now_s(), lease_s=10, margin_s=2)
    lease.lose()
    lease.renewed(now_s(), 10)
    with pytest.raises(LeaseLost):
        lease.check()


@pytest.mark.parametrize(
    ("act", "final", "over"),
    [
        (ActionKind.BEGIN, False, True),
        (ActionKind.SETTLE, False, True),
        (ActionKind.BEGIN, True, True),
        (ActionKind.SETTLE, True, False),
        (ActionKind.UNDO, False, True),
        (ActionKind.SETTLE_UNDO, False, False),
    ],
)
def test_a_resolve_calls_once_more_what_cannot_turn_back(act, final, over):
    """After so many tries in vain a step is given up, but one resolve is enough to try again."""
    move = NextAction(act, SagaStep("step", Mode.CALL, final=final))
    assert is_exhausted(move, LIMITS.attempts_max, LIMITS) is over
    assert not is_exhausted(move, LIMITS.attempts_max - 1, LIMITS)
