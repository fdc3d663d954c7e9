"""The simulated driver keeps the contract of drivers, and its world outlives it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from drivers.capabilities import HypervisorType
from drivers.contract import Deploy, Verdict
from drivers.faults import Fault, Indeterminate
from drivers.simulated.options import SimulatedOptions
from tests.drivers.contract_suite import CloudContract, DriverContract
from tests.drivers.rigs import closing, made_by, permitted, ticket, until
from tests.drivers.simulated_rig import SimulatedRig

LONG_S = 1000.0


class TestSimulatedCloud(CloudContract):
    kind = HypervisorType.AZURE

    @pytest.fixture
    async def rig(self, tmp_path: Path) -> AsyncIterator[SimulatedRig]:
        rig = SimulatedRig(tmp_path / "world", self.kind)
        async with closing(rig.driver):
            yield rig
        rig.world.close()


class TestSimulated(DriverContract):
    kind = HypervisorType.KVM

    @pytest.fixture
    async def rig(self, tmp_path: Path) -> AsyncIterator[SimulatedRig]:
        rig = SimulatedRig(tmp_path / "world")
        async with closing(rig.driver):
            yield rig
        rig.world.close()

    async def test_a_move_goes_on_while_nobody_looks(self, rig: SimulatedRig) -> None:
        """As in real hypervisors: the process that began it may be dead by then."""
        spec = await rig.deployed()
        permit, order = rig.relocation(spec)
        async with closing(rig.opened(SimulatedOptions(relocation_s=LONG_S))) as driver:
            task = asyncio.create_task(driver.relocate(permit, order))
            await until(lambda: bool(rig.world.rows("select 1 from job")))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.RUNNING
        rig.world.step(LONG_S)
        assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.DONE

    @pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
    async def test_a_planned_fault_comes_before_or_after_the_effect(
        self, rig: SimulatedRig, late: bool
    ) -> None:
        """Only so can tests tell an executor that looks from one that believes."""
        permit = permitted()
        order = Deploy(made_by(permit.task, rig.spec()), rig.at(rig.first))
        rig.world.plan(rig.first, "deploy", "Indeterminate", late=late)
        with pytest.raises(Indeterminate):
            await rig.driver.deploy(permit, order)
        expected = Verdict.DONE if late else Verdict.ABSENT
        assert (await rig.driver.settle(ticket(permit, order))).verdict is expected
        await rig.driver.deploy(permit, order)
        assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.DONE

    @pytest.mark.parametrize("kind", [each.__name__ for each in Fault.__subclasses__()])
    async def test_every_fault_can_be_planned(self, rig: SimulatedRig, kind: str) -> None:
        rig.world.plan(rig.first, "deploy", kind)
        with pytest.raises(Fault) as planned:
            await rig.deployed()
        assert type(planned.value).__name__ == kind
