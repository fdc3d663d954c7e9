"""I13: every placement and refusal is on record with what it says, and can be made again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest

from drivers.simulated.world import World
from gateway.analysis.decision_replay import NotReplayable, made_again
from gateway.lifecycle import Operation
from gateway.placement.claim_batcher import ClaimBatcher
from gateway.store.capacity import checkpoints, decisions, ledger
from gateway.store.capacity.checkpoints import CheckpointPace
from gateway.store.db.pool import Connection, Store, StoreConflict
from gateway.tasks.operations.reserve_step import Reserver
from scheduler.decisions.decision import decode
from tests.tasks.crowd import NOW, count, crowd, ids, replays
from tests.tasks.planners import desk, seen
from tests.tasks.rig import records_balance, running, seed, vm_row


async def test_hundreds_of_decisions_of_two_processes_are_made_again_byte_for_byte(store):
    """I13: with promises not told yet, rows refreshed by conflicts, refusals and moves."""
    conflicts, refusals = await crowd(store)
    found = await replays(store)
    assert [one.why for one in found if not one.identical] == []
    assert len(found) >= 150
    assert conflicts >= 5
    assert refusals >= 5
    ahead = [one for one in found if one.again.question.ahead]
    assert len(ahead) >= 50


class _NeverCommits:
    """A store whose transactions do all they should, and then fail."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        async with self._store.transaction() as c:
            yield c
            raise StoreConflict("planned by the test")


async def test_the_share_of_hosts_tried_first_is_part_of_the_question(store):
    """Without it the whole fleet's gladdest host would be the answer."""
    await crowd(store, sharing=True)
    found = await replays(store)
    assert [one.why for one in found if not one.identical] == []
    assert {one.again.question.share for one in found} == {(0, 2), (1, 2)}


async def test_a_booking_that_does_not_commit_leaves_no_record(store):
    """I13: the record is part of the booking's own commit."""
    await seed(store, hosts=2, vms=1)
    await seen(store, 4)
    async with desk(store) as at:
        broken: Any = _NeverCommits(store)
        reserver, at.reserver = at.reserver, Reserver(store, at.planner, ClaimBatcher(broken))
        with pytest.raises(StoreConflict):
            await at.deploy(1)
        assert (await count(store, "booking"), await count(store, "decision")) == (0, 0)
        at.reserver = reserver
        assert await at.deploy(1) is not None
        assert (await count(store, "booking"), await count(store, "decision")) == (1, 1)


async def test_a_refusal_that_does_not_commit_leaves_no_record(store):
    """The job's failure, its event and its record come together or not at all."""
    await seed(store, hosts=2, vms=1)
    await seen(store, 0)
    async with desk(store) as at:
        broken: Any = _NeverCommits(store)
        at.writes = broken
        with pytest.raises(StoreConflict):
            await at.deploy(1)
        assert (await count(store, "journal"), await count(store, "decision")) == (0, 0)
        at.writes = store
        assert await at.deploy(1) is None
        assert (await count(store, "journal"), await count(store, "decision")) == (1, 1)


async def test_a_conflict_is_no_decision(store):
    """Only what was granted or refused is on record."""
    await crowd(store)
    await records_balance(store)


@pytest.fixture
async def rig(store):
    await seed(store, hosts=30, vms=2)
    async with running(store, World()) as made:
        yield made


async def told(store: Store, action: str) -> dict[str, Any]:
    """The details of the last event of that action."""
    async with store.read() as c:
        payload = await c.fetchval(
            "select payload from feed where payload->>'action' = $1 order by position desc limit 1",
            action,
        )
    return dict(payload["details"])


async def test_a_vm_knows_the_decision_that_placed_it(rig):
    """B1: on the VM, in the journal, in the event; gone with the place."""
    deployed = await rig.run(1, Operation.DEPLOY)
    first = (await vm_row(rig.store, 1))["decision_id"]
    async with rig.store.read() as c:
        stored = await decisions.get(c, first)
    assert stored is not None
    assert (stored.task_id, stored.kind, stored.outcome) == (deployed["id"], "deploy", "placed")
    assert (await told(rig.store, "SCHEDULER"))["decision"] == str(first)
    await rig.run(1, Operation.RELOCATE, host_id=None)
    second = (await vm_row(rig.store, 1))["decision_id"]
    async with rig.store.read() as c:
        moved = await decisions.get(c, second)
    assert moved is not None
    assert (moved.kind, moved.host_id) == ("relocate", (await vm_row(rig.store, 1))["host_id"])
    await rig.run(1, Operation.UNDEPLOY)
    assert (await vm_row(rig.store, 1))["decision_id"] is None
    await records_balance(rig.store)


