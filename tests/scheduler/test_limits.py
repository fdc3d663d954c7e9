"""The limits that rules give: which rule counts (M-037..M-040), and exactly how much it allows."""

from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.model.fit_policy import FitPolicy
from scheduler.model.inventory import AggregateScope, Datastore, Host, Tier
from scheduler.model.limits import Level, LoadKind, LoadRule, Rules, resolve
from scheduler.model.values import replace
from tests.scheduler.places import DATASTORE, HOST, SCOPE

PLACE = replace(HOST, id=4, rack=3, cluster=2, datacenter=1, cpus=10, memory_mib=1000)
DISKS = replace(DATASTORE, id=5, capacity_bytes=1000, tier=Tier(6, "gold"))
ELEMENT = {Level.CLUSTER: 2, Level.HOST: 4, Level.RACK: 3, Level.DATACENTER: 1}


def compute(level: Level, cpu: int, **more: object) -> LoadRule:
    """A rule about the element of that level that PLACE is part of."""
    made = LoadRule(int(cpu), LoadKind.COMPUTE, level, ELEMENT[level], cpu, cpu)
    return replace(made, **more)  # type: ignore[arg-type]


def storage(level: Level, element: int, percent: int) -> LoadRule:
    """A datastore rule."""
    return LoadRule(percent, LoadKind.STORAGE, level, element, storage_percent=percent)


def limited(host: Host, *loads: LoadRule) -> Host:
    """The one host under these rules."""
    return resolve(Rules(loads), [host], []).hosts[0]


# M-039: cluster first, then the most specific.
ORDER = [Level.CLUSTER, Level.HOST, Level.RACK, Level.DATACENTER]


@pytest.mark.parametrize("first", range(4), ids=ORDER)
def test_a_rule_of_the_cluster_comes_first_then_the_most_specific(first: int) -> None:
    """M-039, whatever the ids and the order in which the rules are listed."""
    levels = ORDER[first:]
    loads = [compute(level, 110 + n) for n, level in enumerate(levels)]
    for listed in (loads, loads[::-1]):
        found = limited(PLACE, *listed)
        assert (found.cpu_limit, found.ram_limit_mib) == (11, 1100)
        assert found.cpu_rule == found.ram_rule == loads[0].name


def test_the_most_specific_datastore_rule_counts() -> None:
    """M-037: datastore, then tier, then datacenter."""
    order = [
        storage(Level.DATASTORE, 5, 10),
        storage(Level.TIER, 6, 20),
        storage(Level.DATACENTER, 1, 30),
    ]
    for n, rule in enumerate(order):
        (found,) = resolve(Rules(tuple(order[n:][::-1])), [], [DISKS]).datastores
        assert (found.limit_bytes, found.rule) == (rule.storage_percent * 10, rule.name)


def test_without_a_rule_the_limit_is_the_physical_amount() -> None:
    """Whatever limit the row had, and rules about other elements do not count."""
    others = [replace(compute(level, 300), element=99) for level in ORDER]
    stale = replace(PLACE, cpu_limit=99, ram_limit_mib=99, cpu_rule="old", ram_rule="old")
    found = limited(stale, *others)
    assert (found.cpu_limit, found.ram_limit_mib, found.cpu_rule) == (10, 1000, "")
    (disks,) = resolve(Rules((storage(Level.TIER, 99, 1),)), [], [DISKS]).datastores
    assert (disks.limit_bytes, disks.rule) == (1000, "")


def test_the_names_are_those_the_store_writes() -> None:
    """A reason names the same rule wherever its limit was worked out."""
    rule = LoadRule(7, LoadKind.COMPUTE, Level.RACK, 3, 200, 100)
    assert rule.name == "machineLoadLevel 7 (rack, CPU 200 %, RAM 100 %)"
    summed = replace(rule, aggregated=True)
    assert summed.name == "machineLoadLevel 7 (rack in all, CPU 200 %, RAM 100 %)"
    disks = LoadRule(8, LoadKind.STORAGE, Level.TIER, 6, storage_percent=80)
    assert disks.name == "datastoreloadlevel 8 (datastoretier, 80 %)"


