"""What drivers promise of what they cannot do: it is refused before anything is begun."""

import pytest

from drivers.contract import Clear, Order, Power, PowerRequest, Redeploy, Relocate
from drivers.faults import Fault, Rejected, Unsupported
from tests.drivers.rigs import Rig, permitted_times
from tests.drivers.trouble import call, promised


class Refusing:
    """Verbs beyond the capabilities."""

    async def test_what_is_not_promised_is_refused_and_has_no_effect(self, rig: Rig) -> None:
        """Not even a permit is asked for; nothing is begun that would need one."""
        spec = await rig.started()
        seen = await rig.driver.look(spec.vm, rig.first)
        here, there = rig.at(rig.first), rig.at(rig.second)
        orders: list[Order] = [
            Power(spec.vm, rig.first, PowerRequest.PAUSE),
            Power(spec.vm, rig.first, PowerRequest.RESUME),
            Redeploy(spec.vm, rig.first),
            Relocate(spec, here, there, spec.disk.volume),
            Clear(spec.vm, there, rig.first, spec.disk.volume),
        ]
        can = rig.driver.capabilities
        refused: list[Fault] = []
        for order in (each for each in orders if not promised(can, each)):
            with pytest.raises((Unsupported, Rejected)) as why:
                await call(rig.driver, permitted_times(spec.vm, 0), order)
            refused.append(why.value)
        assert len(refused) == 2 * (not can.pause) + (not can.redeploy) + 2 * (not can.relocation)
        assert await rig.driver.look(spec.vm, rig.first) == seen
        assert rig.boots(spec.vm) == 1
