"""Kind K3: what a host has against moving or removing a VM is told before anything begins: in
candidates, plans and at every order."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from drivers.capabilities import HypervisorType
from drivers.facts import Facts
from drivers.simulated.driver import SimulatedDriver
from drivers.simulated.options import SimulatedOptions
from drivers.simulated.world import World
from gateway.caller import Caller
from gateway.denial import ApiError
from gateway.lifecycle import Operation
from gateway.plans.propose import PlanQuestion, propose
from gateway.store.db.pool import Store
from gateway.tasks.submission import Order, submit
from scheduler.model.reason import ReasonCode
from tests.acceptance.gateway import until
from tests.tasks.rig import CALLER, Rig, running, seed, vm_row

SEES = Caller(1, 1, "admin", frozenset({"PHYS_DC_ENUMERATE"}))
CD, OVERLAY = "its cdrom hdc has /root/cd.iso", "it runs on /x.s1 instead of on its own disk"


class Objecting(SimulatedDriver):
    """Its hosts have something against all their VMs."""

    fixed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    async def survey(self, endpoint: str) -> Facts:
        facts = await super().survey(endpoint)
        vms = tuple(replace(vm, fixed=self.fixed, kept=self.kept) for vm in facts.vms)
        return replace(facts, vms=vms)


@asynccontextmanager
async def deployed(store: Store) -> AsyncIterator[tuple[Rig, Objecting]]:
    """VM 1 runs on one of two hosts."""
    await seed(store, hosts=2, vms=1)
    driver = Objecting("sim", HypervisorType.KVM, SimulatedOptions(), World(""))
    async with running(store, World(""), driver=driver) as rig:
        await rig.run(1, Operation.DEPLOY)
        yield rig, driver


async def rows(store: Store) -> list[Any]:
    async with store.read() as c:
        return [tuple(row) for row in await c.fetch("select moving, removing from vm_objection")]


async def seen(store: Store, wanted: list[Any]) -> None:
    async def so() -> bool:
        return await rows(store) == wanted

    await until(so)


async def test_what_stands_against_a_move_is_told_everywhere(store: Store) -> None:
    """As the survey saw it, by name to who sees hosts; gone with the next survey."""
    async with deployed(store) as (rig, driver):
        driver.fixed = (CD,)
        await seen(store, [(CD, "")])
        with pytest.raises(ApiError, match=r"/root/cd\.iso") as denied:
            await submit(store, Order(Operation.RELOCATE, 1, {}), SEES)
        assert denied.value.code == "VM-RELOCATE-10"
        with pytest.raises(ApiError, match="administrators can see the cause") as hidden:
            await submit(store, Order(Operation.RELOCATE, 1, {}), CALLER)
        assert "cd.iso" not in hidden.value.message
        found = await rig.planner.candidates(1)
        assert found.fitting == ()
        other = next(each for each in found.rejected if each.host != found.current)
        assert [(one.lack, one.spare) for one in other.reasons] == [(ReasonCode.REFUSED, CD)]
        (untold,) = (each for each in found.without_tenants().rejected if each.host == other.host)
        assert [one.spare for one in untold.reasons] == [None]
        host = (await vm_row(store, 1))["host_id"]
        plan = (await propose(store, PlanQuestion("drain", 1, host=host)))["told"]
        assert plan["moves"] == []
        assert [(each["reasons"], each["told"]) for each in plan["blocked"]] == [(["FIXED"], CD)]
        driver.fixed = ()
        await seen(store, [])
        assert len((await rig.planner.candidates(1)).fitting) == 1
        assert (await rig.run(1, Operation.RELOCATE, host_id=3 - host))["result"] == "success"


async def test_what_stands_against_a_removal_refuses_an_undeploy_before_it_begins(
    store: Store,
) -> None:
    """Fault D1: the VM goes on running; other operations are as they were."""
    async with deployed(store) as (rig, driver):
        driver.kept = (OVERLAY,)
        await seen(store, [("", OVERLAY)])
        with pytest.raises(ApiError, match=r"/x\.s1") as denied:
            await submit(store, Order(Operation.UNDEPLOY, 1), SEES)
        assert denied.value.code == "VM-121"
        assert (await vm_row(store, 1))["state"] == "ON"
        assert (await rig.run(1, Operation.PAUSE))["result"] == "success"
        driver.kept = ()
        await seen(store, [])
        assert (await rig.run(1, Operation.UNDEPLOY))["result"] == "success"


async def test_what_another_host_once_said_does_not_count(store: Store) -> None:
    """It was of the VM as it was there."""
    async with deployed(store) as (rig, driver):
        driver.fixed = (CD,)
        await seen(store, [(CD, "")])
        async with store.transaction() as c:
            await c.execute("update vm_objection set host = 'elsewhere'")
            driver.fixed = ()
            host = await c.fetchval("select host_id from vm where id = 1")
        assert (await rig.run(1, Operation.RELOCATE, host_id=3 - host))["result"] == "success"
