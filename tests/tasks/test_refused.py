"""A hypervisor that has no capacity for a deployment is not the end of it: another host is tried,
what the first was given is taken back, and the record says why."""

import pytest

from drivers.simulated.world import World
from gateway.lifecycle import Operation
from gateway.store.capacity import decisions
from gateway.store.db.pool import Store
from scheduler.decisions.decision import decode
from scheduler.model.reason import ReasonCode
from tests.tasks.rig import books_balance, ended, records_balance, running, seed, vm_row

WORDS = "planned by the test: no capacity"


@pytest.fixture
def world() -> World:
    """An empty world in memory."""
    return World("")


async def host_of(store: Store) -> str | None:
    """The name of the host where the VM is recorded to live."""
    async with store.read() as c:
        found: str | None = await c.fetchval(
            "select h.name from vm v join host h on h.id = v.host_id where v.id = 1"
        )
        return found


async def bodies(store: Store) -> list[decisions.StoredDecision]:
    """All decisions, the oldest first."""
    async with store.read() as c:
        rows = await c.fetch("select id from decision order by at")
        found = [await decisions.get(c, row["id"]) for row in rows]
    return [each for each in found if each is not None]


@pytest.mark.parametrize("verb", ["deploy", "power"])
async def test_another_host_is_tried_and_the_decision_says_why(
    store: Store, world: World, verb: str
) -> None:
    """Whether it is refused when it is made or when it starts, nothing of it is left behind."""
    await seed(store, hosts=3)
    world.plan("host-1", verb, "NoCapacity")
    async with running(store, world) as rig:
        task = await rig.run(1, Operation.DEPLOY)
        assert task["result"] == "success"
        assert (await vm_row(store, 1))["state"] == "ON"
        first, second = await bodies(store)
        assert decode(first.body).question.demand.refused == ()
        assert decode(second.body).question.demand.refused == ((1, WORDS),)
        assert await host_of(store) == "host-2"
        assert (await vm_row(store, 1))["decision_id"] == second.id
        await books_balance(store)
        await records_balance(store)
        async with store.read() as c:
            jobs = await c.fetch("select state from job order by n")
            told = await c.fetch("select payload->>'message' m, payload->>'told' t from feed")
        assert [job["state"] for job in jobs] == ["DONE"] * 3
        said = [row for row in told if row["m"] and WORDS in row["m"]]
        assert [row["m"] for row in said] == [
            f"host-1 has no capacity; retrying on another host: {WORDS}"
        ]
        assert all("host-1" not in row["t"] for row in said)
    assert [row["host"] for row in world.rows("select host from vm")] == ["host-2"]
    assert len(world.rows("select name from volume")) == 1


async def test_when_all_have_refused_the_record_names_their_words(
    store: Store, world: World
) -> None:
    """Nobody is asked twice, and the VM is nowhere."""
    await seed(store, hosts=2)
    for host in ("host-1", "host-2"):
        world.plan(host, "deploy", "NoCapacity", times=9)
    async with running(store, world) as rig:
        task = await rig.run(1, Operation.DEPLOY)
        assert task["result"] == "failure"
        for host in ("host-1", "host-2"):
            assert f"{host} ({WORDS})" in task["error"]
        last = decode((await bodies(store))[-1].body).refused
        assert last is not None
        assert last.each == {ReasonCode.REFUSED: 2}
        assert {reason.spare for miss in last.nearest for reason in miss.reasons} == {WORDS}
        assert (await vm_row(store, 1))["state"] == "NOT_ALLOCATED"
        await books_balance(store)
        await records_balance(store)
    assert [row["times"] for row in world.rows("select times from fault order by n")] == [8, 8]
    assert world.rows("select 1 from vm") == []


async def test_no_more_hosts_are_tried_than_configured(store: Store, world: World) -> None:
    """Three, with the limits of these tests: the last refusal is the reason."""
    await seed(store, hosts=4)
    for n in range(1, 5):
        world.plan(f"host-{n}", "deploy", "NoCapacity")
    async with running(store, world) as rig:
        task = await rig.run(1, Operation.DEPLOY)
    assert (task["result"], task["error"]) == ("failure", WORDS)
    assert [row["times"] for row in world.rows("select times from fault order by n")] == [
        0,
        0,
        0,
        1,
    ]


@pytest.mark.parametrize("kind", ["Rejected", "Missing"])
async def test_another_refusal_is_no_reason_to_try_elsewhere(
    store: Store, world: World, kind: str
) -> None:
    """What is wrong with the request is wrong everywhere."""
    await seed(store, hosts=3)
    world.plan("host-1", "deploy", kind)
    async with running(store, world) as rig:
        task = await rig.run(1, Operation.DEPLOY)
    assert (task["result"], task["error"]) == ("failure", "planned by the test")
    assert len(await bodies(store)) == 1


async def test_a_start_that_is_refused_stays_where_it_is(store: Store, world: World) -> None:
    """A VM that is off has its disk there: it is not made anew elsewhere for want of capacity."""
    await seed(store, hosts=3)
    async with running(store, world) as rig:
        await rig.run(1, Operation.DEPLOY)
        await rig.run(1, Operation.POWER_OFF)
        world.plan("host-1", "power", "NoCapacity")
        task = await rig.run(1, Operation.POWER_ON)
        assert (task["result"], task["error"]) == ("failure", WORDS)
        assert await host_of(store) == "host-1"
        assert (await vm_row(store, 1))["state"] == "OFF"


async def test_the_room_that_was_refused_is_given_back_to_others(
    store: Store, world: World
) -> None:
    """The first host is as empty as before: the next VM is placed there."""
    await seed(store, hosts=2, cpus=1)
    world.plan("host-1", "power", "NoCapacity")
    async with running(store, world) as rig:
        one = await rig.run(1, Operation.DEPLOY)
        other = await rig.submit(2, Operation.DEPLOY)
        assert (one["result"], (await ended(store, other.task))["result"]) == ("success",) * 2
        await books_balance(store)
    assert {row["host"] for row in world.rows("select host from vm")} == {"host-1", "host-2"}
