"""The role of the docs is enough for every verb, each right of it is needed, and one that is
missing is named: on the simulator, which asks for rights as the documentation says."""

import json
import subprocess
import sys

import pytest
from msgspec.structs import replace

from drivers.azure.driver import AzureDriver
from drivers.azure.role import ACTIONS
from drivers.contract import Deploy, Power, PowerRequest, Reconfigure, Redeploy, Remove, Reset
from drivers.faults import Fault
from tests.drivers.azure_rig import AzureRig, new_vm
from tests.drivers.creating import resized
from tests.drivers.rigs import closing, permitted, surveyed

IMAGES = (
    "Canonical:ubuntu-24_04-lts:server:latest",
    "{group}/providers/Microsoft.Compute/images/ours",
    "{group}/providers/Microsoft.Compute/galleries/g/images/ours/versions/1.0.0",
)


@pytest.fixture
async def rig(azure: AzureRig) -> AzureRig:
    return azure


async def every_verb(rig: AzureRig, driver: AzureDriver) -> None:
    """VMs of each kind of image, of which one has a whole life; surveys; nothing is left."""
    group = rig.arm.subnet.partition("/providers/")[0]
    for source in IMAGES:
        permit, order = new_vm(rig)
        disk = replace(order.spec.disk, template=source.format(group=group))
        order = Deploy(replace(order.spec, disk=disk), order.at)
        await driver.deploy(permit, order)
        if source == IMAGES[0]:
            await whole_life(rig, driver, order)
        remove = Remove(order.spec.vm, order.at, disk.volume)
        await driver.remove(permitted(), remove)
    await surveyed(driver, rig.first)


async def whole_life(rig: AzureRig, driver: AzureDriver, order: Deploy) -> None:
    """Everything between deploy and remove."""
    vm, host = order.spec.vm, rig.first
    await driver.reconfigure(permitted(), Reconfigure(resized(order.spec), host))
    await driver.power(permitted(), Power(vm, host, PowerRequest.ON))
    await driver.reset(permitted(), Reset(vm, host))
    await driver.redeploy(permitted(), Redeploy(vm, host))
    await driver.power(permitted(), Power(vm, host, PowerRequest.SHUTDOWN))
    await driver.power(permitted(), Power(vm, host, PowerRequest.OFF, release=True))


async def test_the_role_is_enough(rig: AzureRig) -> None:
    async with closing(rig.opened()) as driver:
        await every_verb(rig, driver)
        remarks = await driver.examine()
    assert any(each.said == "our role has all rights" for each in remarks if each.well)
    assert not rig.arm.vms()
    assert not [each for each in rig.arm.log if each.status == 403]


@pytest.mark.parametrize("missing", ACTIONS)
async def test_each_right_is_needed_and_named_where_it_is_missing(
    rig: AzureRig, missing: str
) -> None:
    """By the verb that needs it, and by the examination before; nothing goes on without it."""
    rig.arm.rights.grant(each for each in ACTIONS if each != missing)
    async with closing(rig.opened(silence_s=0.05)) as driver:
        remarks = await driver.examine()
        assert any(missing in each.said for each in remarks if not each.well)
        if missing.startswith("Microsoft.Authorization/"):  # we know less, and can do as much
            await every_verb(rig, driver)
        else:
            with pytest.raises(Fault, match=missing):
                await every_verb(rig, driver)
    assert any(each.status == 403 for each in rig.arm.log)


def test_the_role_that_is_printed_is_the_one_that_is_tested() -> None:
    """In the form that Azure reads."""
    printed = subprocess.run(
        [sys.executable, "-m", "drivers.azure.role", "a-subscription"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    role = json.loads(printed.stdout)
    assert role["Actions"] == list(ACTIONS)
    assert role["AssignableScopes"] == ["/subscriptions/a-subscription"]
    assert role["NotActions"] == role["DataActions"] == []
