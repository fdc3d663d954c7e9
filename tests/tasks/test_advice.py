"""A refusal carries advice that works, and never waits long for it or fails for want of it (B2)."""

import asyncio
from datetime import datetime
from typing import Any

import pytest

from gateway.placement import advice as advising
from gateway.placement.advice import Adviser, Ask
from gateway.placement.holds import HoldService
from gateway.service.advice_process import AdviceProcess
from gateway.store.capacity import decisions, holds, ledger
from gateway.store.db.pool import Store
from gateway.store.rules import rules
from gateway.store.rules.rules import NewRule
from scheduler.model.values import replace
from tests.tasks.crowd import ids
from tests.tasks.planners import Desk, desk, seen
from tests.tasks.rig import CALLER, seed
from tests.tasks.test_hold_service import wish


@pytest.fixture
async def advisory():
    made = AdviceProcess()
    yield made
    await made.aclose()


async def sized(store: Store, **cpus: int) -> None:
    """VMs ask for so many CPUs."""
    async with store.transaction() as c:
        for name, count in cpus.items():
            await c.execute("update vm set cpu = $1 where name = $2", count, name.replace("_", "-"))


async def refused(
    store: Store, at: Desk, ask: Ask, vm: int = 1, fixed: frozenset[str] = frozenset()
) -> list[dict[str, Any]]:
    """Ask for too much; the advice in the event, which is that on record."""
    at.reserver = replace(at.reserver, adviser=Adviser(store, at.planner, ask, fixed))
    assert await at.deploy(vm) is None
    await at.sequencer.flush()
    async with store.read() as c:
        (id,) = await ids(store, "outcome = 'refused'")
        stored = await decisions.get(c, id)
        event = await c.fetchval(
            "select payload from feed where payload->>'severity' = 'ERROR' "
            "order by position desc limit 1"
        )
    assert stored is not None
    told: list[dict[str, Any]] = event["details"]["advice"]
    assert stored.advice == told
    return told


async def test_a_refusal_carries_advice_and_a_rule_raised_by_it_places_the_vm(store, advisory):
    """The number is exact in the store's own arithmetic too: one percent less is refused."""
    await seed(store, hosts=3, vms=1)
    await seen(store, 4)
    await sized(store, vm_1=17)
    async with desk(store) as at:
        advice = await refused(store, at, advisory.ask)
        change = advice[0]["changes"][0]
        assert (change["kind"], change["level"], change["rule"]) == ("RAISE_RULE", "machine", None)
        percent = change["cpu"]["after"]
        for less, placed in ((1, False), (0, True)):
            async with store.transaction() as c:
                await c.execute("delete from rule where kind = 'machine_load'")
                new = NewRule(
                    "machine_load",
                    "machine",
                    change["element"],
                    cpu_percent=percent - less,
                    ram_percent=change["ram"]["after"],
                )
                assert await rules.add(c, new) is not None
                await ledger.refresh_limits(c)
            assert (await at.deploy(1) is not None) is placed


@pytest.mark.parametrize("stays", ["", "protected", "fixed"])
async def test_a_vm_that_may_be_moved_is_advised_to_be(store, advisory, stays):
    """The scheduler finds where it goes; a protected one stays, and so does one whose hypervisor
    moves none."""
    await seed(store, hosts=2, vms=4)
    await seen(store, 16)
    await sized(store, vm_1=9, vm_2=4, vm_3=12, vm_4=5)
    async with desk(store) as at:
        for vm in (1, 2, 3):
            assert await at.deploy(vm) is not None
        async with store.transaction() as c:
            await c.execute("update vm set protected = $1 where id < 4", stays == "protected")
        fixed = frozenset({"KVM"}) if stays == "fixed" else frozenset()
        advice = await refused(store, at, advisory.ask, vm=4, fixed=fixed)
    moves = [each for one in advice for each in one["changes"] if each["kind"] == "MOVE_VM"]
    assert [(each["name"], each["to_host_name"]) for each in moves] == (
        [] if stays else [("vm-2", "host-2")]
    )


async def test_the_end_of_a_hold_is_waited_for_and_the_vm_is_placed_then(store, advisory):
    """The hold and its end are named, the end in whole seconds and none too early."""
    await seed(store, hosts=1, vms=1)
    await seen(store, 4)
    async with desk(store) as at:
        holder = HoldService(store, at.planner)
        made = await holder.hold(wish(4), CALLER)
        advice = await refused(store, at, advisory.ask)
        (wait,) = (one["changes"][0] for one in advice if one["changes"][0]["kind"] == "WAIT_HOLD")
        assert wait["holds"] == [str(made)]
        async with store.read() as c:
            hold = await holds.get(c, made)
        assert hold is not None
        assert 0 < (datetime.fromisoformat(wait["until"]) - hold.expires_at).total_seconds() <= 1
        await holder.release(made, CALLER)
        assert await at.deploy(1) is not None


async def test_a_process_that_ends_is_begun_again(store, advisory):
    with pytest.raises(OSError, match="ended"):
        await advisory.ask(b"{}")
    await seed(store, hosts=3, vms=1)
    await seen(store, 4)
    await sized(store, vm_1=17)
    async with desk(store) as at:
        assert await refused(store, at, advisory.ask)


async def test_without_an_answer_in_time_a_refusal_is_one_all_the_same(store, monkeypatch):
    monkeypatch.setattr(advising, "WITHIN_S", 0.05)
    await seed(store, hosts=3, vms=1)
    await seen(store, 4)
    await sized(store, vm_1=17)

    async def never(message: bytes) -> bytes:
        await asyncio.Event().wait()
        return message

    async with desk(store) as at:
        assert await refused(store, at, never) == []


async def test_an_answer_that_nobody_waited_for_is_not_given_to_the_next(store, advisory):
    """A question that is given up takes its process with it."""
    await seed(store, hosts=3, vms=1)
    await seen(store, 4)
    await sized(store, vm_1=17)
    asked = asyncio.create_task(advisory.ask(b"[]"))
    await asyncio.wait([asked], timeout=0.01)
    asked.cancel()
    await asyncio.wait([asked])
    async with desk(store) as at:
        assert await refused(store, at, advisory.ask)
