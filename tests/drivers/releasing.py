"""What drivers promise of clouds: compute is given back only when asked, VMs move by themselves."""

import pytest

from drivers.contract import Power, PowerRequest, Redeploy, Verdict
from drivers.facts import PowerState, Sighting
from drivers.faults import Indeterminate, Missing, Rejected
from tests.drivers.rigs import Rig, permitted, surveyed, ticket


async def shown(rig: Rig, vm: Sighting) -> Sighting:
    """The VM as a survey shows it."""
    (found,) = [each for each in (await surveyed(rig.driver, rig.first)).vms if each.vm == vm.vm]
    return found


class Releasing:
    """Deallocation and redeploy."""

    @pytest.mark.parametrize("request_", [PowerRequest.OFF, PowerRequest.SHUTDOWN])
    @pytest.mark.parametrize("before", [None, PowerRequest.SHUTDOWN], ids=["on", "off"])
    async def test_compute_is_given_back_when_that_is_asked_for_and_not_before(
        self, rig: Rig, request_: PowerRequest, before: PowerRequest | None
    ) -> None:
        """M-076, M-077: being off is not enough; and it is seen by look, survey and settle."""
        spec = await rig.started()
        if before is not None:
            await rig.power(spec, before)
            off = await rig.driver.look(spec.vm, rig.first)
            assert off is not None
            assert (off.state, off.deallocated) == (PowerState.OFF, False)
        permit, order = permitted(), Power(spec.vm, rig.first, request_, 10.0, release=True)
        assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.ABSENT
        for _ in range(2):
            await rig.driver.power(permit, order)
            outcome = await rig.driver.settle(ticket(permit, order))
            assert outcome.verdict is Verdict.DONE
            assert outcome.sighting is not None
            assert (outcome.sighting.state, outcome.sighting.deallocated) == (PowerState.OFF, True)
            assert await shown(rig, outcome.sighting) == outcome.sighting
        await rig.power(spec, PowerRequest.OFF)
        gone = await rig.driver.look(spec.vm, rig.first)
        assert gone is not None
        assert gone.deallocated
        await rig.power(spec, PowerRequest.ON)
        on = await rig.driver.look(spec.vm, rig.first)
        assert on is not None
        assert (on.state, on.deallocated) == (PowerState.ON, False)

    async def test_a_redeployed_vm_is_booted_anew_where_it_was(self, rig: Rig) -> None:
        """What names it, and what it is, stays; nobody can tell by looking that it happened."""
        spec = await rig.started()
        before = await rig.driver.look(spec.vm, rig.first)
        permit, order = permitted(), Redeploy(spec.vm, rig.first)
        with pytest.raises(Indeterminate):
            await rig.driver.settle(ticket(permit, order))
        await rig.driver.redeploy(permit, order)
        await rig.guest_is_up(spec.vm, 2)
        assert await rig.driver.look(spec.vm, rig.first) == before

    async def test_a_vm_that_is_nowhere_is_not_redeployed(self, rig: Rig) -> None:
        with pytest.raises((Missing, Rejected)):
            await rig.driver.redeploy(permitted(), Redeploy(rig.spec().vm, rig.first))
