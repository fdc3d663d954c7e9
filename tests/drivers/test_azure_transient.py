"""What passes by itself is waited for as long as Azure names, and told meanwhile; that there was
no room stands meanwhile (faults T6)."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from drivers.azure.faults import REACTIONS, WAIT_MAX_S, Reaction, Said, said_in
from drivers.contract import Power, PowerRequest, Remove
from drivers.faults import Busy, Rejected
from tests.drivers.azure_rig import AzureRig, name_of, new_vm, running
from tests.drivers.rigs import closing, permitted, ticket

RESERVED = (
    "Nic(s) in request is reserved for another Virtual Machine for 180 seconds. Please provide "
    "another nic(s) or retry after 180 seconds. Reserved VM: /subscriptions/s/vm"
)
NOT_PROVISIONED = "ReferencedResourceNotProvisioned"
TRANSIENT = (
    (409, {"code": NOT_PROVISIONED}),
    (409, {"code": "AnotherOperationInProgress"}),
    (409, {"code": "RetryableError"}),
    (429, {"code": "RetryableError"}),
    (429, {"code": "SubscriptionRequestsThrottled"}),
    (400, {"code": NOT_PROVISIONED}),
    (400, {"code": "NicReservedForAnotherVm"}),
    (400, {"code": "nicreservedforanothervm"}),
    (400, {"code": "NobodyKnowsThis", "message": "Please retry after 1 seconds."}),
)


@pytest.fixture
async def rig(azure: AzureRig) -> AzureRig:
    return azure


async def until_so(seen: Callable[[], Awaitable[bool]]) -> None:
    """Look again and again until it is so."""
    async with asyncio.timeout(10):
        while not await seen():
            woken = asyncio.Event()
            asyncio.get_running_loop().call_later(0.01, woken.set)
            await woken.wait()


@pytest.mark.parametrize(("status", "words"), TRANSIENT)
@pytest.mark.parametrize("verb", ["PUT nic", "PUT vm"])
async def test_what_passes_is_waited_for(
    rig: AzureRig, verb: str, status: int, words: dict[str, Any]
) -> None:
    rule = rig.arm.faults.add("reply", verb, status=status, times=2, **words)
    permit, order = new_vm(rig)
    await rig.driver.deploy(permit, order)
    assert (rule.hits, rig.arm.done(verb)[name_of(order)]) == (2, 1)


@pytest.mark.parametrize("code", ["AnotherOperationInProgress", "RetryableError", NOT_PROVISIONED])
async def test_an_operation_that_failed_for_what_passes_is_begun_again(
    rig: AzureRig, code: str
) -> None:
    """After a pause, and not for ever."""
    rule = rig.arm.faults.add("fail", "PUT vm", code=code)
    permit, order = new_vm(rig)
    await rig.driver.deploy(permit, order)
    assert rule.hits == 1
    assert rig.arm.vm(name_of(order)).size == "Standard_B1s"  # it is not for want of room
    rig.arm.faults.add("fail", "PUT vm", code=code, times=0)
    async with closing(rig.opened(throttled_timeout_s=0.3)) as driver:
        with pytest.raises(Exception, match=code):
            await driver.deploy(*new_vm(rig))


async def test_the_pause_that_azure_names_is_kept_and_told(rig: AzureRig) -> None:
    """In its text too: nothing is asked meanwhile, and the ticket's progress says what for."""
    spec = await running(rig)
    permit, order = permitted(), Power(spec.vm, rig.first, PowerRequest.OFF)
    message = "The VM is reserved. Please retry after 1 seconds."
    rig.arm.faults.add("reply", "POST powerOff", status=400, code="AnyCode", message=message)
    began_s = time.monotonic()
    task = asyncio.create_task(rig.driver.power(permit, order))
    at = ticket(permit, order)
    told = ""

    async def is_told() -> bool:
        nonlocal told
        told = (await rig.driver.progress(at)).detail
        return bool(told)

    await until_so(is_told)
    assert "AnyCode: The VM is reserved" in told
    assert "1 s" in told
    await task
    assert time.monotonic() - began_s >= 1.0
    assert rig.arm.calls["POST powerOff"] == 2
    assert (await rig.driver.progress(at)).detail == ""


async def test_a_pause_that_is_longer_than_a_change_may_take_is_given_back(rig: AzureRig) -> None:
    spec = await running(rig)
    words = {"status": 400, "code": "NicReservedForAnotherVm", "message": RESERVED}
    rig.arm.faults.add("reply", "POST powerOff", **words)
    with pytest.raises(Busy, match="180 seconds"):
        await rig.driver.power(permitted(), Power(spec.vm, rig.first, PowerRequest.OFF))
    assert rig.arm.calls["POST powerOff"] == 1


@pytest.mark.parametrize("code", ["AllocationFailed", "ZonalAllocationFailed", "SkuNotAvailable"])
async def test_that_there_is_no_room_stands_while_the_interface_is_reserved(
    rig: AzureRig, code: str
) -> None:
    """It is said at once, so that it is on record; who takes the deploy back waits as long as
    Azure says, tells of it, and leaves nothing."""
    rig.arm.pace.nic_reserved_s = 1
    rig.arm.faults.add("fail", "PUT vm", code=code, times=5)
    permit, order = new_vm(rig)
    with pytest.raises(Rejected, match=f"no capacity: {code}.*NicReservedForAnotherVm") as refused:
        await rig.driver.deploy(permit, order)
    assert refused.value.no_capacity
    assert len(rig.arm.resources("Microsoft.Network/networkInterfaces")) == 1
    remove = Remove(order.spec.vm, order.at, order.spec.disk.volume)
    task = asyncio.create_task(rig.driver.remove(permit, remove))
    told: set[str] = set()

    async def is_done() -> bool:
        told.add((await rig.driver.progress(ticket(permit, remove))).detail)
        return task.done()

    await until_so(is_done)
    await task
    assert any("NicReservedForAnotherVm" in each for each in told)
    assert not rig.arm.resources("Microsoft.Network/networkInterfaces")
    assert not rig.arm.resources("Microsoft.Compute/disks")


@pytest.mark.parametrize(
    ("text", "pause_s"),
    [
        (RESERVED, 180.0),
        ("Please retry after 5 seconds", 5.0),
        ("Retry the request after 2 minutes.", 120.0),
        ("Please try again in 30 seconds.", 30.0),
        ("retry after 999999 minutes", WAIT_MAX_S),
        ("It ran for 180 seconds", None),
        ("Please retry later.", None),
        ("retry after " + "9" * 10_000 + " seconds", None),
    ],
)
def test_a_pause_in_a_text(text: str, pause_s: float | None) -> None:
    assert Said("X", text).pause_s == pause_s


def test_the_code_in_the_details_counts() -> None:
    """Network says RetryableError or something more general, and means what is inside."""
    detail = {"code": NOT_PROVISIONED, "message": "The subnet is in Updating state."}
    said = said_in({"error": {"code": "General", "message": "It failed.", "details": [detail]}})
    assert said.reaction is Reaction.LATER
    assert (
        said.words() == f"General: It failed. {NOT_PROVISIONED}: The subnet is in Updating state."
    )


def test_the_codes_of_what_passes_are_known() -> None:
    """As Microsoft documents and people have met them."""
    wanted = {code for _, words in TRANSIENT for code in [words["code"]]}
    wanted -= {"NobodyKnowsThis", "nicreservedforanothervm"}
    assert {code for code in wanted if REACTIONS.get(code) is not Reaction.LATER} == set()
