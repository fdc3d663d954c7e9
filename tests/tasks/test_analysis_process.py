"""What takes long to compute runs in a process of its own, with the same answer."""

import asyncio

import pytest

from gateway.analysis.decision_replay import NotReplayable, recompute
from gateway.config.model import DecisionsSection
from gateway.service.analysis_process import AnalysisPool
from gateway.service.checkpointer import Checkpointer
from gateway.store.capacity import checkpoints, decisions
from gateway.store.capacity.checkpoints import CheckpointPace
from tests.tasks.crowd import count, ids
from tests.tasks.planners import desk, seen
from tests.tasks.rig import seed


async def test_a_decision_made_again_elsewhere_is_the_same(store):
    await seed(store, hosts=3, vms=1)
    await seen(store, 4)
    async with desk(store) as at:
        thinker = AnalysisPool()
        await thinker.checkpoint(store, CheckpointPace())
        assert await count(store, "inventory_checkpoint") == 1
        assert await at.deploy(1) is not None
        (id,) = await ids(store)
        found = await thinker.recompute(store, id)
        assert found.identical
        assert found == await recompute(store, id)
        with pytest.raises(NotReplayable, match="no longer kept"):
            await thinker.recompute(store, decisions.new_id())


async def test_the_keeper_keeps_decisions_repeatable_and_the_store_small(store):
    """The first checkpoint before anything else, later ones when due, and old rows go."""
    await seed(store, hosts=3, vms=5)
    await seen(store, 4)
    async with desk(store) as at:
        section = DecisionsSection(rows_max=2, checkpoint_changes=1, checkpoint_s=1)
        keeper = Checkpointer(store, section, AnalysisPool())
        await asyncio.gather(*(keeper.begin(at.sequencer) for _ in range(2)))
        assert await count(store, "inventory_checkpoint") == 1
        for vm in range(1, 6):
            assert await at.deploy(vm) is not None
        await at.sequencer.flush()
        await keeper.round()
        assert await count(store, "decision") == 2
        assert await count(store, "inventory_checkpoint") == 2
        async with store.read() as c:
            assert not await checkpoints.due(c, CheckpointPace(changes=1, seconds=1))
        await keeper.round()
        assert [(await recompute(store, id)).identical for id in await ids(store)] == [True] * 2
