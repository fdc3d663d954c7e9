"""P9: every edit of what rules say has a version of its own, told whole in the same commit."""

from collections.abc import Sequence

import pytest

from gateway.store import config_sync
from gateway.store.capacity import inventory, ledger
from gateway.store.db.pool import Connection, Store
from gateway.store.rules import rule_set
from scheduler.model.fit_policy import FitPolicy
from scheduler.model.inventory import RuleSet
from scheduler.model.serialization import from_mapping
from tests.store.ruled import build, claim

FIT = "insert into rule (kind, level, element_id, fit_policy, packing) values "
PAIR = "insert into rule (kind, level, element_id, other_id) values "
EDITS = (
    FIT + "('fit_policy', 'global', 0, 'PROGRESSIVE', false)",
    FIT + "('fit_policy', 'datacenter', 1, 'PROGRESSIVE', true)",
    FIT + "('fit_policy', 'datacenter', 2, 'PERFORMANCE', true)",
    PAIR + "('enterprise_exclusion', 'enterprise', 1, 2)",
    PAIR + "('enterprise_exclusion', 'enterprise', 1, 3)",
    "update enterprise set reservation_restricted = true where id = 3",
    "update enterprise set name = 'uno' where id = 1",
    "update tier set enabled = false where id = 1",
    "update tier set name = 'golden' where id = 1",
    "update tier set is_default = true where id = 2",
    "insert into tier_enterprise values (2, 1)",
    """insert into rule (kind, level, element_id, cpu_percent, ram_percent)
       values ('machine_load', 'rack', 1, 90, 90)""",
    "update rule set cpu_percent = 91 where kind = 'machine_load'",
)


@pytest.fixture
async def world(store: Store) -> Store:
    """The store with the small record for rules in it."""
    await build(store)
    return store


async def told(c: Connection) -> list[RuleSet]:
    rows = await c.fetch(
        "select payload from outbox where topic = 'inventory' and entity = 'rules' order by id"
    )
    found = [from_mapping(row["payload"]) for row in rows]
    assert all(isinstance(each, RuleSet) for each in found)
    return found  # type: ignore[return-value]


async def test_each_edit_has_the_next_version_and_goes_to_the_feed(world: Store) -> None:
    async with world.transaction() as c:
        (first,) = await told(c)
        for n, edit in enumerate(EDITS, start=1):
            await c.execute(edit)
            await ledger.refresh_limits(c)
            present = await rule_set.read(c)
            assert present.version == first.version + n, edit
            assert (await told(c))[-1] == present, edit
    assert present == RuleSet(
        present.version,
        {0: FitPolicy.PROGRESSIVE, 1: FitPolicy.PACKING, 2: FitPolicy.PERFORMANCE},
        {1: frozenset({2, 3}), 2: frozenset({1}), 3: frozenset({1})},
        frozenset({3}),
        {1: "uno", 2: "two", 3: "three"},
        {1: "golden", 2: "silver"},
    )


async def test_what_changes_nothing_is_not_told(world: Store) -> None:
    """A process that starts loads its declarations again: no decision is void by that."""
    async with world.transaction() as c:
        before = await c.fetchval("select count(*) from outbox where topic = 'inventory'")
        version = await rule_set.lock_shared(c)
        await ledger.rules_changed(c)
        await ledger.refresh_limits(c)
        await ledger.refresh_limits(c, hosts=[1], datastores=[1])
        assert await rule_set.lock_shared(c) == version
        after = await c.fetchval("select count(*) from outbox where topic = 'inventory'")
    assert before == after


async def test_an_edit_without_limits_needs_no_recount(world: Store) -> None:
    """`rules_changed` alone tells of names, exclusions, restrictions and policies."""
    async with world.transaction() as c:
        await c.execute(EDITS[3])
        await ledger.rules_changed(c)
        assert (await told(c))[-1].excluded == {1: frozenset({2}), 2: frozenset({1})}


async def character(c: Connection, kind: str, id_: int) -> int:
    found: int = await c.fetchval(
        "select character from ledger where kind = $1 and id = $2", kind, id_
    )
    return found


