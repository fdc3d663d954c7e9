"""Holds: all or nothing, taken over once, and given back when their time is over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from drivers.simulated.world import World
from gateway.denial import ApiError
from gateway.lifecycle import Operation
from gateway.placement.holds import HoldExpirer, HoldRequest, HoldService
from gateway.store.capacity import checkpoints, holds, ledger
from gateway.store.db.pool import Store
from gateway.store.feed import feed
from scheduler.model.demand import Demand
from scheduler.model.values import replace
from tests.tasks.crowd import NOW, replays
from tests.tasks.rig import CALLER, DISK, Rig, books_balance, ended, running, seed, vm_row

SIZE = Demand(UUID(int=0), 1, 1024, DISK, "KVM", 1, "default", enterprise=1)


def wish(count: int = 1, ttl_s: float = 60.0, **more: Any) -> HoldRequest:
    """So many VMs of the rig's size, or of another."""
    demands = tuple(replace(SIZE, vm=uuid4(), **more) for _ in range(count))
    return HoldRequest("", more.get("enterprise", 1), 1, ttl_s, demands)


@pytest.fixture
async def rig(store: Store) -> AsyncIterator[Rig]:
    """Two hosts of four CPUs, and more VMs than they take."""
    await seed(store, hosts=2, vms=12, cpus=4)
    async with running(store, World()) as made:
        yield made


@pytest.fixture
def holder(rig: Rig) -> HoldService:
    return HoldService(rig.store, rig.planner)


async def expired(store: Store, hold: UUID) -> dict[str, Any]:
    """The event of a hold's end, once it is in the feed."""
    async with asyncio.timeout(20), aclosing(store.listen(feed.FEED_CHANNEL)) as woken:
        async for _ in woken:
            async with store.read() as c:
                row = await c.fetchrow(
                    """select *, payload->'details'->>'expires' expires from feed
                       where entity = 'HOLD' and entity_id = $1
                         and payload->>'action' = 'EXPIRE'""",
                    str(hold),
                )
            if row is not None:
                return dict(row)
    raise AssertionError("the feed ended")


async def held(store: Store, hold: UUID) -> holds.StoredHold:
    async with store.read() as c:
        found = await holds.get(c, hold)
    assert found is not None
    return found


async def test_what_is_held_nobody_else_gets(rig: Rig, holder: HoldService) -> None:
    made = await holder.hold(wish(7), CALLER)
    assert (await rig.run(1, Operation.DEPLOY))["result"] == "success"
    refused = await rig.run(2, Operation.DEPLOY)
    assert refused["result"] == "failure"
    await books_balance(rig.store)
    await holder.release(made, CALLER)
    assert (await rig.run(2, Operation.DEPLOY))["result"] == "success"
    await books_balance(rig.store)


async def test_all_or_nothing(rig: Rig, holder: HoldService) -> None:
    with pytest.raises(ApiError) as refused:
        await holder.hold(wish(9), CALLER)
    assert refused.value.code == "HOLD-1"
    assert "VM 9 of 9" in refused.value.message
    assert "1 CPU -- 1024 RAM (MiB)" in refused.value.message
    async with rig.store.read() as c:
        assert await holds.all_of(c) == []
    await books_balance(rig.store)
    await holder.hold(wish(8), CALLER)


async def test_a_deploy_takes_a_place_over_on_full_hosts(rig: Rig, holder: HoldService) -> None:
    made = await holder.hold(wish(8), CALLER)
    places = {place.host_id for place in (await held(rig.store, made)).places}
    done = await rig.run(1, Operation.DEPLOY, hold=str(made))
    assert done["result"] == "success"
    vm = await vm_row(rig.store, 1)
    assert vm["host_id"] in places
    (taken,) = [one for one in (await held(rig.store, made)).places if one.vm_id is not None]
    assert (taken.vm_id, taken.host_id) == (1, vm["host_id"])
    await books_balance(rig.store)
    await holder.release(made, CALLER)
    await books_balance(rig.store)
    async with rig.store.read() as c:
        assert await c.fetchval("select sum(cpu_used) from ledger where kind = 'host'") == 1


