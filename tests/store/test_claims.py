"""I2, I16, M-041 to M-046: a claim is granted only where every rule allows it, under lock."""

import pytest

from gateway.store.capacity import bookings, claims, ledger
from gateway.store.capacity.claims import Conflict, Fenced, Granted
from gateway.store.db.pool import Store
from scheduler.model.values import replace
from tests.store.ruled import build, claim, set_rules, task_of, wish

EXCLUSION = {
    "kind": "enterprise_exclusion",
    "level": "enterprise",
    "element_id": 1,
    "other_id": 2,
}


@pytest.fixture
async def world(store: Store) -> Store:
    """The store with the small record for rules in it."""
    await build(store)
    return store


def granted(answers: list[claims.Answer]) -> list[bool]:
    return [isinstance(each, Granted) for each in answers]


async def edit(store: Store, statement: str, *rules: dict[str, object]) -> None:
    """Edit places, and rules if any are given, as the API does."""
    async with store.transaction() as c:
        if statement:
            await c.execute(statement)
        if rules:
            await set_rules(c, rules)
        await ledger.refresh_limits(c)


async def test_two_of_one_layer_in_one_batch_do_not_share_a_host(world: Store) -> None:
    """VMs 1 and 4 are in layer 1, VM 7 is not."""
    assert granted(await claim(world, (1, 3), (4, 3), (7, 3))) == [True, False, True]
    assert granted(await claim(world, (4, 3))) == [False]
    assert granted(await claim(world, (4, 4))) == [True]


async def test_two_excluded_enterprises_in_one_batch_do_not_share_a_host(world: Store) -> None:
    """VM 7 is of enterprise one, VM 8 of two, VM 9 of three."""
    await edit(world, "", EXCLUSION)
    assert granted(await claim(world, (8, 3), (7, 3), (9, 3))) == [True, False, True]
    assert granted(await claim(world, (7, 3))) == [False]
    assert granted(await claim(world, (13, 5), (14, 5))) == [True, False]


@pytest.mark.parametrize(
    ("statement", "vm", "host", "fits"),
    [
        ("update host set reserved_for = 2 where id = 3", 1, 3, False),
        ("update host set reserved_for = 1 where id = 3", 1, 3, True),
        ("update enterprise set reservation_restricted = true where id = 1", 1, 3, False),
        ("update enterprise set reservation_restricted = true where id = 2", 1, 3, True),
    ],
)
async def test_reservations_are_kept_whatever_the_decision_said(
    world: Store, statement: str, vm: int, host: int, fits: bool
) -> None:
    """The claim rests on the present characters and rules, and is wrong all the same."""
    await edit(world, statement)
    assert granted(await claim(world, (vm, host))) == [fits]


@pytest.mark.parametrize(
    "statement",
    [
        "update host set state = 'HALTED' where id = 3",
        "update host set reachable = false where id = 3",
        "update host set reserved_for = 1 where id = 3",
        "update host set cluster_id = 1 where id = 3",
        "update datastore set enabled = false where id = 3",
        "update datastore set tier_id = 1 where id = 3",
        "insert into rule (kind, level, fit_policy) values ('fit_policy', 'global', 'PROGRESSIVE')",
        "update enterprise set reservation_restricted = true where id = 3",
        "insert into tier_enterprise values (1, 1)",
        """insert into rule (kind, level, element_id, cpu_percent, ram_percent)
           values ('machine_load', 'machine', 3, 90, 100)""",
        """insert into rule (kind, level, element_id, cpu_percent, ram_percent, aggregated)
           values ('machine_load', 'rack', 1, 1000, 1000, true)""",
    ],
)
async def test_a_decision_of_before_an_edit_is_void(world: Store, statement: str) -> None:
    """I16, P9, P20: whatever was edited between placing and claiming, the claim does not pass."""
    async with world.transaction() as c:
        made = await wish(c, 1, 3)
    await edit(world, statement)
    async with world.transaction() as c:
        (answer,) = await claims.claim(c, [made])
    assert isinstance(answer, Conflict)
    async with world.read() as c:
        assert answer.rules == await c.fetchval("select version from rule_set")
        assert await c.fetchval("select count(*) from booking") == 0


