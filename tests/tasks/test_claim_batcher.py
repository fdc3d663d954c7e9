"""Claims are granted in groups, and no group is held up by another."""

import asyncio

from msgspec import structs

from gateway.placement.claim_batcher import ClaimBatcher
from gateway.store.capacity.claims import Granted
from tests.store.ruled import build, task_of, wish


async def test_who_was_granted_is_told_though_the_next_group_waits(store):
    """A booking that is committed goes on; another session's lock holds up the others alone."""
    await build(store)
    async with store.read() as c:
        first, second = await wish(c, 1, 1), await wish(c, 2, 2)
    granter = ClaimBatcher(store)
    async with store.transaction() as c:
        await c.execute("select id from task where id = $1 for update", task_of(2))
        one, other = (asyncio.create_task(granter.claim(each)) for each in (first, second))
        assert isinstance(await asyncio.wait_for(one, 3), Granted)
        assert not other.done()
    assert isinstance(await other, Granted)


async def test_a_claim_that_the_store_refuses_fails_alone(store):
    """Others of its group are granted, each by itself."""
    await build(store)
    async with store.read() as c:
        wishes = [await wish(c, vm, vm) for vm in (1, 2, 3, 4)]
    wishes[0] = structs.replace(wishes[0], detail={"said": "\x00"})  # no text of PostgreSQL's
    granter = ClaimBatcher(store)
    answers = await asyncio.gather(*map(granter.claim, wishes), return_exceptions=True)
    assert isinstance(answers[0], Exception)
    assert all(isinstance(each, Granted) for each in answers[1:])