async def test_a_relocation_takes_a_place_over(rig: Rig, holder: HoldService) -> None:
    await rig.run(1, Operation.DEPLOY)
    await rig.planner.catch_up_to_head()
    before = (await vm_row(rig.store, 1))["host_id"]
    made = await holder.hold(wish(7), CALLER)
    done = await rig.run(1, Operation.RELOCATE, host_id=None, hold=str(made))
    assert done["result"] == "success"
    assert (await vm_row(rig.store, 1))["host_id"] != before
    await books_balance(rig.store)


async def test_many_take_over_few_places_once_each(rig: Rig, holder: HoldService) -> None:
    """Two callers can never both consume; who comes too late is told why."""
    made = await holder.hold(wish(5), CALLER)
    await holder.hold(wish(3), CALLER)
    accepted = [await rig.submit(vm, Operation.DEPLOY, hold=str(made)) for vm in range(1, 13)]
    rows = [await ended(rig.store, one.task) for one in accepted]
    assert sorted(row["result"] for row in rows) == ["failure"] * 7 + ["success"] * 5
    assert all("no free slot" in row["error"] for row in rows if row["result"] == "failure")
    taken = [place.vm_id for place in (await held(rig.store, made)).places]
    assert len(set(taken)) == 5
    assert None not in taken
    await books_balance(rig.store)


async def test_two_processes_never_take_one_place_both(rig: Rig, holder: HoldService) -> None:
    made = await holder.hold(wish(2), CALLER)
    async with running(rig.store, rig.driver.world) as other:
        accepted = [
            await (rig, other)[vm % 2].submit(vm, Operation.DEPLOY, hold=str(made))
            for vm in range(1, 9)
        ]
        rows = [await ended(rig.store, one.task) for one in accepted]
    assert [row["result"] for row in rows].count("success") == 2
    await books_balance(rig.store)


async def test_the_smallest_place_that_is_big_enough_is_taken(
    rig: Rig, holder: HoldService
) -> None:
    small, big = wish(1).demands[0], wish(1, cpu=3).demands[0]
    made = await holder.hold(HoldRequest("", None, 1, 60.0, (big, small)), CALLER)
    await rig.run(1, Operation.DEPLOY, hold=str(made))
    taken = {place.cpu: place.vm_id for place in (await held(rig.store, made)).places}
    assert taken == {1: 1, 3: None}
    await rig.run(2, Operation.DEPLOY, hold=str(made))
    async with rig.store.read() as c:
        # The bigger place is given up whole: what the VM does not need is free again.
        assert await c.fetchval("select sum(cpu_used) from ledger where kind = 'host'") == 2
    await books_balance(rig.store)


async def test_a_hold_of_another_enterprise_is_not_taken(rig: Rig, holder: HoldService) -> None:
    async with rig.store.transaction() as c:
        await c.execute("insert into enterprise (name) values ('other')")
        await ledger.refresh_limits(c)
    await rig.planner.catch_up_to_head()
    made = await holder.hold(wish(1, enterprise=2), CALLER)
    done = await rig.run(1, Operation.DEPLOY, hold=str(made))
    assert done["result"] == "failure"
    async with rig.store.read() as c:
        assert 2 in await c.fetchval(
            "select enterprises from ledger where kind = 'host' and cpu_used > 0"
        )
    await books_balance(rig.store)


async def test_a_layer_counts_while_it_is_held(rig: Rig, holder: HoldService) -> None:
    """Two of a layer go to different hosts, a third finds none; a VM of it takes its place."""
    async with rig.store.transaction() as c:
        await c.execute("insert into layer (virtualappliance_id, name) values (1, 'db')")
        await c.execute("update vm set layer_id = 1 where id <= 3")
    made = await holder.hold(wish(2, layer=1), CALLER)
    with pytest.raises(ApiError, match="same layer"):
        await holder.hold(wish(1, layer=1), CALLER)
    assert (await rig.run(1, Operation.DEPLOY))["result"] == "failure"
    for vm in (1, 2):
        assert (await rig.run(vm, Operation.DEPLOY, hold=str(made)))["result"] == "success"
    hosts = {(await vm_row(rig.store, vm))["host_id"] for vm in (1, 2)}
    assert len(hosts) == 2
    await holder.release(made, CALLER)
    async with rig.store.transaction() as c:
        await ledger.refresh_limits(c)
        layers = await c.fetch("select layers from ledger where kind = 'host'")
    assert [row["layers"] for row in layers] == [[1], [1]]


