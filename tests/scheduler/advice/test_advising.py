"""Every piece of advice works when somebody follows it, and none asks for more than is needed."""

from collections.abc import Iterator

from hypothesis import given, settings
from msgspec.structs import replace as altered

from scheduler.advice.changes import (
    AddCapacity,
    Advice,
    AdviceStep,
    Change,
    RaiseRule,
    ShrinkDemand,
)
from scheduler.advice.offline import advice_in
from scheduler.advice.search import ADVICE_MAX
from scheduler.model.demand import Demand
from scheduler.model.placement import Placement
from tests.scheduler.advice.following import followed
from tests.scheduler.advice.towns import Town, towns

EXAMPLES = settings(max_examples=150, deadline=None, derandomize=True)


def advised(town: Town) -> tuple[Advice, ...] | None:
    """The advice for a town's demand; None where it was placed."""
    fleet = town.fleet()
    answer = fleet.place(town.demand, town.policy)
    if isinstance(answer, Placement):
        return None
    return advice_in(town.cluster, fleet, answer, town.policy, town.reach)


def placed(town: Town) -> bool:
    """What the scheduler of the whole town says."""
    return isinstance(town.fleet().place(town.demand, town.policy), Placement)


@EXAMPLES
@given(towns())
def test_advice_that_is_followed_places_the_demand(town: Town) -> None:
    """B2: each one by itself, in the whole town, by hands that do not know how it was found."""
    for advice in advised(town) or ():
        assert placed(followed(town, *advice.changes)), advice


@EXAMPLES
@given(towns())
def test_advice_is_no_larger_than_needed(town: Town) -> None:
    """One percent, one unit or one change less, and the demand is refused."""
    for advice in advised(town) or ():
        for less in smaller(advice, town.demand):
            assert not placed(followed(town, *less)), (advice, less)


@EXAMPLES
@given(towns())
def test_advice_is_short_and_says_nothing_twice(town: Town) -> None:
    found = advised(town) or ()
    assert len(found) <= ADVICE_MAX
    assert len({advice.changes for advice in found}) == len(found)


def smaller(advice: Advice, demand: Demand) -> Iterator[tuple[Change, ...]]:
    """The advice without one of its changes, and with each amount one less."""
    changes = advice.changes
    for n, change in enumerate(changes):
        rest = (*changes[:n], *changes[n + 1 :])
        yield rest
        for less in _less(change, demand):
            yield (*changes[:n], less, *changes[n + 1 :])


def _less(change: Change, demand: Demand) -> Iterator[Change]:
    match change:
        case RaiseRule():
            for name in ("cpu", "ram", "storage"):
                step = getattr(change, name)
                if step is not None and step.before + 1 < step.after:
                    yield altered(change, **{name: AdviceStep(step.before, step.after - 1)})
        case AddCapacity():
            for name in ("cpu", "ram_mib", "disk_bytes"):
                if getattr(change, name):
                    yield altered(change, **{name: getattr(change, name) - 1})
        case ShrinkDemand():
            for name in ("cpu", "ram_mib", "disk_bytes"):
                if getattr(change, name) < getattr(demand, name):
                    yield altered(change, **{name: getattr(change, name) + 1})
        case _:
            return
