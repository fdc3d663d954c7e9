"""I2: a group of claims leaves what its claims leave one by one: answers, rows, and the feed."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.store.capacity import claims as claiming
from gateway.store.capacity import ledger
from gateway.store.capacity.claims import Claim, Conflict, Fenced, Granted
from gateway.store.capacity.decisions import NewDecision
from gateway.store.db.pool import Connection, Store
from scheduler.model.values import replace
from tests.store.ruled import GIB, build, task_of, tried, wish

HOLD = UUID(int=7)
FRESH = range(1, 16)
"""VMs that are nowhere yet."""
SETTLED = range(16, 22)
"""VMs that live on the hosts 1 to 6 in turn, and may be moved."""
# The seats' odd sizes keep a group's sums from coming to nothing, which would not be told.
_PREPARE = f"""
insert into hold (id, enterprise_id, datacenter_id, user_id, expires_at)
  values ('{HOLD}', null, 1, 1, clock_timestamp() + '1 hour');
insert into hold_booking (id, hold_id, host_id, datastore_id, type, cpu, ram_mib, disk_bytes)
  select i, '{HOLD}', i, 3, 'KVM', 2, 301, {2 * GIB + 1} from generate_series(1, 4) i;
insert into job (task_id, n, uuid, type, description)
  select t.id, i, gen_random_uuid(), 'SCHEDULE', '' from task t, generate_series(0, 1) i;
insert into journal (task_id, n, step, entry, epoch)
  select t.id, i, 'before', 'DONE', 1 from task t, generate_series(0, t.vm_id % 3 - 1) i;
