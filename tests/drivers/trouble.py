"""What drivers promise when things go wrong: nothing happens without a permit, and a host that is
gone, frozen or new to us is said to be unreachable, never to be empty."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from drivers.capabilities import Capabilities
from drivers.contract import (
    Clear,
    Deploy,
    Driver,
    LeaseLost,
    Order,
    Permit,
    Power,
    PowerRequest,
    Reconfigure,
    Redeploy,
    Relocate,
    Remove,
    Reset,
    Verdict,
    VmSpec,
)
from drivers.facts import PowerState
from drivers.faults import Fault, Indeterminate, Missing, Rejected, Unreachable
from tests.drivers.rigs import Rig, closing, permitted, permitted_times, surveyed, ticket

QUICK_S = 5.0
PATIENT_S = 2.5
"""What half a second of patience may become on a computer that is busy."""


def call(driver: Driver, permit: Permit, order: Order) -> Awaitable[None]:
    """The verb of the order."""
    verb: Callable[[Permit, Order], Awaitable[None]] = getattr(driver, type(order).__name__.lower())
    return verb(permit, order)


def orders_for(rig: Rig, spec: VmSpec, first: str, second: str) -> list[Order]:
    """One of every verb, with every power request, as far as the driver promises to do it."""
    here, there = rig.at(first), rig.at(second)
    own, others = rig.at(first, shared=False), rig.at(second, shared=False)
    bigger = VmSpec(spec.vm, spec.name, 2, 32, spec.disk, spec.nics)
    orders: list[Order] = [
        *(Power(spec.vm, first, request) for request in PowerRequest),
        Reset(spec.vm, first),
        Redeploy(spec.vm, first),
        Reconfigure(bigger, first),
        Relocate(spec, here, there, spec.disk.volume),
        Relocate(spec, own, others, f"{spec.vm}-old"),
        Remove(spec.vm, here, spec.disk.volume),
    ]
    return [order for order in orders if promised(rig.driver.capabilities, order)]


def promised(can: Capabilities, order: Order) -> bool:
    """Whether a driver with these capabilities promises to do this."""
    match order:
        case Power(request=PowerRequest.PAUSE | PowerRequest.RESUME):
            return can.pause
        case Relocate() | Clear():
            return can.relocation
        case Redeploy():
            return can.redeploy
        case _:
            return True


class Trouble:
    """Permits, missing VMs, and hosts that are unknown, cut off, frozen or without power."""

    @pytest.mark.parametrize("before", [(), (PowerRequest.ON,)], ids=["off", "on"])
    async def test_without_a_permit_no_verb_has_an_effect(
        self, rig: Rig, before: tuple[PowerRequest, ...]
    ) -> None:
        """However late the lease was lost, LeaseLost comes through and nothing has changed."""
        spec = await rig.deployed()
        for request in before:
            await rig.power(spec, request)
        seen = await rig.driver.look(spec.vm, rig.first)
        new = Deploy(rig.spec(), rig.at(rig.second))
        clear = Clear(spec.vm, rig.at(rig.second), rig.first, spec.disk.volume)
        clears = [clear] if promised(rig.driver.capabilities, clear) else []
        for order in [new, *clears, *orders_for(rig, spec, rig.first, rig.second)]:
            with pytest.raises(LeaseLost):
                await call(rig.driver, permitted_times(uuid4(), 0), order)
            assert await rig.driver.look(spec.vm, rig.first) == seen
        if rig.driver.capabilities.relocation:
            move, lost = rig.relocation(spec)[1], permitted_times(uuid4(), 0)
            with pytest.raises(LeaseLost):
                await rig.driver.cancel(lost, ticket(lost, move))
        assert await rig.everything(rig.second) == set()
        assert await rig.volumes(rig.at(rig.first)) == {spec.disk.volume}
        assert await rig.volumes(rig.at(rig.second, shared=False)) == set()

    async def test_a_vm_that_is_not_there_is_missing(self, rig: Rig) -> None:
        """No verb invents it, and settling says that it is not there."""
        spec = rig.spec()
        for order in orders_for(rig, spec, rig.first, rig.second):
            if isinstance(order, Relocate | Remove):
                continue  # a move says it differently, see Moving; removing is done already
            with pytest.raises((Missing, Rejected)):
                await call(rig.driver, permitted(), order)
        for order in orders_for(rig, spec, rig.first, rig.second):
            if isinstance(order, Power | Reconfigure):
                outcome = await rig.driver.settle(ticket(permitted(), order))
                assert (outcome.verdict, outcome.sighting) == (Verdict.FAILED, None)
        assert await rig.everything(rig.first) | await rig.everything(rig.second) == set()

    async def test_an_unknown_host_is_unreachable(self, rig: Rig) -> None:
        """For every verb, look and settling; also a host that was known before."""
        spec = await rig.deployed()
        async with closing(rig.impatient()) as driver:
            driver.detach(rig.first)
            assert list(driver.endpoints().values()) == [(rig.second,)]
            for host in (rig.first, "nowhere"):
                await self._nobody_answers(rig, driver, spec, host)
        assert await rig.driver.look(spec.vm, rig.first) is not None

    async def test_a_host_that_is_cut_off_is_unreachable_until_it_is_back(self, rig: Rig) -> None:
        """Quickly, for everything; the other host goes on. Nobody was started or stopped."""
        spec = await rig.started()
        await surveyed(rig.driver, rig.first)
        await rig.cut(rig.first)
        began_s = time.monotonic()
        await self._nobody_answers(rig, rig.driver, spec, rig.first)
        assert time.monotonic() - began_s < QUICK_S
        await rig.others_answer(rig.driver)
        await rig.mend(rig.first)
        seen = await rig.driver.look(spec.vm, rig.first)
        assert seen is not None
        assert seen.state is PowerState.ON
        await rig.power(spec, PowerRequest.SHUTDOWN)
        assert rig.boots(spec.vm) == 1

    async def test_a_frozen_host_delays_nobody_else(self, rig: Rig) -> None:
        """Calls to it end within their time; the other host answers meanwhile; it is as before
        when it thaws."""
        spec = await rig.started()
        async with closing(rig.impatient()) as driver:
            before = await driver.look(spec.vm, rig.first)
            await rig.others_answer(driver)
            await rig.freeze(rig.first)
            began_s = time.monotonic()
            stuck = [asyncio.create_task(driver.look(spec.vm, rig.first)) for _ in range(12)]
            for _ in range(5):
                await rig.others_answer(driver)
            assert not any(task.done() for task in stuck)
            ended = await asyncio.gather(*stuck, return_exceptions=True)
            assert time.monotonic() - began_s < PATIENT_S
            assert {type(each) for each in ended} == {Unreachable}
            await rig.thaw(rig.first)
            await answering(driver, rig.first)
            assert await driver.look(spec.vm, rig.first) == before

    async def test_a_call_given_up_on_a_frozen_host_is_no_more_than_unclear(self, rig: Rig) -> None:
        """Unreachable if it surely did not begin, else Indeterminate; never a refusal, from
        which a saga would conclude that nothing will come of it."""
        spec = await rig.started()
        off = Power(spec.vm, rig.first, PowerRequest.OFF)
        async with closing(rig.impatient()) as driver:
            await answering(driver, rig.first)
            await driver.power(permitted(), Power(spec.vm, rig.first, PowerRequest.ON))
            await rig.freeze(rig.first)
            began_s = time.monotonic()
            with pytest.raises((Unreachable, Indeterminate)) as unclear:
                await driver.power(permitted(), off)
            with pytest.raises((Unreachable, Indeterminate)):
                await driver.settle(ticket(permitted(), off))
            assert time.monotonic() - began_s < 2 * PATIENT_S
            await rig.thaw(rig.first)
            await answering(driver, rig.first)
            seen = await rig.driver.look(spec.vm, rig.first)
            assert seen is not None
            if isinstance(unclear.value, Unreachable):
                assert seen.state is PowerState.ON

    async def test_after_a_power_loss_a_vm_is_off_and_the_same(self, rig: Rig) -> None:
        """It lost its power, not its definition, nor its disk, and starts again."""
        spec = await rig.started()
        before = await rig.driver.look(spec.vm, rig.first)
        await rig.lose_power(rig.first)
        with pytest.raises(Unreachable):
            await rig.driver.look(spec.vm, rig.first)
        await rig.boot(rig.first)
        seen = await rig.driver.look(spec.vm, rig.first)
        assert before is not None
        assert seen is not None
        assert seen.state is PowerState.OFF
        assert (seen.task, seen.name, seen.volumes) == (before.task, before.name, before.volumes)
        assert (seen.cpu, seen.ram_mib) == (before.cpu, before.ram_mib)
        await rig.power(spec, PowerRequest.ON)
        await rig.guest_is_up(spec.vm, 2)

    async def _nobody_answers(self, rig: Rig, driver: Driver, spec: VmSpec, host: str) -> None:
        with pytest.raises(Unreachable):
            await surveyed(driver, host)
        with pytest.raises(Unreachable):
            await driver.look(spec.vm, host)
        deploy = Deploy(rig.spec(), rig.at(host))
        clear = Clear(spec.vm, rig.at(host), rig.second)
        for order in [deploy, *orders_for(rig, spec, host, rig.second)]:
            with pytest.raises((Unreachable, Indeterminate)) as lost:
                await call(driver, permitted(), order)
            assert isinstance(lost.value, Unreachable) or isinstance(order, Relocate)
            with pytest.raises(Fault) as unseen:
                await driver.settle(ticket(permitted(), order))
            assert isinstance(unseen.value, Unreachable) or isinstance(order, Reset | Redeploy)
        if promised(driver.capabilities, clear):
            with pytest.raises((Unreachable, Rejected)):
                await call(driver, permitted(), clear)


async def answering(driver: Driver, host: str) -> None:
    """Wait until a host that was frozen answers; calls given up may be before ours."""
    async with asyncio.timeout(QUICK_S):
        while True:
            try:
                await surveyed(driver, host)
            except Unreachable:
                continue
            return