@pytest.mark.parametrize("level", [Level.CLUSTER, Level.RACK, Level.DATACENTER])
def test_an_aggregated_rule_limits_the_sum_and_no_host(level: Level) -> None:
    """M-040: physical sums times the percentage, beside the host's own limit."""
    other = replace(PLACE, id=9, cpus=5, memory_mib=501)
    apart = replace(PLACE, id=10, rack=8, cluster=8, datacenter=8, cpus=90)
    rule = compute(level, 150, aggregated=True)
    kept = AggregateScope(level.value, ELEMENT[level], "x", None, 3, None, 30, None, 0, "", 7, 8)
    found = resolve(Rules((rule,)), [PLACE, other, apart], [], [kept])
    assert [host.cpu_limit for host in found.hosts] == [10, 5, 90]
    assert found.scopes == (replace(kept, cpu_limit=22, ram_limit_mib=2251, rule=rule.name),)


def test_an_aggregated_cluster_rule_leaves_the_other_levels_to_the_hosts() -> None:
    """It is no rule of each host, so the next level is."""
    summed = compute(Level.CLUSTER, 150, aggregated=True)
    each = compute(Level.RACK, 120)
    found = resolve(Rules((summed, each)), [PLACE], [])
    assert found.hosts[0].cpu_rule == each.name
    assert [scope.rule for scope in found.scopes] == [summed.name]


def test_a_sum_nobody_kept_begins_with_the_use_of_its_hosts() -> None:
    """A draft may be about an element that had no aggregated rule."""
    hosts = [replace(PLACE, id=n, cpu_used=n, ram_used_mib=n * 10) for n in (1, 2)]
    (found,) = resolve(Rules((compute(Level.RACK, 100, aggregated=True),)), hosts, []).scopes
    assert (found.name, found.cpu_used, found.ram_used_mib) == ("rack1", 3, 30)


def test_a_lifted_rule_leaves_no_limit_on_the_sum() -> None:
    """The row stays, so that its generations go on."""
    stale = replace(SCOPE, cpu_limit=1, ram_limit_mib=1, rule="old")
    assert resolve(Rules(), [PLACE], [], [stale]).scopes == (SCOPE,)


def test_what_the_rules_say_beyond_limits() -> None:
    """Exclusions work both ways; the policy of a datacenter beats the one for all."""
    rules = Rules(
        policies={0: FitPolicy.PERFORMANCE, 2: FitPolicy.PACKING},
        exclusions=frozenset({(1, 2), (2, 3)}),
        restricted=frozenset({3}),
        version=5,
    )
    row = resolve(rules, [], []).rules
    assert row.version == 5
    assert row.excluded == {1: {2}, 2: {1, 3}, 3: {2}}
    assert row.restricted == {3}
    assert [row.policy(1), row.policy(2)] == [FitPolicy.PERFORMANCE, FitPolicy.PACKING]


percents = st.integers(0, 10_000)
loads = st.lists(
    st.builds(
        LoadRule,
        st.integers(1, 99),
        st.just(LoadKind.COMPUTE),
        st.sampled_from(ORDER),
        st.integers(1, 3),
        percents,
        percents,
        st.none(),
        st.booleans(),
    ),
    unique_by=lambda rule: (rule.level, rule.element),
)


@given(loads, st.integers(0, 300), st.integers(1, 3), st.none() | st.integers(1, 3))
def test_limits_are_whole_and_exact(
    given_rules: list[LoadRule], cpus: int, rack: int, cluster: int | None
) -> None:
    """By another way: walk the levels, multiply as a fraction, round down once."""
    host = replace(PLACE, id=1, cpus=cpus, rack=rack, cluster=cluster)
    percent = 100
    for level, element in (
        ("datacenter", 1),
        ("rack", rack),
        ("machine", 1),
        ("cluster", cluster),
    ):
        for rule in given_rules:
            if not rule.aggregated and (rule.level, rule.element) == (level, element):
                assert rule.cpu_percent is not None
                percent = rule.cpu_percent
    assert limited(host, *given_rules).cpu_limit == floor(Fraction(cpus * percent, 100))


@given(loads)
def test_limits_follow_from_the_rules_alone(given_rules: list[LoadRule]) -> None:
    """Worked out twice, or after other rules, they are the same."""
    rules = Rules(tuple(given_rules))
    datastores: list[Datastore] = [DISKS]
    once = resolve(rules, [PLACE], datastores)
    assert resolve(rules, once.hosts, once.datastores, once.scopes) == once
    between = resolve(Rules(), once.hosts, once.datastores, once.scopes)
    again = resolve(rules, between.hosts, between.datastores, between.scopes)
    assert again.hosts == once.hosts
    assert again.scopes == once.scopes