async def test_a_place_on_a_host_that_was_closed_is_not_given(
    rig: Rig, holder: HoldService
) -> None:
    """No booking on a closed host, also not one that was held before."""
    made = await holder.hold(wish(1), CALLER)
    async with rig.store.transaction() as c:
        await c.execute("update host set state = 'NOT_MANAGED'")
        await ledger.refresh_limits(c)
    done = await rig.run(1, Operation.DEPLOY, hold=str(made))
    assert done["result"] == "failure"
    assert "not MANAGED" in done["error"]
    await books_balance(rig.store)


async def test_an_expired_hold_gives_nothing_and_is_swept(rig: Rig, holder: HoldService) -> None:
    """At most a second after its end, whoever made it: here another process sweeps."""
    made = await holder.hold(wish(8, ttl_s=0.05), CALLER)
    async with rig.store.transaction() as c:
        await c.execute("update hold set expires_at = clock_timestamp()")
    async with rig.store.read() as c:
        assert (await held(rig.store, made)).expired
    late = await rig.run(1, Operation.DEPLOY, hold=str(made))
    assert late["result"] == "failure"
    sweeping = asyncio.create_task(HoldExpirer(holder, rig.sequencer.poke).run())
    told = await expired(rig.store, made)
    sweeping.cancel()
    assert told["payload"]["details"]["free"] == 8
    await books_balance(rig.store)
    assert (await rig.run(2, Operation.DEPLOY))["result"] == "success"


async def test_the_end_is_kept_to_the_second(rig: Rig, holder: HoldService) -> None:
    sweeping = [
        asyncio.create_task(HoldExpirer(holder, rig.sequencer.poke).run()) for _ in range(3)
    ]
    made = await holder.hold(wish(1, ttl_s=0.3), CALLER)
    told = await expired(rig.store, made)
    for each in sweeping:
        each.cancel()
    late = told["at"] - datetime.fromisoformat(told["expires"])
    assert 0 <= late.total_seconds() <= 1.0
    async with rig.store.read() as c:
        assert await c.fetchval("select count(*) from feed where entity = 'HOLD'") == 2


async def test_a_renewed_hold_lasts_and_an_ended_one_cannot_be_renewed(
    rig: Rig, holder: HoldService
) -> None:
    made = await holder.hold(wish(1), CALLER)
    before = (await held(rig.store, made)).expires_at
    assert (await holder.renew(made, 600.0, CALLER)).expires_at > before
    async with rig.store.transaction() as c:
        await c.execute("update hold set expires_at = clock_timestamp()")
    with pytest.raises(ApiError) as ended_already:
        await holder.renew(made, 600.0, CALLER)
    assert ended_already.value.code == "HOLD-0"


async def test_releasing_while_it_is_taken_over_leaks_nothing(
    rig: Rig, holder: HoldService
) -> None:
    """Whichever comes first, what is booked is what is there."""
    for vm in range(1, 9):
        made = await holder.hold(wish(1), CALLER)
        accepted = await rig.submit(vm, Operation.DEPLOY, hold=str(made))
        await holder.release(made, CALLER)
        row = await ended(rig.store, accepted.task)
        assert row["result"] in ("success", "failure")
        await books_balance(rig.store)
    async with rig.store.read() as c:
        assert await c.fetchval("select count(*) from hold_booking") == 0


async def test_a_place_taken_over_is_on_record_and_made_again_the_same(
    rig: Rig, holder: HoldService
) -> None:
    """I13: on full hosts, by rows as if nothing were held there; the refusal as well."""
    await checkpoints.take(rig.store, NOW, rig.sequencer.flush)
    made = await holder.hold(wish(8), CALLER)
    assert (await rig.run(1, Operation.DEPLOY, hold=str(made)))["result"] == "success"
    async with rig.store.transaction() as c:
        await c.execute("update host set state = 'NOT_MANAGED'")
        await ledger.refresh_limits(c)
    assert (await rig.run(2, Operation.DEPLOY, hold=str(made)))["result"] == "failure"
    found = await replays(rig.store)
    assert [one.why for one in found if not one.identical] == []
    assert len(found) == 10  # eight places, the deploy to one, and the deploy that was refused
