"""What drivers promise that can pause a VM: it stops where it stands, and goes on from there."""

import pytest

from drivers.contract import PowerRequest, Reset
from drivers.facts import PowerState
from drivers.faults import Rejected
from tests.drivers.creating import not_resized
from tests.drivers.powering import ends_in
from tests.drivers.rigs import Rig, permitted, reported, surveyed

ENDS = (
    (PowerRequest.ON, PowerState.ON),
    (PowerRequest.PAUSE, PowerState.PAUSED),
    (PowerRequest.RESUME, PowerState.ON),
    (PowerRequest.OFF, PowerState.OFF),
    (PowerRequest.ON, PowerState.ON),
    (PowerRequest.PAUSE, PowerState.PAUSED),
    (PowerRequest.OFF, PowerState.OFF),
)
REFUSED = (
    ((), PowerRequest.PAUSE),
    ((), PowerRequest.RESUME),
    ((PowerRequest.ON, PowerRequest.PAUSE), PowerRequest.ON),
    ((PowerRequest.ON, PowerRequest.PAUSE), PowerRequest.SHUTDOWN),
)


class Pausing:
    """Pause and resume."""

    async def test_a_pause_ends_in_its_state_and_so_does_what_follows(self, rig: Rig) -> None:
        await ends_in(rig, await rig.deployed(), ENDS)

    async def test_a_guest_that_was_paused_is_not_booted_anew(self, rig: Rig) -> None:
        spec = await rig.started()
        await rig.power(spec, PowerRequest.PAUSE)
        await rig.power(spec, PowerRequest.RESUME)
        await rig.power(spec, PowerRequest.RESUME)
        await rig.power(spec, PowerRequest.SHUTDOWN)
        assert rig.boots(spec.vm) == 1

    @pytest.mark.parametrize(("before", "request_"), REFUSED)
    async def test_a_request_that_does_not_fit_is_refused(
        self, rig: Rig, before: tuple[PowerRequest, ...], request_: PowerRequest
    ) -> None:
        """It has no effect: a paused VM is not started anew, one that is off stays off."""
        spec = await rig.deployed()
        for each in before:
            await rig.power(spec, each)
        seen = await rig.driver.look(spec.vm, rig.first)
        with pytest.raises(Rejected):
            await rig.power(spec, request_)
        assert await rig.driver.look(spec.vm, rig.first) == seen

    async def test_a_vm_that_is_paused_is_neither_resized_nor_reset(self, rig: Rig) -> None:
        spec = await rig.deployed()
        await rig.power(spec, PowerRequest.ON)
        await rig.power(spec, PowerRequest.PAUSE)
        await not_resized(rig, spec)
        with pytest.raises(Rejected):
            await rig.driver.reset(permitted(), Reset(spec.vm, rig.first))

    async def test_pauses_are_reported(self, rig: Rig) -> None:
        spec, host = await rig.started(), rig.first
        await surveyed(rig.driver, host)
        for request, change in ((PowerRequest.PAUSE, "PAUSED"), (PowerRequest.RESUME, "RESUMED")):
            async with reported(rig.driver, (host, spec.vm, change)):
                await rig.power(spec, request)