async def test_what_is_told_of_a_refusal_does_not_grow_with_the_fleet(rig):
    """M-052: counts of all hosts, numbers of the five nearest, and where the rest is."""
    async with rig.store.transaction() as c:
        await c.execute("update vm set cpu = 17 where id = 1")
    await rig.run(1, Operation.DEPLOY)
    details = await told(rig.store, "SCHEDULE")
    assert (details["hosts"], details["counts"]) == (30, {"CPU": 30})
    assert len(details["nearest"]) == 5
    async with rig.store.read() as c:
        lines = await c.fetch("select detail from journal where entry = 'FAILED'")
        stored = await decisions.get(c, UUID(details["decision"]))
    assert [set(line["detail"]) for line in lines] == [{"reason", "told", "clean", "decision"}]
    assert stored is not None
    refused = decode(stored.body).refused
    assert refused is not None
    assert len(refused.nearest) == 5
    assert len(stored.body) < 4096
    await records_balance(rig.store)


async def test_a_refused_resize_is_on_record(rig):
    """M-058: as well as a refused placement."""
    await rig.run(1, Operation.DEPLOY)
    await rig.run(1, Operation.POWER_OFF)
    await rig.run(1, Operation.RECONFIGURE, cpu=17)
    (id,) = await ids(rig.store, "kind = 'reconfigure'")
    async with rig.store.read() as c:
        stored = await decisions.get(c, id)
    assert stored is not None
    assert stored.outcome == "refused"
    refused = decode(stored.body).refused
    assert refused is not None
    (reason,) = refused.nearest[0].reasons
    assert (reason.lack.value, reason.wanted, reason.spare) == ("CPU", 16, 15)
    await records_balance(rig.store)


async def test_without_a_checkpoint_from_before_it_nothing_is_made_up(store):
    await seed(store, hosts=1, vms=1)
    await seen(store, 4)
    async with desk(store) as at:
        assert await at.deploy(1) is not None
        (id,) = await ids(store)
        with pytest.raises(NotReplayable, match="no checkpoint"):
            await made_again(store, id)
        with pytest.raises(NotReplayable, match="no longer kept"):
            await made_again(store, decisions.new_id())


async def test_several_take_one_checkpoint(store):
    """One at a time, and none that is not due."""
    await seed(store, hosts=1, vms=1)
    async with desk(store) as at:
        flush = at.sequencer.flush
        both = await asyncio.gather(
            *(checkpoints.take(store, CheckpointPace(), flush) for _ in range(3))
        )
        assert len([one for one in both if one is not None]) == 1
        assert await checkpoints.take(store, CheckpointPace(), flush) is None
        await seen(store, 4)
        assert await checkpoints.take(store, CheckpointPace(changes=99, seconds=99), flush) is None
        await at.sequencer.flush()
        assert (
            await checkpoints.take(store, CheckpointPace(changes=1, seconds=99), flush) is not None
        )


async def test_the_rows_of_another_s_claim_are_ahead_until_the_feed_tells(store):
    """A conflict brings back rows that nobody here promised: they are in the question."""
    await seed(store, hosts=1, vms=2)
    await seen(store, 4)
    async with desk(store) as one:
        await checkpoints.take(store, NOW, one.sequencer.flush)
        other = type(one.planner)(store, one.sequencer)
        await other.load()
        for loop in one.loops:
            loop.cancel()
        assert await one.deploy(1) is not None
        async with store.transaction() as c:
            rows = await ledger.lock(c, [("host", 1)])
        await other.refresh(tuple(rows.values()), 0)
        kinds = [(kind, values) for kind, _, values in other._ahead.rows()]
        use = {"cpu_used": 1, "ram_used_mib": 1024, "enterprises": [1]}
        assert kinds == [("host", {**use, "generation": rows["host", 1].generation})]
        await one.sequencer.flush()
        await other.catch_up()
        assert other._ahead.rows() == ()


async def test_what_a_planner_reads_at_its_start_may_be_ahead_of_the_feed(store):
    """A claim that is committed and not told yet: the first decision rests on it all the same."""
    await seed(store, hosts=1, vms=2)
    await seen(store, 4)
    async with desk(store) as one:
        await checkpoints.take(store, NOW, one.sequencer.flush)
        for loop in one.loops:
            loop.cancel()
        assert await one.deploy(1) is not None
        async with desk(store) as two:
            for loop in two.loops:
                loop.cancel()
            assert await two.deploy(2) is not None
        assert [found.why for found in await replays(store)] == ["", ""]
