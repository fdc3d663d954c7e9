"""Advice beyond deploys: on growth that has no room and on a hold; and equal refusals share it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from drivers.simulated.world import World
from gateway.denial import ApiError
from gateway.lifecycle import Operation
from gateway.placement.advice import Adviser
from gateway.placement.holds import HoldService
from gateway.service.advice_process import AdviceProcess
from gateway.store.capacity import decisions, ledger
from gateway.store.db.pool import Store
from gateway.store.rules import rules
from gateway.store.rules.rules import NewRule
from scheduler.model.demand import Demand
from scheduler.model.placement import Refusal
from scheduler.model.values import replace
from tests.tasks.planners import desk, seen
from tests.tasks.rig import CALLER, DISK, Rig, books_balance, running, seed
from tests.tasks.test_hold_service import wish

SIZE = Demand(UUID(int=0), 17, 1024, DISK, "KVM", 1, "default", enterprise=1)


@pytest.fixture
async def advisory() -> AsyncIterator[AdviceProcess]:
    made = AdviceProcess()
    yield made
    await made.aclose()


@pytest.fixture
async def rig(store: Store, advisory: AdviceProcess) -> AsyncIterator[Rig]:
    """Two hosts of 16 CPUs; on the first one a VM of one that is off, and one of four."""
    await seed(store, hosts=2, vms=2)
    async with store.transaction() as c:
        await c.execute("update vm set cpu = 4 where id = 2")
    async with running(store, World(), ask=advisory.ask) as made:
        for vm in (1, 2):
            assert (await made.run(vm, Operation.DEPLOY))["result"] == "success"
        assert (await made.run(1, Operation.POWER_OFF))["result"] == "success"
        yield made


async def grow(rig: Rig, cpu: int) -> list[dict[str, Any]]:
    """Grow the first VM without success; the advice of the event, which is that on record."""
    task = await rig.run(1, Operation.RECONFIGURE, cpu=cpu)
    assert task["result"] == "failure"
    await rig.sequencer.flush()
    async with rig.store.read() as c:
        event = await c.fetchval(
            "select payload from feed where payload->>'action' = 'SCHEDULE' "
            "order by position desc limit 1"
        )
        stored = await decisions.get(c, UUID(event["details"]["decision"]))
    assert stored is not None
    advice: list[dict[str, Any]] = event["details"]["advice"]
    assert stored.advice == advice
    return advice


async def limit(store: Store, element: int, cpu: int, ram: int) -> None:
    """One load rule, for a host."""
    async with store.transaction() as c:
        await c.execute("delete from rule where kind = 'machine_load'")
        new = NewRule("machine_load", "machine", element, cpu_percent=cpu, ram_percent=ram)
        assert await rules.add(c, new) is not None
        await ledger.refresh_limits(c)


def of_kind(advice: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [one["changes"][0] for one in advice if one["changes"][0]["kind"] == kind]


async def test_growth_is_advised_by_what_the_vm_has_already(rig: Rig) -> None:
    """Followed, it grows; one percent less is refused. 20 and 4 of 16 CPUs are 150 %."""
    (change,) = of_kind(await grow(rig, 20), "RAISE_RULE")
    assert (change["element"], change["cpu"]["after"]) == (1, 150)
    await limit(rig.store, 1, 149, change["ram"]["after"])
    await grow(rig, 20)
    await limit(rig.store, 1, 150, change["ram"]["after"])
    assert (await rig.run(1, Operation.RECONFIGURE, cpu=20))["result"] == "success"
    await books_balance(rig.store)


async def test_growth_is_advised_about_its_place_alone(rig: Rig) -> None:
    """The other VM goes, or it grows less; itself it stays, whatever became of the host."""
    async with rig.store.transaction() as c:
        await c.execute("update host set state = 'NOT_MANAGED' where id = 1")
        await ledger.refresh_limits(c)
    advice = await grow(rig, 15)
    assert [move["name"] for move in of_kind(advice, "MOVE_VM")] == ["vm-2"]
    assert [less["cpu"] for less in of_kind(advice, "SHRINK_DEMAND")] == [12]
    assert of_kind(advice, "MANAGE_HOST") == []
    assert {one["host"] for one in advice} == {1}
    async with rig.store.transaction() as c:
        await c.execute("update host set state = 'MANAGED' where id = 1")
        await ledger.refresh_limits(c)
    moved = await rig.run(2, Operation.RELOCATE, host_id=2)
    assert moved["result"] == "success"
    assert (await rig.run(1, Operation.RECONFIGURE, cpu=15))["result"] == "success"


async def test_who_cannot_grow_at_all_is_not_advised_to_stay(rig: Rig) -> None:
    await limit(rig.store, 1, 32, 100)
    advice = await grow(rig, 2)
    assert of_kind(advice, "RAISE_RULE")
    assert of_kind(advice, "SHRINK_DEMAND") == []


async def test_a_refused_hold_is_advised(store: Store, advisory: AdviceProcess) -> None:
    """The ninth VM on eight CPUs: with the rule raised as it says, there is room for all."""
    await seed(store, hosts=2, vms=1)
    await seen(store, 4)
    async with desk(store) as at:
        holder = HoldService(store, at.planner, Adviser(store, at.planner, advisory.ask))
        with pytest.raises(ApiError) as refused:
            await holder.hold(wish(9), CALLER)
        async with store.read() as c:
            stored = await decisions.get(c, UUID(refused.value.decision))
        assert stored is not None
        change = of_kind(list(stored.advice), "RAISE_RULE")[0]
        for cpu, held in ((change["cpu"]["after"] - 1, False), (change["cpu"]["after"], True)):
            await limit(store, change["element"], cpu, change["ram"]["after"])
            await at.planner.catch_up_to_head()
            if held:
                await holder.hold(wish(9), CALLER)
            else:
                with pytest.raises(ApiError):
                    await holder.hold(wish(9), CALLER)
    await books_balance(store)


class Counted:
    """Asked, it waits for leave to answer; one row that says how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0
        self.asked = asyncio.Event()
        self.may = asyncio.Event()

    async def ask(self, message: bytes) -> bytes:
        self.calls += 1
        number = self.calls
        self.asked.set()
        await self.may.wait()
        return b'[{"number": %d}]' % number


async def test_equal_refusals_share_one_advice_while_it_is_looked_for(store: Store) -> None:
    """Whatever the VMs are called; another size, or a later refusal, is looked at anew. One who
    waits no longer leaves it to the others."""
    await seed(store, hosts=3, vms=1)
    await seen(store, 16)
    async with desk(store) as at:
        counted = Counted()
        adviser = Adviser(store, at.planner, counted.ask)

        def advise(**more: Any) -> asyncio.Task[list[dict[str, Any]]]:
            refusal = at.planner.place(replace(SIZE, vm=uuid4(), **more))
            assert isinstance(refusal, Refusal)
            return asyncio.create_task(adviser.advise(refusal))

        gone, *equal = [advise() for _ in range(4)]
        await counted.asked.wait()
        gone.cancel()
        await asyncio.wait([gone])
        other = advise(cpu=18)
        counted.may.set()
        assert await asyncio.gather(*equal) == [[{"number": 1}]] * 3
        assert await other == [{"number": 2}]
        assert await advise() == [{"number": 3}]
        async with store.transaction() as c:
            await c.execute("update host set cpus = 15 where id = 1")
            await ledger.refresh_limits(c)
        counted.may.clear()
        before = advise()
        await at.planner.catch_up_to_head()
        after = advise()
        counted.may.set()
        assert await before != await after
