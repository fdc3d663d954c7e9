"""Every reason is true and exact: answered, the host does; left unanswered, it does not (M-052)."""

from typing import assert_never

from hypothesis import assume, given, settings

from scheduler.fleet.ranking import FitPolicy
from scheduler.model.demand import Demand, RelocationScope
from scheduler.model.inventory import Host, HostState, Tier
from scheduler.model.placement import HostVerdict, Placement
from scheduler.model.reason import Reason, ReasonCode
from scheduler.model.values import replace
from tests.scheduler.places import DATASTORE, World, fleet_of
from tests.scheduler.test_place import questions

EXAMPLES = settings(max_examples=200, deadline=None, derandomize=True)
Question = tuple[World, Demand, FitPolicy]
HIDDEN = {ReasonCode.CPU, ReasonCode.MEMORY, ReasonCode.STORAGE}
"""Not told of the host that a VM is on: it has its room there."""


@EXAMPLES
@given(questions())
def test_a_host_does_exactly_when_each_of_its_reasons_is_answered(question: Question) -> None:
    """All answered, it passes; all but one, that one and no other is left."""
    world, demand, policy = question
    answer = fleet_of(world).place(demand, policy)
    assume(not isinstance(answer, Placement))
    assert not isinstance(answer, Placement)
    for verdict in answer.verdicts:
        everything = verdict.reasons
        left = _left(world, demand, verdict, everything)
        same = any(reason.lack is ReasonCode.SAME_HOST for reason in everything)
        assert {reason.lack for reason in left} <= (HIDDEN if same else set())
        for kept in everything:
            others = [reason for reason in everything if reason is not kept]
            assert kept in _left(world, demand, verdict, others)


@EXAMPLES
@given(questions())
def test_one_unit_less_than_a_shortfall_is_not_enough(question: Question) -> None:
    """The numbers are exact."""
    world, demand, policy = question
    answer = fleet_of(world).place(demand, policy)
    assume(not isinstance(answer, Placement))
    assert not isinstance(answer, Placement)
    for verdict in answer.verdicts:
        for reason in verdict.reasons:
            if reason.shortfall is None:
                continue
            short = _answered(world, demand, verdict.host, reason, reason.shortfall - 1)
            found = _reasons(*short, verdict.host)
            assert [each.shortfall for each in found if _same(each, reason)] == [1]


def _left(
    world: World, demand: Demand, verdict: HostVerdict, answered: list[Reason] | tuple[Reason, ...]
) -> tuple[Reason, ...]:
    for reason in answered:
        world, demand = _answered(world, demand, verdict.host, reason, reason.shortfall or 0)
    return _reasons(world, demand, verdict.host)


def _reasons(world: World, demand: Demand, host: int) -> tuple[Reason, ...]:
    """What speaks against the host now."""
    listed = fleet_of(world).candidates(demand, FitPolicy.PROGRESSIVE)
    return next(reasons for row, _, reasons in listed if row.id == host)


def _same(one: Reason, other: Reason) -> bool:
    return (one.lack, one.where) == (other.lack, other.where)


def _answered(
    world: World, demand: Demand, host: int, reason: Reason, by: int
) -> tuple[World, Demand]:
    """The world or the demand without what the reason says."""
    row = next(each for each in world.hosts if each.id == host)
    match reason.lack:
        case ReasonCode.HYPERVISOR_TYPE | ReasonCode.NETWORK | ReasonCode.SAME_HYPERVISOR:
            return _with(world, _alike(row, demand, reason.lack)), demand
        case ReasonCode.HOST_STATE:
            return _with(world, replace(row, state=HostState.MANAGED)), demand
        case ReasonCode.UNREACHABLE:
            return _with(world, replace(row, reachable=True)), demand
        case ReasonCode.RESERVED:
            return _with(world, replace(row, reserved_for=None)), demand
        case ReasonCode.EXCLUDED | ReasonCode.RESTRICTED:
            rules = (
                replace(world.rules, excluded={}) if reason.lack is ReasonCode.EXCLUDED else None
            )
            lifted = rules or replace(world.rules, restricted=frozenset())
            return replace(world, rules=lifted), demand
        case ReasonCode.LAYER:
            return _with(world, replace(row, layers=frozenset())), demand
        case ReasonCode.CPU:
            return _with(world, replace(row, cpu_limit=row.cpu_limit + by)), demand
        case ReasonCode.MEMORY:
            return _with(world, replace(row, ram_limit_mib=row.ram_limit_mib + by)), demand
        case ReasonCode.NO_DATASTORE | ReasonCode.TIER | ReasonCode.STORAGE:
            return _stored(world, row, demand, reason, by), demand
        case (
            ReasonCode.AGGREGATED_CPU | ReasonCode.AGGREGATED_MEMORY | ReasonCode.AGGREGATED_STORAGE
        ):
            return _summed(world, reason, by), demand
        case ReasonCode.DATACENTER:
            return world, replace(demand, datacenter=row.datacenter)
        case ReasonCode.NOT_ASKED:
            return world, replace(demand, only=(demand.only or frozenset()) | {host})
        case ReasonCode.REFUSED:
            left = tuple(each for each in demand.refused if each[0] != host)
            return world, replace(demand, refused=left)
        case ReasonCode.SAME_HOST | ReasonCode.SAME_RACK:
            return world, _elsewhere(demand, reason.lack)
        case _:
            assert_never(reason.lack)


def _with(world: World, host: Host) -> World:
    return replace(world, hosts=tuple(host if each.id == host.id else each for each in world.hosts))


def _alike(host: Host, demand: Demand, lack: ReasonCode) -> Host:
    """The host as the VM needs it."""
    if lack is ReasonCode.HYPERVISOR_TYPE:
        return replace(host, type=demand.type)
    if lack is ReasonCode.NETWORK:
        assert demand.network is not None
        return replace(host, networks=host.networks | {demand.network})
    assert demand.origin is not None
    return replace(host, hypervisor=demand.origin.hypervisor)


def _elsewhere(demand: Demand, lack: ReasonCode) -> Demand:
    """Coming from another host, or let go further."""
    assert demand.origin is not None
    if lack is ReasonCode.SAME_HOST:
        return replace(demand, origin=replace(demand.origin, host=99))
    return replace(demand, origin=replace(demand.origin, reach=RelocationScope.DATACENTER))


def _stored(world: World, host: Host, demand: Demand, reason: Reason, by: int) -> World:
    """More room on the datastore that is named, or a new one of the right tier."""
    if reason.lack is ReasonCode.STORAGE:
        stores = tuple(
            replace(each, limit_bytes=each.limit_bytes + by)
            if reason.where == f"datastore {each.name}"
            else each
            for each in world.datastores
        )
        return replace(world, datastores=stores)
    made = 100 + host.id
    tier = None if demand.tier is None else Tier(demand.tier, "made")
    store = replace(DATASTORE, id=made, name="made", tier=tier)
    seeing = replace(host, datastores=(*host.datastores, made))
    return replace(_with(world, seeing), datastores=(*world.datastores, store))


def _summed(world: World, reason: Reason, by: int) -> World:
    field = {
        ReasonCode.AGGREGATED_CPU: "cpu_limit",
        ReasonCode.AGGREGATED_MEMORY: "ram_limit_mib",
        ReasonCode.AGGREGATED_STORAGE: "disk_limit_bytes",
    }[reason.lack]
    scopes = tuple(
        replace(each, **{field: getattr(each, field) + by})
        if reason.where == f"{each.kind} {each.name}"
        else each
        for each in world.scopes
    )
    return replace(world, scopes=scopes)