@pytest.mark.parametrize(
    "edit",
    [
        "update host set state = 'STOPPED' where id = 1",
        "update host set reachable = false where id = 1",
        "update host set reserved_for = 2 where id = 1",
        "update host set cluster_id = null where id = 1",
        "update host set rack_id = 2 where id = 1",
        "update host set cpus = cpus + 1 where id = 1",
        """update host set networks = '{"a": "br0"}' where id = 1""",
        "delete from host_datastore where host_id = 1 and datastore_id = 1",
    ],
)
async def test_an_edit_of_a_host_voids_decisions_about_it_and_no_other(
    world: Store, edit: str
) -> None:
    async with world.transaction() as c:
        before = [await character(c, "host", id_) for id_ in (1, 2)]
        await c.execute(edit)
        await ledger.refresh_limits(c, hosts=[1])
        after = [await character(c, "host", id_) for id_ in (1, 2)]
    assert after == [before[0] + 1, before[1]]


async def test_mere_use_voids_nothing(world: Store) -> None:
    async with world.read() as c:
        before = [await character(c, "host", 3), await character(c, "datastore", 3)]
    await claim(world, (1, 3))
    async with world.read() as c:
        after = [await character(c, "host", 3), await character(c, "datastore", 3)]
    assert before == after


@pytest.mark.parametrize(
    "edit",
    [
        "update datastore set tier_id = null where id = 1",
        "update tier set enabled = false where id = 1",
        "update tier set progressive = true where id = 1",
        "update tier set open_to_all = false where id = 1",
        "update datastore set enabled = false where id = 1",
    ],
)
async def test_an_edit_of_a_tier_voids_decisions_about_its_datastores(
    world: Store, edit: str
) -> None:
    async with world.transaction() as c:
        before = [await character(c, "datastore", id_) for id_ in (1, 2)]
        await c.execute(edit)
        await ledger.refresh_limits(c)
        after = [await character(c, "datastore", id_) for id_ in (1, 2)]
    assert after == [before[0] + 1, before[1]]


async def over(c: Connection) -> Sequence[tuple[str, int, str]]:
    rows = await c.fetch(
        "select payload from outbox where topic = 'event' and entity = 'RULES' order by id"
    )
    found = [row["payload"] for row in rows]
    return [
        (each["action"].split("_")[1], each["details"]["id"], each["entity_name"]) for each in found
    ]


async def test_who_gets_over_a_limit_is_told_once_and_keeps_its_vms(world: Store) -> None:
    """P9: lowering a limit below use touches no VM; the host is marked, the event comes once."""
    await claim(world, (1, 3), (2, 3))
    rule = """insert into rule (kind, level, element_id, cpu_percent, ram_percent,
                storage_percent) values ('{}', '{}', 3, {}, {}, 1)"""
    async with world.transaction() as c:
        await c.execute(rule.format("machine_load", "machine", 10, 100))
        await c.execute(rule.format("datastore_load", "datastore", 100, 100))
        await ledger.refresh_limits(c)
        assert await over(c) == [("DATASTORE", 3, "d3"), ("CPU", 3, "h3")]
        (host,) = await inventory.hosts(c, [3])
        assert (host.cpu_used, host.cpu_limit) == (2, 1)
        assert await c.fetchval("select count(*) from booking") == 2
        await c.execute("update rule set cpu_percent = 0, ram_percent = 1 where level = 'machine'")
        await ledger.refresh_limits(c)
        await ledger.refresh_limits(c, hosts=[3])
        assert (await over(c))[2:] == [("RAM", 3, "h3")]
        await c.execute("delete from rule")
        await ledger.refresh_limits(c)
        await c.execute(rule.format("machine_load", "machine", 10, 100))
        await ledger.refresh_limits(c)
        assert (await over(c))[3:] == [("CPU", 3, "h3")]


async def test_a_tier_is_declared_by_name_and_kept_where_none_is_named(world: Store) -> None:
    """What administrators assigned over the API is not taken back by the next start."""
    async with world.transaction() as c:
        new = await config_sync.tier(c, 1, "bronze")
        assert await config_sync.tier(c, 1, "bronze") == new
        assert await config_sync.tier(c, 1, "gold") == 1
        for tier, kept in ((new, new), (None, new), (1, 1)):
            await config_sync.datastore(c, 1, "d3", ("d", True, True, tier, ""))
            assert await c.fetchval("select tier_id from datastore where id = 3") == kept
