"""What drivers promise about power: a request ends in its state, and repeating is harmless."""

import asyncio
from uuid import uuid4

import pytest

from drivers.contract import Permit, Power, PowerRequest, Reset, Verdict, VmSpec
from drivers.facts import PowerState
from drivers.faults import Indeterminate, Rejected
from tests.drivers.rigs import (
    PATIENCE_S,
    Rig,
    permitted,
    reported,
    surveyed,
    ticket,
    until,
)

ENDS = (
    (PowerRequest.ON, PowerState.ON),
    (PowerRequest.OFF, PowerState.OFF),
    (PowerRequest.ON, PowerState.ON),
    (PowerRequest.SHUTDOWN, PowerState.OFF),
)
Ends = tuple[tuple[PowerRequest, PowerState], ...]


async def ends_in(rig: Rig, spec: VmSpec, ends: Ends) -> None:
    """Each request ends in its state: absent before, done afterwards, the same when asked twice."""
    boots = 0
    for request, state in ends:
        permit, order = permitted(), Power(spec.vm, rig.first, request, 10.0)
        assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.ABSENT
        for _ in range(2):
            await rig.driver.power(permit, order)
            outcome = await rig.driver.settle(ticket(permit, order))
            assert outcome.verdict is Verdict.DONE, request
            assert outcome.sighting is not None
            assert outcome.sighting.state is state
        if request is PowerRequest.ON:
            boots += 1
            await rig.guest_is_up(spec.vm, boots)


class Powering:
    """On, off, shutdown and reset; and what the host reports of them."""

    async def test_each_request_ends_in_its_state(self, rig: Rig) -> None:
        await ends_in(rig, await rig.deployed(), ENDS)

    async def test_asking_twice_does_not_boot_twice(self, rig: Rig) -> None:
        spec = await rig.started()
        await rig.power(spec, PowerRequest.ON)
        await rig.power(spec, PowerRequest.SHUTDOWN)
        assert rig.boots(spec.vm) == 1

    async def test_a_guest_that_listens_shuts_itself_down(self, rig: Rig) -> None:
        """The call returns once it is off, and asking again is harmless."""
        spec = await rig.started()
        permit = permitted()
        order = Power(spec.vm, rig.first, PowerRequest.SHUTDOWN, grace_s=10.0)
        assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.ABSENT
        for _ in range(2):
            await rig.driver.power(permit, order)
            outcome = await rig.driver.settle(ticket(permit, order))
            assert outcome.verdict is Verdict.DONE
            assert outcome.sighting is not None
            assert outcome.sighting.state is PowerState.OFF

    async def test_a_guest_that_does_not_listen_is_left_on_unless_forced(self, rig: Rig) -> None:
        """Without force a shutdown says no after its grace; with force it pulls the plug."""
        spec = await rig.started_deaf()
        permit = permitted()
        order = Power(spec.vm, rig.first, PowerRequest.SHUTDOWN, grace_s=0.2)
        with pytest.raises(Rejected):
            await rig.driver.power(permit, order)
        outcome = await rig.driver.settle(ticket(permit, order))
        assert outcome.verdict is Verdict.ABSENT
        assert outcome.sighting is not None
        assert outcome.sighting.state is PowerState.ON
        forced = Power(spec.vm, rig.first, PowerRequest.SHUTDOWN, grace_s=0.2, force=True)
        await rig.driver.power(permit, forced)
        assert (await rig.driver.settle(ticket(permit, forced))).verdict is Verdict.DONE

    async def test_a_reset_boots_the_guest_anew_and_leaves_no_trace(self, rig: Rig) -> None:
        """Nobody can tell by looking whether a reset happened, and settling says so."""
        spec = await rig.started()
        before = await rig.driver.look(spec.vm, rig.first)
        permit, order = permitted(), Reset(spec.vm, rig.first)
        with pytest.raises(Indeterminate):
            await rig.driver.settle(ticket(permit, order))
        await rig.driver.reset(permit, order)
        with pytest.raises(Indeterminate):
            await rig.driver.settle(ticket(permit, order))
        await rig.guest_is_up(spec.vm, 2)
        assert await rig.driver.look(spec.vm, rig.first) == before

    async def test_a_vm_that_does_not_run_is_not_reset(self, rig: Rig) -> None:
        spec = await rig.deployed()
        with pytest.raises(Rejected):
            await rig.driver.reset(permitted(), Reset(spec.vm, rig.first))

    async def test_a_shutdown_lost_sight_of_is_unclear(self, rig: Rig) -> None:
        """The guest was asked already, so nobody may say that nothing was begun."""
        spec = await rig.started_deaf()
        asked: list[None] = []
        permit = Permit(uuid4(), "step", lambda: asked.append(None))
        order = Power(spec.vm, rig.first, PowerRequest.SHUTDOWN, grace_s=PATIENCE_S)
        task = asyncio.create_task(rig.driver.power(permit, order))
        await until(lambda: bool(asked))
        await surveyed(rig.driver, rig.first)
        await rig.cut(rig.first)
        with pytest.raises(Indeterminate):
            await task

    async def test_starts_and_stops_are_reported(self, rig: Rig) -> None:
        """By whatever means: also when the guest went down by itself."""
        spec, host = await rig.deployed(), rig.first
        await surveyed(rig.driver, host)
        async with reported(rig.driver, (host, spec.vm, "STARTED")):
            await rig.power(spec, PowerRequest.ON)
        await rig.guest_is_up(spec.vm, 1)
        for request, change in ((PowerRequest.OFF, "STOPPED"), (PowerRequest.ON, "STARTED")):
            async with reported(rig.driver, (host, spec.vm, change)):
                await rig.power(spec, request)
        await rig.guest_is_up(spec.vm, 2)
        async with reported(rig.driver, (host, spec.vm, "STOPPED")):
            await rig.power(spec, PowerRequest.SHUTDOWN)
