"""What each piece of work asks of a vCenter, counted by the vCenter, is what docs/drivers.md says,
however many other VMs there are."""

from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from drivers.contract import (
    Deploy,
    Order,
    Power,
    PowerRequest,
    Reconfigure,
    Relocate,
    Remove,
    Reset,
    VmSpec,
)
from drivers.esxi.driver import EsxiDriver
from tests.drivers.rigs import closing, made_by, permitted, surveyed, ticket
from tests.drivers.trouble import call
from tests.drivers.vsphere_rig import VsphereRig

DOCS = Path(__file__).parents[2] / "docs/drivers.md"
SPARED_MAX = 3
"""Looks that are spared where a task ends at once, or where nothing is new in a survey."""
LONG_S = 60.0
WATCH = "WaitForUpdatesEx"
CHECK = "CheckRelocate_Task"
"""Of the tasks the one that changes nothing."""
Cost = Counter[str]


def stated() -> dict[str, int]:
    """The table of the documentation."""
    text = DOCS.read_text(encoding="utf-8").partition("<!-- calls -->\n")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[2:]]
    return {name: int(calls) for name, calls, _ in rows}


@pytest.fixture
async def rig(vsphere: VsphereRig) -> VsphereRig:
    return vsphere


async def cost(rig: VsphereRig, work: Awaitable[object]) -> Cost:
    """What a piece of work took, the watch's own waiting aside."""
    rig.vc.forget_calls()
    await work
    return Counter({name: n for name, n in rig.vc.calls().items() if name != WATCH})


class Life:
    """One VM from its making to its end, and what each step took."""

    def __init__(self, rig: VsphereRig, driver: EsxiDriver) -> None:
        self._rig = rig
        self._driver = driver
        self._spec = rig.spec()
        self.costs: dict[str, Cost] = {}

    async def lived(self) -> dict[str, Cost]:
        """All of it."""
        rig = self._rig
        permit = permitted()
        self._spec = made_by(permit.task, self._spec)
        deploy = Deploy(self._spec, rig.at(rig.first))
        await self._step("deploy", lambda: self._driver.deploy(permit, deploy))
        await self._step("settle", lambda: self._driver.settle(ticket(permit, deploy)))
        await self._step("look", lambda: self._driver.look(self._spec.vm, rig.first))
        await self._step("survey", lambda: self._driver.survey("lab"))
        larger = VmSpec(self._spec.vm, self._spec.name, 2, 32, self._spec.disk, self._spec.nics)
        await self._order("reconfigure", Reconfigure(larger, rig.first))
        await self._order("power", Power(larger.vm, rig.first, PowerRequest.ON))
        await self._order("reset", Reset(larger.vm, rig.first))
        volume = larger.disk.volume
        there = Relocate(larger, rig.at(rig.first), rig.at(rig.second), volume)
        await self._order("relocate", there)
        await self._order("off", Power(larger.vm, rig.second, PowerRequest.OFF))
        await self._order("remove", Remove(larger.vm, rig.at(rig.second), volume))
        self.costs.pop("off")  # as `power`
        return self.costs

    async def _order(self, name: str, order: Order) -> None:
        await self._step(name, lambda: call(self._driver, permitted(), order))

    async def _step(self, name: str, work: Callable[[], Awaitable[object]]) -> None:
        self.costs[name] = await cost(self._rig, work())


async def test_a_piece_of_work_costs_what_is_said(rig: VsphereRig) -> None:
    """Alone, and beside others: no call for each VM or host, and one change in each verb."""
    async with closing(rig.opened(poll_s=LONG_S)) as driver:
        await surveyed(driver, rig.first)
        for others in (0, 4):
            for _ in range(others):
                await rig.deployed()
            await surveyed(driver, rig.first)  # the marks of those are read here
            costs = await Life(rig, driver).lived()
            assert costs.keys() == stated().keys()
            for name, calls in stated().items():
                assert calls - SPARED_MAX <= costs[name].total() <= calls, (name, costs[name])
                changes = [each for each in costs[name] if each.endswith("_Task") and each != CHECK]
                wanted = 0 if name in ("settle", "look", "survey") else 1
                assert len(changes) == wanted, (name, changes)
                assert all(costs[name][each] == 1 for each in changes)


async def test_the_first_survey_reads_configurations_with_the_list(rig: VsphereRig) -> None:
    """10,000 new VMs are not named one by one; those that are made later are, and both are the
    same to see."""
    before = await rig.deployed()
    async with closing(rig.opened()) as driver:
        took = await cost(rig, surveyed(driver, rig.first))
        assert took["RetrievePropertiesEx"] == 1
        after = await rig.deployed()
        took = await cost(rig, surveyed(driver, rig.first))
        assert took["RetrievePropertiesEx"] == 2
        facts = await surveyed(driver, rig.first)
    seen = {vm.vm: vm for vm in facts.vms}
    for spec in (before, after):
        found = seen[spec.vm]
        assert (found.cpu, found.ram_mib) == (spec.cpu, spec.ram_mib)
        assert found.volumes == (spec.disk.volume,)
        assert found.task is not None
