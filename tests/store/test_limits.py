"""M-151, M-I2: the limits in the ledger are those of one plain definition, whatever the rules."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.store.capacity import inventory, ledger
from gateway.store.db.pool import Store
from scheduler.model.inventory import AggregateScope, Datastore, Host
from scheduler.model.limits import Level, LoadKind, LoadRule, Rules, resolve
from tests.store.ruled import build, set_rules, tried

ELEMENTS = {"cluster": 2, "machine": 7, "rack": 3, "datacenter": 2}
PLACES = {"datastore": 4, "datastoretier": 2, "datacenter": 2}
PERCENT = st.one_of(st.integers(0, 400), st.sampled_from([0, 99, 100, 101, 10_000]))


def element(levels: dict[str, int]) -> st.SearchStrategy[tuple[str, int]]:
    return st.sampled_from(sorted(levels)).flatmap(
        lambda level: st.tuples(st.just(level), st.integers(1, levels[level]))
    )


MACHINE = st.builds(
    lambda at, cpu, ram, aggregated: {
        "kind": "machine_load",
        "level": at[0],
        "element_id": at[1],
        "cpu_percent": cpu,
        "ram_percent": ram,
        "aggregated": aggregated,
    },
    element(ELEMENTS),
    PERCENT,
    PERCENT,
    st.booleans(),
)
DATASTORE = st.builds(
    lambda at, percent: {
        "kind": "datastore_load",
        "level": at[0],
        "element_id": at[1],
        "storage_percent": percent,
    },
    element(PLACES),
    st.integers(0, 100),
)
RULES = st.lists(
    st.one_of(MACHINE, DATASTORE),
    max_size=14,
    unique_by=lambda rule: (rule["kind"], rule["level"], rule["element_id"]),
)
Drawn = Sequence[Mapping[str, Any]]


@pytest.fixture
async def world(store: Store) -> Store:
    """The store with the small record for rules in it."""
    await build(store)
    return store


def about(rules: Drawn, kind: str, level: str, id: int | None) -> Mapping[str, Any] | None:
    for rule in rules:
        if (rule["kind"], rule["level"], rule["element_id"]) == (kind, level, id):
            return rule
    return None


def of_host(rules: Drawn, host: Host) -> tuple[int, int]:
    """Vetoed by nobody but the first that speaks."""
    for level, id in (
        ("cluster", host.cluster),
        ("machine", host.id),
        ("rack", host.rack),
        ("datacenter", host.datacenter),
    ):
        rule = about(rules, "machine_load", level, id)
        if rule is not None and not rule["aggregated"]:
            return (
                host.cpus * rule["cpu_percent"] // 100,
                host.memory_mib * rule["ram_percent"] // 100,
            )
    return host.cpus, host.memory_mib


def of_datastore(rules: Drawn, one: Datastore) -> int:
    for level, id in (
        ("datastore", one.id),
        ("datastoretier", one.tier.id if one.tier else None),
        ("datacenter", one.datacenter),
    ):
        rule = about(rules, "datastore_load", level, id)
        if rule is not None:
            return one.capacity_bytes * int(rule["storage_percent"]) // 100
    return one.capacity_bytes


def load(row: Mapping[str, Any]) -> LoadRule:
    """The scheduler's value of a stored rule: what-if works limits out from these."""
    return LoadRule(
        row["id"],
        LoadKind(row["kind"]),
        Level(row["level"]),
        row["element_id"],
        row["cpu_percent"],
        row["ram_percent"],
        row["storage_percent"],
        row["aggregated"],
    )


def in_all(
    rules: Drawn, scope: AggregateScope, hosts: Sequence[Host]
) -> tuple[int | None, int | None]:
    rule = about(rules, "machine_load", scope.kind, scope.id)
    if rule is None or not rule["aggregated"]:
        return None, None
    inside = [host for host in hosts if getattr(host, scope.kind) == scope.id]
    return (
        sum(host.cpus for host in inside) * rule["cpu_percent"] // 100,
        sum(host.memory_mib for host in inside) * rule["ram_percent"] // 100,
    )


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rules=RULES)
async def test_the_ledger_s_limits_are_the_definition_s(world: Store, rules: Drawn) -> None:
    """Cluster, machine, rack, datacenter; datastore, tier, datacenter; sums beside them."""
    async with tried(world) as c:
        await c.execute("update host set state = 'HALTED', reachable = false where id = 2")
        await set_rules(c, rules)
        hosts = await inventory.hosts(c)
        datastores = await inventory.datastores(c)
        scopes = await inventory.scopes(c)
        stored = await c.fetch("select * from rule order by id")
    resolved = resolve(Rules(tuple(load(row) for row in stored)), hosts, datastores, scopes)
    assert list(resolved.hosts) == hosts
    assert list(resolved.datastores) == datastores
    assert list(resolved.scopes) == scopes
    for host in hosts:
        assert (host.cpu_limit, host.ram_limit_mib) == of_host(rules, host)
        assert (host.cpu_rule != "") == (host.ram_rule != "")
    for one in datastores:
        assert one.limit_bytes == of_datastore(rules, one)
    for scope in scopes:
        assert (scope.cpu_limit, scope.ram_limit_mib) == in_all(rules, scope, hosts)
        assert scope.disk_limit_bytes is None
    summed = {
        (rule["level"], rule["element_id"])
        for rule in rules
        if rule.get("aggregated") and rule["level"] != "machine"
    }
    assert {(scope.kind, scope.id) for scope in scopes} == summed


async def test_percentages_of_enormous_datastores_are_exact(world: Store) -> None:
    """M-I2: an exabyte times ninety-nine does not fit in 64 bits on the way."""
    async with world.transaction() as c:
        await c.execute("update datastore set capacity_bytes = $1 where id = 1", 2**62 + 3)
        rule = {"kind": "datastore_load", "level": "datastore", "element_id": 1}
        await set_rules(c, [rule | {"storage_percent": 99}])
        (one,) = await inventory.datastores(c, [1])
    assert one.limit_bytes == (2**62 + 3) * 99 // 100


async def test_a_lifted_sum_keeps_counting_and_comes_back_right(world: Store) -> None:
    """I3: an element without a rule has no limit, and its use is still the sum."""
    rule = {"kind": "machine_load", "level": "rack", "element_id": 1, "aggregated": True}
    async with world.transaction() as c:
        await set_rules(c, [rule | {"cpu_percent": 50, "ram_percent": 50}])
        await set_rules(c, [])
        (lifted,) = await inventory.scopes(c)
        assert (lifted.cpu_limit, lifted.ram_limit_mib, lifted.rule) == (None, None, "")
        await c.execute("update host set foreign_cpu = 3 where id = 1")
        await ledger.refresh_limits(c, hosts=[1])
        (counted,) = await inventory.scopes(c)
    assert counted.cpu_used == 3
    assert counted.generation > lifted.generation


async def test_a_rule_about_what_is_gone_is_lifted_with_it(world: Store) -> None:
    """A cluster that is deleted leaves no limit behind: its hosts follow the next rule."""
    rule = {"kind": "machine_load", "level": "cluster", "element_id": 1}
    async with world.transaction() as c:
        await set_rules(c, [rule | {"cpu_percent": 50, "ram_percent": 50}])
        (before,) = await inventory.hosts(c, [1])
        await c.execute("delete from cluster where id = 1")
        await ledger.refresh_limits(c)
        (after,) = await inventory.hosts(c, [1])
        left = await c.fetchval("select count(*) from rule")
    assert (before.cpu_limit, after.cpu_limit, after.cluster, left) == (4, 8, None, 0)
    assert after.character > before.character
