"""A decision equals the second opinion on any small world."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.fleet.fleet import Fleet
from scheduler.fleet.ranking import FitPolicy
from scheduler.fleet.usage_ledger import Row
from scheduler.model.demand import Demand
from scheduler.model.inventory import AggregateScope, Datastore, Host
from scheduler.model.placement import HostVerdict, Placement, Refusal
from scheduler.model.reason import Reason, ReasonCode
from scheduler.model.values import replace
from tests.scheduler import second_opinion
from tests.scheduler.places import World, demands, fleet_of, roomy, worlds

EXAMPLES = settings(max_examples=100, deadline=None, derandomize=True)


@st.composite
def questions(draw: st.DrawFn) -> tuple[World, Demand, FitPolicy]:
    """A world, what is asked of it, and how to choose."""
    world = draw(worlds())
    return (
        world,
        draw(demands(world)),
        draw(st.sampled_from([FitPolicy.PROGRESSIVE, FitPolicy.PERFORMANCE])),
    )


@EXAMPLES
@given(questions())
def test_refused_if_and_only_if_no_host_will_do(question: tuple[World, Demand, FitPolicy]) -> None:
    """I17, M-038, M-043."""
    world, demand, policy = question
    answer = fleet_of(world).place(demand, policy)
    assert isinstance(answer, Refusal) == (not second_opinion.feasible(world, demand))


@EXAMPLES
@given(questions())
def test_the_policy_chooses_the_best_host(question: tuple[World, Demand, FitPolicy]) -> None:
    """M-041: PROGRESSIVE the most used, PERFORMANCE the least used, ties to the lowest id."""
    world, demand, policy = question
    answer = fleet_of(world).place(demand, policy)
    best = second_opinion.best(world, demand, policy)
    assert (answer.host if isinstance(answer, Placement) else None) == (best and best.id)


@EXAMPLES
@given(roomy(), st.sampled_from(FitPolicy))
def test_of_many_that_fit_the_best_is_chosen(
    question: tuple[World, Demand], policy: FitPolicy
) -> None:
    """M-041: also what packing weighs, and the unused hosts that it keeps for last."""
    world, demand = question
    answer = fleet_of(world).place(demand, policy)
    best = second_opinion.best(world, demand, policy)
    assert (answer.host if isinstance(answer, Placement) else None) == (best and best.id)


@EXAMPLES
@given(questions())
def test_one_datastore_takes_all_disks(question: tuple[World, Demand, FitPolicy]) -> None:
    """M-038: the emptiest one, or the one a relocating VM keeps."""
    world, demand, policy = question
    answer = fleet_of(world).place(demand, policy)
    if isinstance(answer, Refusal):
        return
    host = next(each for each in world.hosts if each.id == answer.host)
    choices = [each.id for each in second_opinion.disk_choices(world, demand, host)]
    assert answer.datastore == min(choices)


@EXAMPLES
@given(questions())
def test_every_reason_is_given_and_none_is_wrong(
    question: tuple[World, Demand, FitPolicy],
) -> None:
    """M-052: each host of the datacenter, each rule, what was wanted and what is spare."""
    world, demand, policy = question
    answer = fleet_of(world).place(demand, policy)
    if isinstance(answer, Placement):
        return
    assert [each.host for each in answer.verdicts] == _looked_at(world, demand)
    for verdict in answer.verdicts:
        host = next(each for each in world.hosts if each.id == verdict.host)
        assert _told(verdict) == second_opinion.findings(world, demand, host)
        for reason in verdict.reasons:
            assert reason.shortfall is None or reason.shortfall > 0


@EXAMPLES
@given(questions())
def test_with_the_shortfalls_removed_the_host_passes(
    question: tuple[World, Demand, FitPolicy],
) -> None:
    """M-052: raising each limit by exactly its shortfall is enough, and by one less is not."""
    world, demand, policy = question
    answer = fleet_of(world).place(demand, policy)
    if isinstance(answer, Placement):
        return
    for verdict in filter(lambda each: each.candidate, answer.verdicts):
        named = replace(demand, only=frozenset({verdict.host}))
        enough = _raised(world, verdict, 0)
        assert isinstance(fleet_of(enough).place(named, policy), Placement)
        short = _raised(world, verdict, 1)
        assert isinstance(fleet_of(short).place(named, policy), Refusal)


@EXAMPLES
@given(questions(), st.randoms(use_true_random=False))
def test_the_answer_does_not_depend_on_the_order_of_the_news(
    question: tuple[World, Demand, FitPolicy], chance: Random
) -> None:
    """M-041: one snapshot, one answer."""
    world, demand, policy = question
    rows = list(world.rows)
    chance.shuffle(rows)
    fleet = Fleet()
    for row in rows:
        fleet.apply(row)
    assert fleet.place(demand, policy) == fleet_of(world).place(demand, policy)


@EXAMPLES
@given(questions())
def test_the_candidates_list_is_what_place_says(
    question: tuple[World, Demand, FitPolicy],
) -> None:
    """M-023: every host exactly once; the first that fits is the one place takes."""
    world, demand, policy = question
    fleet = fleet_of(world)
    listed = fleet.candidates(demand, policy)
    assert sorted(host.id for host, _, _ in listed) == _looked_at(world, demand)
    fitting = [(host.id, datastore) for host, datastore, reasons in listed if not reasons]
    assert {host for host, _ in fitting} == {
        host.id for host in second_opinion.feasible(world, demand)
    }
    assert [bool(reasons) for _, _, reasons in listed] == sorted(
        bool(reasons) for _, _, reasons in listed
    )
    answer = fleet.place(demand, policy)
    if isinstance(answer, Placement):
        host, datastore = fitting[0]
        assert datastore is not None
        assert (answer.host, answer.datastore) == (host, datastore.id)


@EXAMPLES
@given(questions())
def test_a_placement_lists_every_row_in_locking_order(
    question: tuple[World, Demand, FitPolicy],
) -> None:
    """The store claims exactly these rows, in (kind, id) order."""
    world, demand, policy = question
    answer = fleet_of(world).place(demand, policy)
    if isinstance(answer, Refusal):
        return
    host = next(each for each in world.hosts if each.id == answer.host)
    around = {("rack", host.rack), ("datacenter", host.datacenter), ("cluster", host.cluster)}
    known = {(each.kind, each.id) for each in world.scopes}
    rows = [(seen.kind, seen.id) for seen in answer.seen]
    assert rows == sorted({("host", host.id), ("datastore", answer.datastore)} | (around & known))


def _looked_at(world: World, demand: Demand) -> list[int]:
    named = demand.only or frozenset()
    return [
        host.id for host in world.hosts if host.datacenter == demand.datacenter or host.id in named
    ]


def _told(verdict: HostVerdict) -> dict[tuple[str, str], tuple[int, int] | None]:
    told: dict[tuple[str, str], tuple[int, int] | None] = {}
    for reason in verdict.reasons:
        amount = None
        if isinstance(reason.wanted, int) and isinstance(reason.spare, int):
            amount = (reason.wanted, reason.spare)
        told[reason.lack.value, reason.where] = amount
    return told


def _raised(world: World, verdict: HostVerdict, less: int) -> World:
    """The world with the limits behind a verdict raised; the first of them by `less` too little."""
    shortfalls = [
        (each, (each.shortfall or 0) - (less if n == 0 else 0))
        for n, each in enumerate(verdict.reasons)
    ]
    rows = list(world.rows)
    for reason, by in shortfalls:
        rows = [_lifted(row, verdict.host, reason, by) for row in rows]
    return World(
        tuple(row for row in rows if isinstance(row, Host)),
        tuple(row for row in rows if isinstance(row, Datastore)),
        tuple(row for row in rows if isinstance(row, AggregateScope)),
        world.rules,
    )


def _lifted(row: Row, host: int, reason: Reason, by: int) -> Row:
    match row, reason.lack:
        case Host(id=id), ReasonCode.CPU if id == host:
            return replace(row, cpu_limit=row.cpu_limit + by)
        case Host(id=id), ReasonCode.MEMORY if id == host:
            return replace(row, ram_limit_mib=row.ram_limit_mib + by)
        case Datastore(), ReasonCode.STORAGE if reason.where == f"datastore {row.name}":
            return replace(row, limit_bytes=row.limit_bytes + by)
        case AggregateScope(), _ if reason.where == f"{row.kind} {row.name}":
            return _wider(row, reason.lack, by)
        case _:
            return row


def _wider(scope: AggregateScope, lack: ReasonCode, by: int) -> AggregateScope:
    if lack is ReasonCode.AGGREGATED_CPU:
        return replace(scope, cpu_limit=(scope.cpu_limit or 0) + by)
    if lack is ReasonCode.AGGREGATED_MEMORY:
        return replace(scope, ram_limit_mib=(scope.ram_limit_mib or 0) + by)
    return replace(scope, disk_limit_bytes=(scope.disk_limit_bytes or 0) + by)
