"""A hold's places, and why one is not to be had, are on record like every other decision (B1)."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from drivers.simulated.world import World
from gateway.denial import ApiError
from gateway.placement.holds import HoldService
from gateway.store.capacity import checkpoints, decisions
from gateway.store.db.pool import Store
from tests.tasks.crowd import NOW, replays
from tests.tasks.rig import CALLER, Rig, running, seed
from tests.tasks.test_hold_service import held, wish


@pytest.fixture
async def rig(store: Store) -> AsyncIterator[Rig]:
    """Two hosts of four CPUs."""
    await seed(store, hosts=2, vms=1, cpus=4)
    async with running(store, World()) as made:
        yield made


@pytest.fixture
def holder(rig: Rig) -> HoldService:
    return HoldService(rig.store, rig.planner)


async def test_each_held_place_was_decided_on_record(rig: Rig, holder: HoldService) -> None:
    """In the hold's own commit; the refused one, too, and each is made again byte for byte."""
    await checkpoints.take(rig.store, NOW, rig.sequencer.flush)
    made = await holder.hold(wish(5), CALLER)
    with pytest.raises(ApiError) as refused:
        await holder.hold(wish(4, enterprise=None), CALLER)
    places = (await held(rig.store, made)).places
    async with rig.store.read() as c:
        kept = [await decisions.get(c, place.decision_id or made) for place in places]
        other = await decisions.get(c, UUID(refused.value.decision))
        assert await c.fetchval("select count(*) from decision") == 6
    for place, stored in zip(places, kept, strict=True):
        assert stored is not None
        assert (stored.kind, stored.outcome, stored.host_id) == ("hold", "placed", place.host_id)
        assert (stored.hold_id, stored.enterprise_id) == (made, 1)
    assert other is not None
    assert (other.kind, other.outcome, other.hold_id) == ("hold", "refused", None)
    found = await replays(rig.store)
    assert [one.why for one in found if not one.identical] == []
    await holder.release(made, CALLER)
    async with rig.store.read() as c:
        assert await c.fetchval("select count(*) from decision where hold_id = $1", made) == 5


async def test_a_hold_that_is_not_made_leaves_no_decision(rig: Rig, holder: HoldService) -> None:
    """All of one commit: what the ledger refuses each time is on record nowhere."""
    async with rig.store.transaction() as c:
        await c.execute("update ledger set cpu_limit = 0 where kind = 'host'")
    with pytest.raises(ApiError) as refused:
        await holder.hold(wish(2), CALLER)
    assert refused.value.code in ("HOLD-1", "HOLD-3")
    async with rig.store.read() as c:
        assert await c.fetchval("select count(*) from decision where outcome = 'placed'") == 0
