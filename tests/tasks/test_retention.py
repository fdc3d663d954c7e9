"""Decisions are kept for so long and so many, with everything they need and nothing more."""

from gateway.store.capacity import checkpoints, decisions
from gateway.store.db.pool import Store
from gateway.store.feed import feed
from tests.tasks.crowd import NOW, UNTOUCHED, count, crowd, ids, replays
from tests.tasks.planners import desk, seen
from tests.tasks.rig import seed


async def aged(store: Store, share: str) -> None:
    """Make some decisions as old as that share of them by position."""
    async with store.transaction() as c:
        await c.execute(
            f"""update decision set at = at - interval '31 days' where position <
                (select percentile_disc({share}) within group (order by position) from decision)"""
        )


async def trimmed(store: Store, days: float, rows_max: int) -> None:
    """Let go of everything that is too old, in small steps."""
    while True:
        async with store.transaction() as c:
            gone = await decisions.trim(c, days, rows_max, 7)
            gone_too = await checkpoints.trim(c, 7)
        if 7 not in (gone, gone_too):
            return


async def test_retention_keeps_what_a_kept_decision_needs(store):
    """Old ones go with the changes only they needed; every one that stays is made again."""
    await crowd(store)
    events = await count(store, "feed where topic = 'event'")
    before = await count(store, "decision")
    await aged(store, "0.7")
    await trimmed(store, 30, 10**6)
    kept = await replays(store)
    assert 0 < len(kept) < before * 0.5
    assert all(one.identical for one in kept)
    async with store.read() as c:
        oldest = await c.fetchval("select min(position) from inventory_checkpoint")
        first = await c.fetchval("select min(position) from feed where topic = 'inventory'")
        _, floor = await feed.bounds(c)
    assert 0 < oldest < first
    assert floor == oldest
    assert await count(store, "feed where topic = 'event'") == events
    await trimmed(store, 30, 3)
    assert len(await ids(store)) == 3
    assert all(one.identical for one in await replays(store))


async def test_the_changes_go_even_where_no_decision_is_left(store):
    await crowd(store)
    await trimmed(store, 30, 0)
    assert await ids(store) == []
    assert await count(store, "inventory_checkpoint") == 1
    async with desk(store) as at:
        assert await at.deploy(UNTOUCHED) is not None or at.refused
    assert all(one.identical for one in await replays(store))


async def test_a_planner_that_slept_past_the_retention_reads_everything_anew(store):
    """What it would have heard is gone; it must not go on with what it knew."""
    await seed(store, hosts=2, vms=4)
    await seen(store, 1)
    async with desk(store) as awake:
        await checkpoints.take(store, NOW, awake.sequencer.flush)
        sleeper = type(awake.planner)(store, awake.sequencer)
        await sleeper.load()
        assert await awake.deploy(1) is not None
        await awake.sequencer.flush()
        await checkpoints.take(store, NOW, awake.sequencer.flush)
        await trimmed(store, 30, 0)
        assert await count(store, "feed where topic = 'inventory'") == 0
        await sleeper.catch_up()
        known = sleeper.host(1)
        assert known is not None
        assert known.cpu_used == 1
