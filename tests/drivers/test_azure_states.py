"""Every power and provisioning state of Azure's keeps its reason beside the state that we make of
it: in a look, in a survey, in what settles (faults K4)."""

import pytest

from drivers.azure.states import POWER, PROVISIONING, reason_of
from drivers.contract import PowerRequest
from drivers.facts import PowerState, Sighting
from tests.drivers.azure_rig import AzureRig
from tests.drivers.rigs import surveyed

ON, OFF, UNKNOWN = PowerState.ON, PowerState.OFF, PowerState.UNKNOWN
# As Microsoft documents them (states and billing of VMs), each with what a VM of it is to us.
POWERS = {
    "creating": (UNKNOWN, "being made"),
    "starting": (ON, "being started"),
    "running": (ON, ""),
    "stopping": (ON, "being stopped"),
    "stopped": (OFF, ""),
    "deallocating": (ON, "gives its compute back"),
    "deallocated": (OFF, ""),
    "unknown": (UNKNOWN, "does not know whether it runs"),
    "": (UNKNOWN, "does not say whether it runs"),
    "dreaming": (UNKNOWN, "not known to this version: dreaming"),
}
PROVISIONINGS = {
    "Creating": "being made",
    "Updating": "being changed",
    "Deleting": "being deleted",
    "Migrating": "being moved",
    "Failed": "failed",
    "Succeeded": "",
    "Canceled": "cancelled",
    "Pondering": "not known to this version: pondering",
}


@pytest.fixture
async def rig(azure: AzureRig) -> AzureRig:
    return azure


def check(seen: Sighting | None, power: str, provisioning: str) -> None:
    """A sighting says our state, and each word why."""
    assert seen is not None
    state, why = POWERS[power]
    if provisioning == "Creating" and state is OFF:
        state = UNKNOWN
    assert seen.state is state
    plain = not why or (not power and PROVISIONINGS[provisioning])
    for words in ("" if plain else why, PROVISIONINGS[provisioning]):
        assert words in seen.reason
    if power in ("running", "stopped", "deallocated") and provisioning == "Succeeded":
        assert seen.reason == ""
    else:
        assert seen.reason


@pytest.mark.parametrize("power", POWERS)
async def test_each_state_keeps_its_reason(rig: AzureRig, power: str) -> None:
    """With each state of provisioning."""
    spec = await rig.deployed()
    vm = rig.arm.vm(f"vmgate-{spec.vm}")
    for provisioning in PROVISIONINGS:
        vm.power, vm.properties["provisioningState"] = power, provisioning
        check(await rig.driver.look(spec.vm, rig.first), power, provisioning)
        (listed,) = (await surveyed(rig.driver, rig.first)).vms
        check(listed, power, provisioning)


def test_no_word_is_without_its_test() -> None:
    assert set(POWER) <= set(POWERS)
    assert set(PROVISIONING) <= {each.lower() for each in PROVISIONINGS}


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("HibernationState/Hibernated", "its memory is saved: power it on"),
        ("OSState/generalized", "it is generalized and cannot start"),
    ],
)
async def test_what_lies_behind_off_is_told(rig: AzureRig, code: str, said: str) -> None:
    """A hibernated VM is shown as deallocated, and one that is generalized as stopped."""
    spec = await rig.deployed()
    vm = rig.arm.vm(f"vmgate-{spec.vm}")
    vm.codes.append(code)
    seen = await rig.driver.look(spec.vm, rig.first)
    assert seen is not None
    assert (seen.state, seen.reason.startswith(said)) == (OFF, True)
    vm.codes.clear()
    await rig.power(spec, PowerRequest.ON)
    seen = await rig.driver.look(spec.vm, rig.first)
    assert seen is not None
    assert (seen.state, seen.reason) == (ON, "")


def test_why_something_failed_stands_behind_our_words() -> None:
    """In Azure's, after a colon: they may name places, which not everybody may read."""
    status = {"code": "ProvisioningState/failed/AllocationFailed", "message": "No room.\r\nAt all."}
    assert reason_of("deallocated", "failed", [status]) == (
        "its last change failed: AllocationFailed: No room."
    )
    assert reason_of("", "failed", [status]) == "its making failed: AllocationFailed: No room."
    assert reason_of("running", "failed", [{"code": 1}, {}]) == "its last change failed"