async def test_a_conflict_tells_the_rows_as_the_batch_leaves_them(world: Store) -> None:
    """The next proposal must not meet the same neighbour again."""
    _, answer = await claim(world, (1, 3), (4, 3))
    assert isinstance(answer, Conflict)
    (row,) = [row for row in answer.rows if row.kind == "host"]
    assert (list(row.enterprises), list(row.layers), row.cpu_used) == ([1], [1], 1)
    async with world.read() as c:
        assert row.generation == await c.fetchval(
            "select generation from ledger where kind = 'host' and id = 3"
        )


async def test_the_room_of_a_batch_is_counted_in_order(world: Store) -> None:
    """I2: host 1 has eight CPUs; what does not fit drops out alone."""
    answers = await claim(world, (1, 1), (2, 1), (3, 1), (5, 1), cpu=3)
    assert granted(answers) == [True, True, False, False]


async def test_a_lost_task_claims_nothing(world: Store) -> None:
    async with world.transaction() as c:
        made = await wish(c, 1, 3)
        lost, gone = replace(made, epoch=0), replace(made, vm_id=99, task=task_of(2))
        assert await claims.claim(c, [lost, gone]) == [Fenced(), Fenced()]


async def test_a_cluster_s_sum_bounds_the_claims_on_its_hosts(world: Store) -> None:
    """Hosts 1 and 2 have 17 CPUs in all; a quarter of them are 4."""
    sums = {"kind": "machine_load", "level": "cluster", "element_id": 1, "aggregated": True}
    await edit(world, "", sums | {"cpu_percent": 25, "ram_percent": 100})
    answers = await claim(world, (1, 1), (2, 2), (3, 3), (5, 2), cpu=2)
    assert granted(answers) == [True, True, True, False]


async def test_a_move_counts_once_in_what_both_hosts_share(world: Store) -> None:
    """From the cluster's host 1 to rack 1's host 3, then back: the rack counts one VM."""
    sums = {"kind": "machine_load", "cpu_percent": 100, "ram_percent": 100, "aggregated": True}
    await edit(
        world,
        "",
        sums | {"level": "rack", "element_id": 1},
        sums | {"level": "cluster", "element_id": 1},
    )
    assert granted(await claim(world, (1, 1))) == [True]
    assert granted(await claim(world, (1, 3), moving=True)) == [True]

    async def used() -> dict[str, int]:
        async with world.read() as c:
            rows = await c.fetch(
                "select kind, cpu_used from ledger where kind in ('rack','cluster')"
            )
        return {row["kind"]: row["cpu_used"] for row in rows}

    assert await used() == {"rack": 1, "cluster": 1}
    async with world.transaction() as c:
        old, new = await bookings.of_vm(c, 1)
        await bookings.release(c, old, lives_on=new)
    assert await used() == {"rack": 1, "cluster": 0}


async def test_a_vm_joins_a_layer_only_where_no_other_of_it_lives(world: Store) -> None:
    """M-046, LAYER-8: VM 1 is of layer 1, VM 13 of none; both are on host 3."""
    assert granted(await claim(world, (1, 3), (13, 3))) == [True, True]
    async with world.transaction() as c:
        assert await bookings.join_layer(c, 13, 1) == 3
        assert await c.fetchval("select layer_id from vm where id = 13") is None
        assert await bookings.join_layer(c, 1, None) is None
        assert await bookings.join_layer(c, 13, 1) is None
    assert granted(await claim(world, (4, 3))) == [False]
    assert granted(await claim(world, (16, 3))) == [True]


async def test_a_layer_joined_between_placing_and_claiming_counts(world: Store) -> None:
    """The VM's own layer is read under lock, not as the decision had it."""
    assert granted(await claim(world, (1, 3))) == [True]
    async with world.transaction() as c:
        made = await wish(c, 13, 3)
    async with world.transaction() as c:
        assert await bookings.join_layer(c, 13, 1) is None
    async with world.transaction() as c:
        assert granted(await claims.claim(c, [made])) == [False]
