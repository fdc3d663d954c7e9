"""The driver of Azure keeps the contract of drivers, on a simulated subscription."""

import asyncio
from dataclasses import replace

import pytest

from drivers.capabilities import HypervisorType
from drivers.contract import Deploy, Power, PowerRequest, Redeploy, Reset, Verdict
from drivers.facts import PowerState
from drivers.faults import Indeterminate, Rejected
from tests.drivers.azure_rig import AzureRig
from tests.drivers.contract_suite import CloudContract
from tests.drivers.rigs import closing, made_by, permitted, surveyed, ticket, until


@pytest.fixture
async def rig(azure: AzureRig) -> AzureRig:
    return azure


class TestAzure(CloudContract):
    kind = HypervisorType.AZURE

    @pytest.mark.parametrize("force", [False, True], ids=["asked", "forced"])
    async def test_a_guest_that_does_not_listen_is_left_on_unless_forced(
        self, rig: AzureRig, force: bool
    ) -> None:
        """Not so here: Azure asks the guest and pulls the plug itself in the end, whatever grace
        was given. Until it has, the VM is on and the shutdown runs."""
        spec = await rig.started_deaf()
        permit = permitted()
        order = Power(spec.vm, rig.first, PowerRequest.SHUTDOWN, grace_s=0.2, force=force)
        rig.arm.forget_calls()
        shutting = asyncio.create_task(rig.driver.power(permit, order))
        await until(lambda: rig.arm.calls["GET poll"] > 0)
        outcome = await rig.driver.settle(ticket(permit, order))
        assert outcome.verdict is Verdict.RUNNING
        assert outcome.sighting is not None
        assert outcome.sighting.state is PowerState.ON
        rig.arm.faults.clear()
        await shutting
        assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.DONE
        assert rig.arm.calls["POST powerOff"] == 1


@pytest.mark.parametrize(
    ("order", "power", "call"),
    [
        ((PowerRequest.SHUTDOWN, False), "stopped", "POST powerOff"),
        ((PowerRequest.OFF, False), "stopped", "POST powerOff"),
        ((PowerRequest.OFF, True), "deallocated", "POST deallocate"),
        ((PowerRequest.SHUTDOWN, True), "deallocated", "POST deallocate"),
    ],
    ids=["graceful", "hard, still charged", "hard", "graceful, no more charged"],
)
async def test_only_a_deallocated_vm_is_seen_to_have_given_its_compute_back(
    rig: AzureRig, order: tuple[PowerRequest, bool], power: str, call: str
) -> None:
    """M-075, M-076, M-077, M-080. One that is powered off goes on costing."""
    spec = await rig.deployed()
    await rig.power(spec, PowerRequest.ON)
    rig.arm.forget_calls()
    asked = Power(spec.vm, rig.first, order[0], release=order[1])
    permit = permitted()
    for _ in range(2):
        await rig.driver.power(permit, asked)
        outcome = await rig.driver.settle(ticket(permit, asked))
        assert outcome.verdict is Verdict.DONE
        assert outcome.sighting is not None
        assert outcome.sighting.state is PowerState.OFF
        assert outcome.sighting.deallocated is (power == "deallocated")
    (seen,) = (await surveyed(rig.driver, rig.first)).vms
    assert seen == outcome.sighting
    assert rig.arm.calls[call] == 1
    assert rig.arm.vm(f"vmgate-{spec.vm}").power == power


async def test_a_vm_that_is_off_can_be_asked_to_give_its_compute_back(rig: AzureRig) -> None:
    """It is not done because the VM is off already."""
    spec = await rig.deployed()
    permit, order = permitted(), Power(spec.vm, rig.first, PowerRequest.OFF, release=True)
    assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.ABSENT
    await rig.driver.power(permit, order)
    assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.DONE
    assert rig.arm.vm(f"vmgate-{spec.vm}").power == "deallocated"


async def test_a_deallocation_from_outside_is_seen_by_the_next_survey(rig: AzureRig) -> None:
    """M-078."""
    spec = await rig.deployed()
    await rig.power(spec, PowerRequest.ON)
    (before,) = (await surveyed(rig.driver, rig.first)).vms
    rig.arm.deallocate(f"vmgate-{spec.vm}")
    (seen,) = (await surveyed(rig.driver, rig.first)).vms
    assert (before.state, before.deallocated) == (PowerState.ON, False)
    assert (seen.state, seen.deallocated) == (PowerState.OFF, True)


async def test_a_vm_is_redeployed_at_its_place(rig: AzureRig) -> None:
    """Once, and only while it runs; with its call kept a fresh process knows that it is done."""
    spec = await rig.deployed()
    with pytest.raises(Rejected):
        await rig.driver.redeploy(permitted(), Redeploy(spec.vm, rig.first))
    await rig.power(spec, PowerRequest.ON)
    rig.arm.forget_calls()
    for order, verb in (
        (Redeploy(spec.vm, rig.first), rig.driver.redeploy),
        (Reset(spec.vm, rig.first), rig.driver.reset),
    ):
        permit, kept = permitted(), []
        await verb(rig.keeping(permit, kept), order)  # type: ignore[operator]
        with pytest.raises(Indeterminate):
            await rig.driver.settle(ticket(permit, order))
        async with closing(rig.opened()) as fresh:
            outcome = await fresh.settle(rig.kept(permit, order, kept))
        assert outcome.verdict is Verdict.DONE
    assert rig.arm.calls["POST redeploy"] == rig.arm.calls["POST restart"] == 1


def changes(rig: AzureRig) -> int:
    """How many calls there were that change something."""
    return sum(count for of, count in rig.arm.calls.items() if not of.startswith("GET"))


async def test_what_is_asked_of_azure_for_one_vm(rig: AzureRig) -> None:
    """A deploy in every change that it makes, with the permit asked right before each; a survey
    in its steady state."""
    await surveyed(rig.driver, rig.first)
    rig.arm.forget_calls()
    asked: list[int] = []
    permit = replace(permitted(), check=lambda: asked.append(changes(rig)))
    spec = made_by(permit.task, rig.spec())
    await rig.driver.deploy(permit, Deploy(spec, rig.at(rig.first)))
    made = rig.arm.calls
    assert (made["PUT nic"], made["PUT vm"], made["POST powerOff"]) == (1, 1, 1)
    assert changes(rig) == 3
    assert asked == [0, 0, 1, 2]  # once at the beginning, too
    for number in range(5):
        rig.arm.add(f"another-{number}")
    rig.arm.pace.page_size = 2
    async with closing(rig.opened(listing_each_s=600.0, quota_each_s=600.0)) as driver:
        await surveyed(driver, rig.first)
        for _ in range(3):
            rig.arm.forget_calls()
            await surveyed(driver, rig.first)
            assert rig.arm.calls == {"GET statusOnly": 3}  # one for each page, and no more
