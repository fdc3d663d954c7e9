"""A lock of somebody else's, or a right we lack, is seen before anything of a removal is begun
(faults D7)."""

import pytest

from drivers.contract import Power, PowerRequest, Remove, VmSpec
from drivers.faults import Fault, Rejected
from tests.drivers.azure_rig import AzureRig, running
from tests.drivers.rigs import closing, permitted

COMPUTE, NETWORK = "providers/Microsoft.Compute", "providers/Microsoft.Network"
PLACES = {
    "the subscription": "/subscriptions/{subscription}",
    "the resource group": "{group}",
    "the VM": f"{{group}}/{COMPUTE}/virtualMachines/vmgate-{{vm}}",
    "an extension of the VM": f"{{group}}/{COMPUTE}/virtualMachines/vmgate-{{vm}}/extensions/x",
    "the disk": f"{{group}}/{COMPUTE}/disks/{{volume}}",
    "the interface": f"{{group}}/{NETWORK}/networkInterfaces/vmgate-{{vm}}",
    "the VM in capitals": f"{{group}}/{COMPUTE}/VIRTUALMACHINES/VMGATE-{{vm}}",
}
ELSEWHERE = {
    "another group": "/subscriptions/{subscription}/resourceGroups/vmgate-other",
    "another VM": f"{{group}}/{COMPUTE}/virtualMachines/vmgate-{{vm}}0",
    "another disk": f"{{group}}/{COMPUTE}/disks/{{volume}}0",
    "a network": f"{{group}}/{NETWORK}/virtualNetworks/lab",
}


@pytest.fixture
async def rig(azure: AzureRig) -> AzureRig:
    return azure


def removal(rig: AzureRig, spec: VmSpec) -> Remove:
    return Remove(spec.vm, rig.at(rig.first), spec.disk.volume)


def lock(rig: AzureRig, spec: VmSpec, place: str, level: str = "CanNotDelete") -> None:
    """Somebody locks a place."""
    group = f"/subscriptions/{rig.arm.subscription}/resourceGroups/vmgate"
    named = {"vm": spec.vm, "volume": spec.disk.volume, "group": group}
    at = place.format(subscription=rig.arm.subscription, **named)
    rig.arm.cloud.locks.add(at, "precious", level)


@pytest.mark.parametrize("level", ["CanNotDelete", "ReadOnly"])
@pytest.mark.parametrize("place", PLACES)
async def test_a_lock_is_named_before_anything_is_begun(
    rig: AzureRig, place: str, level: str
) -> None:
    """By what would be refused, and again by the removal itself, which then deletes nothing."""
    spec = await running(rig)
    lock(rig, spec, PLACES[place], level)
    (told,) = await rig.driver.objections(removal(rig, spec))
    assert f"the lock precious ({level})" in told
    assert all(of.startswith("GET") for of in rig.arm.calls)
    rig.arm.power(f"vmgate-{spec.vm}", "stopped")
    with pytest.raises(Rejected, match="the lock precious"):
        await rig.driver.remove(permitted(), removal(rig, spec))
    assert all(of.startswith("GET") for of in rig.arm.calls)
    rig.arm.cloud.locks.remove("precious")
    assert await rig.driver.objections(removal(rig, spec)) == ()
    await rig.driver.remove(permitted(), removal(rig, spec))
    assert not rig.arm.vms()


@pytest.mark.parametrize("place", ELSEWHERE)
async def test_a_lock_on_something_else_is_nothing_to_us(rig: AzureRig, place: str) -> None:
    spec = await running(rig)
    lock(rig, spec, ELSEWHERE[place])
    assert await rig.driver.objections(removal(rig, spec)) == ()
    await rig.driver.power(permitted(), Power(spec.vm, rig.first, PowerRequest.OFF))
    await rig.driver.remove(permitted(), removal(rig, spec))


async def test_where_locks_may_not_be_read_azure_says_no_by_itself(rig: AzureRig) -> None:
    """The removal goes on where there is none, and where there is one it is refused in Azure's
    words; the VM is there and off then, for its caller to start again."""
    spec = await running(rig)
    rig.arm.rights.grant(["Microsoft.Compute/*", "Microsoft.Network/*"])
    assert await rig.driver.objections(removal(rig, spec)) == ()
    lock(rig, spec, PLACES["the resource group"])
    rig.arm.power(f"vmgate-{spec.vm}", "stopped")
    with pytest.raises(Rejected, match=r"ScopeLocked: .*resourceGroups/vmgate"):
        await rig.driver.remove(permitted(), removal(rig, spec))
    assert rig.arm.vm(f"vmgate-{spec.vm}").power == "stopped"
    rig.arm.cloud.locks.remove("precious")
    await rig.driver.remove(permitted(), removal(rig, spec))


@pytest.mark.parametrize("missing", ["virtualMachines", "disks", "networkInterfaces"])
async def test_a_right_to_delete_that_we_lack_is_named_before(rig: AzureRig, missing: str) -> None:
    spec = await running(rig)
    kinds = {"virtualMachines", "disks", "networkInterfaces"} - {missing}
    rig.arm.rights.grant(["*/read", *(f"*/{kind}/delete" for kind in kinds)])
    (told,) = await rig.driver.objections(removal(rig, spec))
    assert f"{missing}/delete" in told


async def test_only_removals_are_objected_to_and_only_of_what_is_there(rig: AzureRig) -> None:
    spec = await running(rig)
    lock(rig, spec, PLACES["the VM"])
    assert await rig.driver.objections(Power(spec.vm, rig.first, PowerRequest.OFF)) == ()
    rig.arm.vanish(f"vmgate-{spec.vm}")
    assert await rig.driver.objections(removal(rig, spec)) == ()


async def test_who_cannot_look_is_told_so(rig: AzureRig) -> None:
    """Rather than that nothing is in the way."""
    spec = await running(rig)
    rig.arm.faults.add("reply", "GET locks", status=500, times=0)
    async with closing(rig.opened(call_timeout_s=0.2)) as driver:
        with pytest.raises(Fault):
            await driver.objections(removal(rig, spec))
