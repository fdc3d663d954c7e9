"""Nearly every refusal that is met in practice carries advice, and all of it works."""

from collections import Counter

import pytest

from scheduler.advice.changes import Advice
from tests.scheduler.advice.corpus import refused
from tests.scheduler.advice.following import followed
from tests.scheduler.advice.test_advising import advised, placed
from tests.scheduler.advice.towns import Town

Found = list[tuple[Town, tuple[Advice, ...]]]


@pytest.fixture(scope="module")
def found() -> Found:
    """A hundred refusals with their advice."""
    return [(town, advised(town) or ()) for town in refused(100, seed=7)]


def test_nearly_every_refusal_carries_advice(found: Found) -> None:
    """B2: 95 % or more."""
    with_advice = sum(bool(advice) for _, advice in found)
    assert with_advice * 100 >= 95 * len(found)


def test_all_advice_works(found: Found) -> None:
    """B2: 100 %, whatever the kind."""
    for town, advice in found:
        for each in advice:
            assert placed(followed(town, *each.changes)), each


def test_advice_is_of_many_kinds(found: Found) -> None:
    """A rule, a resource, a VM to move, a hold that ends: each is met."""
    kinds = Counter(
        type(change).__name__ for _, advice in found for each in advice for change in each.changes
    )
    assert {"RaiseRule", "AddCapacity", "MoveVm", "WaitHold", "ShrinkDemand"} <= kinds.keys()