"""
_LEFT = {
    "booking": "select * from booking order by vm_id, host_id",
    "vm": """select id, host_id, datastore_id, volume, state, known_state, version, decision_id
      from vm order by id""",
    "journal": """select task_id, n, step, entry, epoch, detail from journal
      order by task_id, n""",
    "job": "select task_id, n, state, progress from job order by task_id, n",
    "decision": """select id, kind, outcome, task_id, vm_id, enterprise_id, host_id, position,
      rule_set, scheduler, body, advice from decision order by id""",
    "seat": "select id, vm_id from hold_booking order by id",
    # Each group counts itself once, so only the generations differ.
    "ledger": """select kind, id, cpu_used, ram_used, disk_used, character, enterprises, layers
      from ledger order by kind, id""",
    "events": """select entity, entity_id, payload from outbox
      where topic = 'event' order by id""",
    # That a host got freer and nobody left is said where it got freer: a group may have filled it.
    "inventory": """select distinct on (entity, entity_id) entity, entity_id,
      payload - 'generation' - case when payload->'vms' = '{}' then 'vms' else '' end
      from outbox where topic = 'inventory' order by entity, entity_id, id desc""",
}
KINDS = ("fresh", "fresh", "seated", "moving", "stale", "ruled", "lost")
WANTED = st.tuples(st.sampled_from(KINDS), st.integers(1, 6), st.integers(1, 4), st.integers(1, 3))
Wanted = tuple[str, int, int, int]
"""What sort of claim, the host (or the seat), the CPUs, the datastore."""


@pytest.fixture
async def world(store: Store) -> Store:
    """The record for rules with holds, jobs, journals, and VMs that live somewhere."""
    await build(store)
    async with store.transaction() as c:
        await c.execute(_PREPARE)
        for host, vm in enumerate(SETTLED, start=1):
            (answer,) = await claiming.claim(c, [await wish(c, vm, host)])
            assert isinstance(answer, Granted)
        await ledger.refresh_limits(c)
        await c.execute("delete from outbox")
    return store


async def claims_of(c: Connection, group: Sequence[Wanted]) -> list[Claim]:
    """One claim for each, of a VM of its own as far as there are VMs."""
    fresh, settled = iter(FRESH), iter(SETTLED)
    made = []
    for n, (kind, host, cpu, datastore) in enumerate(group):
        vm = next(settled if kind == "moving" else fresh, None)
        if vm is not None:
            seat = 1 + host % 4 if kind == "seated" else None
            moving = kind == "moving"
            if moving and vm == SETTLED[host - 1]:
                host = 1 + host % 6
            at = (host, datastore) if seat is None else (seat, 3)
            claim = await wish(c, vm, at[0], datastore=at[1], cpu=cpu, moving=moving)
            made.append(_odd(replace(claim, seat=seat, **_told(n, claim)), kind))
    return made


def _odd(claim: Claim, kind: str) -> Claim:
    match kind:
        case "stale":
            return replace(claim, characters=claim.characters[1:])
        case "ruled":
            return replace(claim, rules=claim.rules - 1)
        case "lost":
            return replace(claim, epoch=0)
        case _:
            return claim


def _told(n: int, claim: Claim) -> dict[str, Any]:
    """What goes on record with a claim, different for each; some have no decision."""
    decision = NewDecision(
        id=UUID(int=100 + n),
        kind="relocate" if claim.moving else "deploy",
        outcome="placed",
        task=claim.task,
        vm_id=claim.vm_id,
        enterprise_id=1 + claim.vm_id % 3,
        host_id=claim.host_id,
        position=10 + n,
        rule_set=claim.rules,
        scheduler=f"s{n}",
        body=f"body {n}".encode(),
        advice=[{"n": n}] if n % 4 == 1 else [],
    )
    return {
        "detail": {"nth": n, "text": 'a "quoted" {brace}, a comma and \\ NULL'},
        "event": {"nth": n, "none": None, "list": [n, "ü"]},
        "step": f"step {n}",
        "decision": None if n % 5 == 4 else decision,
    }


async def left(c: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """All that claims write."""
    return {
        name: [tuple(row.values()) for row in await c.fetch(query)] for name, query in _LEFT.items()
    }


async def both(world: Store, group: Sequence[Wanted]) -> list[type]:
    """The answers to the group, which are those to its claims one by one, as is all they leave."""
    async with tried(world) as c:
        claims = await claims_of(c, group)
        answers = await claiming.claim(c, claims)
        together = [type(answer) for answer in answers], await left(c)
    async with tried(world) as c:
        alone = [type((await claiming.claim(c, [each]))[0]) for each in claims]
        assert together == (alone, await left(c))
    return alone


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(group=st.lists(WANTED, min_size=2, max_size=14))
async def test_a_group_leaves_what_its_claims_leave_one_by_one(
    world: Store, group: list[Wanted]
) -> None:
    """Fresh VMs, seats taken over, moves, stale and lost claims, short of room or not."""
    await both(world, group)


async def test_a_group_of_every_sort_is_answered_one_by_one(world: Store) -> None:
    """The groups above hold grants of each sort; the second claim to a seat comes too late."""
    answers = await both(
        world,
        [
            ("fresh", 3, 1, 1),
            ("seated", 4, 2, 3),
            ("seated", 4, 2, 3),
            ("moving", 6, 1, 3),
            ("lost", 5, 1, 3),
            ("stale", 5, 1, 3),
            ("ruled", 5, 1, 3),
        ],
    )
    granted = [Granted, Granted, Conflict, Granted]
    assert answers == [*granted, Fenced, Conflict, Conflict]


async def test_each_grant_writes_what_its_own_claim_says(world: Store) -> None:
    """The booking, the place of a VM that has none, and the first job; a moving VM stays."""
    async with tried(world) as c:
        before = await c.fetchrow("select * from vm where id = 16")
        group: list[Wanted] = [("fresh", 3, 2, 1), ("moving", 6, 1, 2), ("fresh", 4, 1, 3)]
        claims = await claims_of(c, group)
        answers = await claiming.claim(c, claims)
        assert [type(answer) for answer in answers] == [Granted] * 3
        for one in claims:
            booked = await c.fetchrow(
                """select datastore_id, task_id, cpu, ram_mib, disk_bytes, resident from booking
                   where vm_id = $1 and host_id = $2""",
                one.vm_id,
                one.host_id,
            )
            size = (one.cpu, one.ram_mib, one.disk_bytes)
            assert booked is not None
            assert tuple(booked.values()) == (one.datastore_id, one.task, *size, False)
            vm = await c.fetchrow("select * from vm where id = $1", one.vm_id)
            jobs = await c.fetch("select state from job where task_id = $1 order by n", one.task)
            assert vm is not None
            assert [job["state"] for job in jobs] == ["DONE", "PENDING"]
            if one.moving:
                assert vm == before
                continue
            assert (vm["host_id"], vm["datastore_id"]) == (one.host_id, one.datastore_id)
            assert vm["volume"] == f"{vm['uuid']}-{one.task}"
            assert (vm["state"], vm["known_state"], vm["version"]) == ("ALLOCATED", "ALLOCATED", 2)
            assert one.decision is not None
            assert vm["decision_id"] == one.decision.id


async def test_two_claims_of_one_task_are_journalled_in_turn(world: Store) -> None:
    """A relocation that books twice keeps both lines, under numbers of their own."""
    async with world.transaction() as c:
        made = [await wish(c, 16, host, moving=True) for host in (2, 3)]
        answers = await claiming.claim(c, made)
        assert [type(answer) for answer in answers] == [Granted, Granted]
        found = await c.fetch(
            "select n from journal where task_id = $1 and step = 'reserve' order by n", task_of(16)
        )
    first, *rest = [row["n"] for row in found]
    assert rest == [first + 1, first + 2]
