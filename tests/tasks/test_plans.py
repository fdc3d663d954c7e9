"""Plans: a proposal changes nothing; approved, it closes, moves, stops at the first surprise."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from drivers.simulated.options import SimulatedOptions
from drivers.simulated.world import World
from gateway.denial import ApiError
from gateway.lifecycle import Operation
from gateway.plans.approve import approve, cancel
from gateway.plans.propose import PlanQuestion
from gateway.plans.runner import PlanRunner
from gateway.store.capacity import ledger
from gateway.store.db.pool import Store
from scheduler.plan.move_schedule import Capacities
from tests.tasks.plan_rig import ended, moves_of, on, plan_row, proposed, relocations, runners
from tests.tasks.rig import CALLER, Rig, books_balance, running, seed, vm_row


@pytest.fixture
async def rig(store: Store) -> AsyncIterator[Rig]:
    """Three hosts; four VMs run on the first."""
    await seed(store, hosts=3, vms=6)
    async with running(store, World(), options=SimulatedOptions(relocation_s=0.05)) as made:
        for vm in range(1, 5):
            task = await made.run(vm, Operation.DEPLOY)
            assert task["result"] == "success"
        yield made


async def test_a_proposal_changes_nothing_and_says_why(rig: Rig) -> None:
    id = await proposed(rig)
    row, moves = await plan_row(rig.store, id), await moves_of(rig.store, id)
    assert (row.state, row.told["plan"]["closes"]) == ("PROPOSED", [1])
    assert sorted(move.vm_id for move in moves) == [1, 2, 3, 4]
    assert {move.reason for move in moves} == {"EMPTIES"}
    assert {move.source_id for move in moves} == {1}
    async with rig.store.read() as c:
        assert await c.fetchval("select state from host where id = 1") == "MANAGED"
    async with runners(rig):
        again = await proposed(rig)
    assert len(await moves_of(rig.store, again)) == 4
    assert await relocations(rig.store) == 0


async def test_a_drain_closes_moves_and_ends(rig: Rig) -> None:
    id = await proposed(rig)
    await approve(rig.store, id, None, CALLER)
    async with rig.store.read() as c:
        assert await c.fetchval("select state from host where id = 1") == "NOT_MANAGED"
    async with runners(rig):
        row = await ended(rig.store, id)
    assert (row.state, row.reason) == ("DONE", "")
    assert await on(rig.store, 1) == []
    assert {move.state for move in await moves_of(rig.store, id)} == {"DONE"}
    assert await relocations(rig.store) == 4
    boots = {vm["boots"] for vm in rig.driver.world.rows("select boots from vm")}
    assert boots == {1}
    await books_balance(rig.store)
    again = await proposed(rig)
    assert await moves_of(rig.store, again) == []


async def test_no_placement_slips_onto_a_host_that_is_drained(rig: Rig) -> None:
    """Deploys race with the approval; whatever got in before is seen, and none comes after."""
    id = await proposed(rig)
    accepted = [rig.submit(vm, Operation.DEPLOY) for vm in (5, 6)]
    results = await asyncio.gather(
        approve(rig.store, id, None, CALLER), *accepted, return_exceptions=True
    )
    assert not [one for one in results if isinstance(one, Exception)]
    async with runners(rig):
        await ended(rig.store, id)
        late = await proposed(rig)
        if await moves_of(rig.store, late):
            await approve(rig.store, late, None, CALLER)
            await ended(rig.store, late)
    assert await on(rig.store, 1) == []
    await books_balance(rig.store)


async def test_a_protected_vm_stays_and_is_told_of(rig: Rig) -> None:
    async with rig.store.transaction() as c:
        await c.execute("update vm set protected = true where id = 2")
    id = await proposed(rig)
    row = await plan_row(rig.store, id)
    uuid = str((await vm_row(rig.store, 2))["uuid"])
    (blocked,) = row.told["plan"]["blocked"]
    assert (blocked["vm"], blocked["reasons"]) == (uuid, ["PROTECTED"])
    await approve(rig.store, id, None, CALLER)
    async with runners(rig):
        assert (await ended(rig.store, id)).state == "DONE"
    assert await on(rig.store, 1) == [2]


async def test_a_vm_that_is_protected_after_the_approval_stops_the_plan(rig: Rig) -> None:
    id = await proposed(rig)
    await approve(rig.store, id, None, CALLER)
    async with rig.store.transaction() as c:
        await c.execute("update vm set protected = true")
    async with runners(rig):
        row = await ended(rig.store, id)
    assert row.state == "STOPPED"
    assert "PROTECTED" in row.reason
    assert await relocations(rig.store) == 0


async def test_only_what_was_approved_is_moved(rig: Rig) -> None:
    id = await proposed(rig)
    first = (await moves_of(rig.store, id))[0]
    await approve(rig.store, id, [0], CALLER)
    async with runners(rig):
        assert (await ended(rig.store, id)).state == "DONE"
    assert len(await on(rig.store, 1)) == 3
    assert (await vm_row(rig.store, first.vm_id))["host_id"] == first.target_id


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("update host set state = 'HALTED' where id in (2, 3)", "has changed"),
        ("update rule_set set fingerprint = 'of other rules'", "rules have changed"),
    ],
)
async def test_a_surprise_between_two_moves_stops_the_plan(
    rig: Rig, statement: str, told: str
) -> None:
    id = await proposed(rig)
    await approve(rig.store, id, None, CALLER)
    async with rig.store.transaction() as c:
        await c.execute(statement)
        await ledger.refresh_limits(c)
    async with runners(rig):
        row = await ended(rig.store, id)
    assert row.state == "STOPPED"
    assert told in row.reason
    assert await relocations(rig.store) == 0
    await rig.sequencer.flush()
    async with rig.store.read() as c:
        actions = await c.fetch(
            "select payload->>'action' a from feed where entity = 'PLAN' order by position"
        )
    assert [row["a"] for row in actions] == ["CREATE", "APPROVE", "STOP"]


async def test_a_vm_that_moved_itself_stops_the_plan(rig: Rig) -> None:
    id = await proposed(rig)
    await approve(rig.store, id, None, CALLER)
    await rig.run(3, Operation.RELOCATE, host_id=3)
    async with runners(rig, host=1):
        row = await ended(rig.store, id)
    if (await moves_of(rig.store, id))[2].target_id == 3:
        assert "ELSEWHERE" in row.reason
    assert row.state == "STOPPED"


async def test_a_failed_move_stops_the_plan_and_the_rest_stays(rig: Rig) -> None:
    id = await proposed(rig)
    await approve(rig.store, id, None, CALLER)
    (target,) = {move.target for move in await moves_of(rig.store, id)}
    assert target is not None
    rig.driver.world.plan("host-1", "relocate", "Rejected")
    async with runners(rig, host=1):
        row = await ended(rig.store, id)
    assert row.state == "STOPPED"
    assert "planned by the test" in row.reason
    states = [move.state for move in await moves_of(rig.store, id)]
    assert states.count("FAILED") == 1
    assert "APPROVED" in states
    await books_balance(rig.store)


async def test_runners_may_die_between_any_two_moves(rig: Rig) -> None:
    """Each runner is killed after one step; no move is made twice, none forgotten."""
    id = await proposed(rig)
    await approve(rig.store, id, None, CALLER)

    async def step() -> bool:
        runner = PlanRunner(rig.store, rig.planner, Capacities(host=1))
        round_ = asyncio.create_task(runner.round())
        await asyncio.sleep(0)
        await asyncio.wait([round_], timeout=0.05)
        round_.cancel()
        await asyncio.gather(round_, return_exceptions=True)
        rig.sequencer.poke()
        rig.worker.poke()
        return (await plan_row(rig.store, id)).state == "DONE"

    async with asyncio.timeout(40):
        while not await step():
            await asyncio.gather(*(rig.sequencer.flush() for _ in range(1)), return_exceptions=True)
    assert await on(rig.store, 1) == []
    assert await relocations(rig.store) == 4
    await books_balance(rig.store)


async def test_many_runners_make_each_move_once(rig: Rig) -> None:
    id = await proposed(rig)
    await approve(rig.store, id, None, CALLER)
    async with runners(rig, 4):
        assert (await ended(rig.store, id)).state == "DONE"
    assert await relocations(rig.store) == 4
    assert await on(rig.store, 1) == []


async def test_places_carry_no_more_moves_than_they_may(rig: Rig) -> None:
    """With one unit a host, the moves off one host run one after the other."""
    id = await proposed(rig)
    await approve(rig.store, id, None, CALLER)
    async with runners(rig, host=1):
        await ended(rig.store, id)
    async with rig.store.read() as c:
        rows = await c.fetch(
            """select payload->>'action' a from feed where entity = 'PLAN'
               and payload->>'action' like 'MOVE%' order by position"""
        )
    assert [row["a"] for row in rows] == ["MOVE", "MOVE_FINISH"] * 4


async def test_a_stale_proposal_is_not_approved(rig: Rig) -> None:
    id = await proposed(rig)
    async with rig.store.transaction() as c:
        await c.execute("update host set state = 'HALTED' where id = 2")
        await ledger.refresh_limits(c)
    with pytest.raises(ApiError) as stale:
        await approve(rig.store, id, None, CALLER)
    assert stale.value.code == "PLAN-2"
    async with rig.store.read() as c:
        assert await c.fetchval("select state from host where id = 1") == "MANAGED"


async def test_one_plan_of_a_datacenter_runs_at_a_time(rig: Rig) -> None:
    first, second = await proposed(rig), await proposed(rig)
    await approve(rig.store, first, [0], CALLER)
    with pytest.raises(ApiError) as refused:
        await approve(rig.store, second, None, CALLER)
    assert refused.value.code == "PLAN-2"  # closing the host made it another one
    third = await proposed(rig)
    with pytest.raises(ApiError) as busy:
        await approve(rig.store, third, None, CALLER)
    assert busy.value.code == "PLAN-3"


async def test_a_cancelled_plan_begins_no_move_and_records_those_that_run(rig: Rig) -> None:
    id = await proposed(rig)
    await approve(rig.store, id, None, CALLER)
    await PlanRunner(rig.store, rig.planner, Capacities(host=1)).round()
    assert (await cancel(rig.store, id, CALLER)).state == "CANCELLED"
    rig.worker.poke()
    async with runners(rig):
        await ended(rig.store, id)
    states = sorted(move.state for move in await moves_of(rig.store, id))
    assert states == ["APPROVED", "APPROVED", "APPROVED", "DONE"]
    with pytest.raises(ApiError) as over:
        await cancel(rig.store, id, CALLER)
    assert over.value.code == "PLAN-1"


async def test_rebalancing_comes_to_rest(rig: Rig) -> None:
    """What was evened out is not moved again."""
    question = PlanQuestion("rebalance", 1, rest_s=0.0, moves_max_percent=100)
    id = await proposed(rig, question)
    if await moves_of(rig.store, id):
        await approve(rig.store, id, None, CALLER)
        async with runners(rig):
            assert (await ended(rig.store, id)).state == "DONE"
    assert await moves_of(rig.store, await proposed(rig, question)) == []
    resting = PlanQuestion("rebalance", 1, rest_s=600.0, moves_max_percent=100)
    assert await moves_of(rig.store, await proposed(rig, resting)) == []
