"""What the driver of Azure promises of a change of size: the VM keeps its compute where it can, a
refusal leaves the size that it had, and says how the VM is now."""

from collections.abc import Mapping
from typing import Any

import pytest

from drivers.contract import Power, PowerRequest, Reconfigure, Verdict, VmSpec
from drivers.faults import Indeterminate, Rejected
from tests.drivers.azure_rig import AzureRig
from tests.drivers.rigs import closing, permitted, ticket

TWO = ("Standard_B2s", "Standard_D2s_v3")
"""The sizes of the rig with two vCPUs."""


@pytest.fixture
async def rig(azure: AzureRig) -> AzureRig:
    return azure


async def stopped(rig: AzureRig) -> tuple[VmSpec, Reconfigure, str]:
    """A VM that is off and still has its compute, what it shall become, and its name."""
    spec = await rig.deployed()
    rig.arm.forget_calls()
    return spec, bigger(rig, spec), f"vmgate-{spec.vm}"


def bigger(rig: AzureRig, spec: VmSpec) -> Reconfigure:
    """The VM with two vCPUs."""
    return Reconfigure(VmSpec(spec.vm, spec.name, 2, 32, spec.disk, spec.nics), rig.first)


def shown(rig: AzureRig, name: str) -> tuple[str, str, int]:
    """A VM's power, size and boots as they are."""
    vm = rig.arm.vm(name)
    return vm.power, vm.size, vm.boots


async def test_a_vm_keeps_its_compute_where_its_hardware_has_the_size(rig: AzureRig) -> None:
    """Nothing is given up for it: neither its place nor its address."""
    _, order, name = await stopped(rig)
    await rig.driver.reconfigure(permitted(), order)
    assert shown(rig, name) == ("stopped", "Standard_B2s", 1)
    assert (rig.arm.calls["PATCH vm"], rig.arm.calls["POST deallocate"]) == (1, 0)


async def test_another_size_on_the_same_hardware_is_better_than_none(rig: AzureRig) -> None:
    """The smallest one would cost the VM its compute."""
    rig.arm.sizes.elsewhere.add("Standard_B2s")
    _, order, name = await stopped(rig)
    await rig.driver.reconfigure(permitted(), order)
    assert shown(rig, name) == ("stopped", "Standard_D2s_v3", 1)


@pytest.mark.parametrize("stale", [False, True], ids=["said before", "said when asked"])
async def test_a_vm_whose_hardware_has_no_such_size_is_deallocated_for_it(
    rig: AzureRig, stale: bool
) -> None:
    """Also when the list was wrong, or the hardware filled up meanwhile."""
    _, order, name = await stopped(rig)
    if stale:
        rig.arm.faults.add("reply", "PATCH vm", status=409, code="OperationNotAllowed", times=2)
    else:
        rig.arm.sizes.elsewhere.update(TWO)
    permit = permitted()
    await rig.driver.reconfigure(permit, order)
    assert shown(rig, name) == ("deallocated", "Standard_B2s", 1)
    assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.DONE
    assert rig.arm.calls["POST deallocate"] == 1


@pytest.mark.parametrize("quota", ["cores", "standardBSFamily"])
async def test_a_quota_is_asked_before_the_compute_is_given_up(rig: AzureRig, quota: str) -> None:
    """As it is now, not as it was two minutes ago; what is missing is said, and nothing changes."""
    rig.arm.sizes.elsewhere.update(TWO)
    rig.arm.sizes.set_limit("eastus", "standardDSv3Family", 0)
    _, order, name = await stopped(rig)
    async with closing(rig.opened(quota_each_s=600.0)) as driver:
        await driver.survey("azure")
        rig.arm.sizes.set_limit("eastus", quota, 1)
        with pytest.raises(Rejected, match=r"0 vCPUs left of its quota.*The VM is as it was: off"):
            await driver.reconfigure(permitted(), order)
    assert shown(rig, name) == ("stopped", "Standard_B1s", 1)
    assert all(of.startswith("GET") for of in rig.arm.calls)


REFUSALS: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("reply", {"status": 409, "code": "SkuNotAvailable"}),
    ("reply", {"status": 400, "code": "InvalidParameter"}),
    ("fail", {"code": "AllocationFailed"}),
    ("fail", {"code": "InternalExecutionError"}),
)


@pytest.mark.parametrize(("how", "words"), REFUSALS, ids=lambda each: str(each))
@pytest.mark.parametrize("allocated", [True, False], ids=["where it is", "deallocated for it"])
async def test_a_refusal_leaves_the_size_and_says_how_the_vm_is(
    rig: AzureRig, how: str, words: Mapping[str, Any], allocated: bool
) -> None:
    """Nobody boots the guest. The old size is asked for where a failed change left the new one."""
    if not allocated:
        rig.arm.sizes.elsewhere.update(TWO)
    spec, order, name = await stopped(rig)
    for size in TWO:
        rig.arm.faults.add(how, "PATCH vm", times=0, size=size, **words)
    permit = permitted()
    with pytest.raises(Rejected, match=words["code"]) as refused:
        await rig.driver.reconfigure(permit, order)
    power, size, boots = shown(rig, name)
    assert (size, boots) == ("Standard_B1s", 1)
    assert power == ("deallocated" if "deallocated now" in refused.value.message else "stopped")
    if not allocated:
        assert power == "deallocated"
    seen = await rig.driver.look(spec.vm, rig.first)
    assert seen is not None
    assert (seen.cpu, seen.ram_mib) == (spec.cpu, spec.ram_mib)
    assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.ABSENT
    rig.arm.faults.clear()
    async with closing(rig.opened()) as another:  # which remembers no refusal
        for request in (PowerRequest.ON, PowerRequest.OFF):
            await another.power(permitted(), Power(spec.vm, rig.first, request))
        await another.reconfigure(permitted(), order)


async def test_a_change_that_failed_while_nobody_watched_is_not_taken_for_done(
    rig: AzureRig,
) -> None:
    """Azure shows the new size all the same; going back takes it away again."""
    spec, order, name = await stopped(rig)
    rig.arm.faults.add("fail", "PATCH vm", code="InternalExecutionError")
    kept: list[str] = []
    permit = permitted()
    async with closing(rig.opened(silence_s=0.1)) as dying:
        deaf = rig.arm.faults.add("drop", "GET poll", times=0)
        with pytest.raises(Indeterminate):
            await dying.reconfigure(rig.keeping(permit, kept), order)
        deaf.release()
    outcome = await rig.driver.settle(rig.kept(permit, order, kept))
    while outcome.verdict is Verdict.RUNNING:
        outcome = await rig.driver.settle(rig.kept(permit, order, kept))
    assert rig.arm.vm(name).size == "Standard_B2s"
    assert outcome.verdict is Verdict.FAILED
    assert "InternalExecutionError" in outcome.reason
    back = Reconfigure(spec, rig.first)
    await rig.driver.reconfigure(permit, back)
    assert (await rig.driver.settle(ticket(permit, back))).verdict is Verdict.DONE
    assert rig.arm.vm(name).size == "Standard_B1s"
