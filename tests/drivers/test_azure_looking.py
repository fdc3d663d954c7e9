"""What the driver of Azure makes of listings that lack VMs and of states that are not said: nothing
is called off or gone that was not seen to be."""

from contextlib import nullcontext
from uuid import uuid4

import pytest

from drivers.contract import Power, PowerRequest, Reconfigure, Remove, Verdict, VmSpec
from drivers.facts import PowerState
from drivers.faults import Busy, Indeterminate, Rejected, Unreachable
from tests.drivers.azure_rig import AzureRig, running
from tests.drivers.rigs import closing, permitted, surveyed, ticket


@pytest.fixture
async def rig(azure: AzureRig) -> AzureRig:
    return azure


LIES = ["empty", "partial", "stale"]


@pytest.mark.parametrize("lie", LIES)
async def test_a_listing_that_lacks_a_vm_takes_nothing_away(rig: AzureRig, lie: str) -> None:
    """Each VM is asked for by itself; only its own 404 says that it is gone."""
    specs = [await running(rig) for _ in range(3)]
    expected = {spec.vm for spec in specs}
    assert {vm.vm for vm in (await surveyed(rig.driver, rig.first)).vms} == expected
    for of in ("GET statusOnly", "GET all vms"):
        rig.arm.faults.add(lie, of, times=0)
    await surveyed(rig.driver, rig.first)
    rig.arm.vanish(f"vmgate-{specs[0].vm}")
    rig.arm.deallocate(f"vmgate-{specs[1].vm}")
    seen = {vm.vm: vm.state for vm in (await surveyed(rig.driver, rig.first)).vms}
    if lie != "stale":
        assert seen.keys() == expected - {specs[0].vm}
    assert seen[specs[2].vm] is PowerState.ON
    assert await rig.driver.look(specs[0].vm, rig.first) is None
    rig.arm.faults.clear()
    seen = {vm.vm: vm.state for vm in (await surveyed(rig.driver, rig.first)).vms}
    assert seen == {specs[1].vm: PowerState.OFF, specs[2].vm: PowerState.ON}


async def test_a_vm_that_cannot_be_asked_for_is_there_and_unknown(
    rig: AzureRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where more VMs are lacking than are asked for in one survey."""
    specs = [await running(rig) for _ in range(3)]
    await surveyed(rig.driver, rig.first)
    rig.arm.faults.add("empty", "GET statusOnly", times=0)
    rig.arm.faults.add("empty", "GET all vms", times=0)
    monkeypatch.setattr("drivers.azure.survey.SINGLES_MAX", 1)
    states = [vm.state for vm in (await surveyed(rig.driver, rig.first)).vms]
    assert len(states) == len(specs)
    assert states.count(PowerState.UNKNOWN) == 2
    assert PowerState.OFF not in states


@pytest.mark.parametrize("lie", ["nopower", "creating"])
async def test_a_state_that_is_not_said_is_not_made_up(rig: AzureRig, lie: str) -> None:
    """Nothing is deleted, resized or called off while Azure does not say how the VM is."""
    spec = await running(rig)
    for of in ("GET vm", "GET statusOnly", "GET all vms"):
        rig.arm.faults.add(lie, of, times=0)
    seen = await rig.driver.look(spec.vm, rig.first)
    assert seen is not None
    assert seen.state is (PowerState.UNKNOWN if lie == "nopower" else PowerState.ON)
    (listed,) = (await surveyed(rig.driver, rig.first)).vms
    assert listed == seen
    rig.arm.forget_calls()
    bigger = VmSpec(spec.vm, spec.name, 2, 32, spec.disk, spec.nics)
    off = Power(spec.vm, rig.first, PowerRequest.OFF)
    remove = Remove(spec.vm, rig.at(rig.first), spec.disk.volume)
    async with closing(rig.impatient()) as driver:
        for call in (
            driver.remove(permitted(), remove),
            driver.reconfigure(permitted(), Reconfigure(bigger, rig.first)),
            driver.power(permitted(), off),
        ):
            with pytest.raises((Busy, Rejected)):
                await call
        with pytest.raises(Indeterminate) if lie == "nopower" else nullcontext():
            outcome = await driver.settle(ticket(permitted(), off))
            assert outcome.verdict is Verdict.RUNNING
    assert all(of.startswith("GET") for of in rig.arm.calls)


async def test_only_the_vm_s_own_404_says_that_it_is_gone(rig: AzureRig) -> None:
    """Not that of its resource group, which may be a wrong word in a configuration."""
    async with closing(rig.opened(resource_group="no-such-group")) as driver:
        with pytest.raises(Unreachable, match="ResourceGroupNotFound"):
            await driver.look(uuid4(), rig.first)


async def test_a_vm_without_our_mark_is_not_touched(rig: AzureRig) -> None:
    """Somebody took the tags away."""
    spec = await rig.deployed()
    rig.arm.vm(f"vmgate-{spec.vm}").body["tags"].clear()
    remove = Remove(spec.vm, rig.at(rig.first), spec.disk.volume)
    with pytest.raises(Rejected, match="not created by vmgate"):
        await rig.driver.remove(permitted(), remove)
    assert f"vmgate-{spec.vm}" in rig.arm.vms()
