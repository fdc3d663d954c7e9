"""What the driver of Azure promises when Azure throttles, loses replies or forgets: every
change is sent at most once for each look, and secrets are seen by nobody."""

import asyncio
import logging
from typing import Any

import pytest

from drivers.contract import (
    LeaseLost,
    Permit,
    Power,
    PowerRequest,
    Remove,
    Reset,
    Verdict,
)
from drivers.faults import Busy, Fault, Indeterminate, Unreachable
from tests.drivers.azure_rig import AzureRig, Token, new_vm, running
from tests.drivers.interrupted import settled
from tests.drivers.rigs import closing, permitted, surveyed, ticket, until

SECRET = "canary-5up3r-s3cr3t"


@pytest.fixture
async def rig(azure: AzureRig) -> AzureRig:
    return azure


async def brought_to_an_end(rig: AzureRig, permit: Permit, order: Power) -> None:
    """As the executor does: what is unclear is looked at, what was not begun is begun again."""
    while True:
        try:
            await rig.driver.power(permit, order)
        except Busy:
            continue
        except Indeterminate:
            pass
        if await settled(rig.driver, ticket(permit, order)) is Verdict.DONE:
            return


STORM = (
    {"status": 429, "retry_after": "0"},
    {"status": 429},
    {"status": 503},
    {"status": 409},
    {"status": 409, "retry_after": "0"},
)


@pytest.mark.parametrize("weather", STORM, ids=["429 after", "429", "503", "409", "409 after"])
async def test_what_azure_refused_for_now_is_done_in_the_end_and_once(
    rig: AzureRig, weather: dict[str, Any]
) -> None:
    """P17. Each VM is deallocated once, though its first calls were refused."""
    specs = [await running(rig) for _ in range(6)]
    rig.arm.forget_calls()
    rig.arm.faults.add("reply", "POST deallocate", times=9, **weather)
    off = PowerRequest.OFF
    orders = [(permitted(), Power(spec.vm, rig.first, off, release=True)) for spec in specs]
    async with asyncio.timeout(30):
        await asyncio.gather(*(brought_to_an_end(rig, *each) for each in orders))
    assert set(rig.arm.done("POST deallocate").values()) == {1}
    assert len(rig.arm.done("POST deallocate")) == 6
    assert rig.arm.limits.refused == 0


async def test_after_503_a_change_is_not_sent_again_by_itself(rig: AzureRig) -> None:
    """It may have been done. Whoever wants it again must look first."""
    spec = await running(rig)
    order = Power(spec.vm, rig.first, PowerRequest.OFF)
    rig.arm.faults.add("reply", "POST powerOff", status=503, retry_after="0")
    with pytest.raises(Indeterminate):
        await rig.driver.power(permitted(), order)
    assert rig.arm.calls["POST powerOff"] == 1
    assert (await rig.driver.settle(ticket(permitted(), order))).verdict is Verdict.ABSENT


async def test_a_wait_that_is_too_long_is_given_back(rig: AzureRig) -> None:
    """The worker is free meanwhile; Azure did nothing."""
    spec = await running(rig)
    rig.arm.faults.add("reply", "POST powerOff", status=429, retry_after="300")
    with pytest.raises(Busy):
        await rig.driver.power(permitted(), Power(spec.vm, rig.first, PowerRequest.OFF))
    assert rig.arm.calls["POST powerOff"] == 1


async def test_the_budget_that_azure_tells_is_kept(rig: AzureRig) -> None:
    """No call is made that would be refused, however many want to be."""
    specs = [await running(rig) for _ in range(10)]
    rig.arm.limits.allow("DeleteVM", 6, 1000)
    async with closing(rig.opened(throttled_timeout_s=1.0)) as driver:
        stops = [Power(spec.vm, rig.first, PowerRequest.OFF, release=True) for spec in specs]
        ended = await asyncio.gather(
            *(driver.power(permitted(), each) for each in stops), return_exceptions=True
        )
    assert rig.arm.limits.refused == 0
    assert rig.arm.calls["POST deallocate"] == 6
    assert sum(isinstance(each, Busy | Unreachable) for each in ended) == 4


@pytest.mark.parametrize("verb", ["PUT vm", "POST start", "DELETE vm"])
async def test_a_change_whose_reply_is_lost_is_made_once(rig: AzureRig, verb: str) -> None:
    """Nobody knows; looking tells, and beginning again finds it done."""
    permit, make = new_vm(rig)
    order: Any = make
    if verb != "PUT vm":
        await rig.driver.deploy(permit, make)
        order = Power(make.spec.vm, rig.first, PowerRequest.ON)
        if verb == "DELETE vm":
            order = Remove(make.spec.vm, make.at, make.spec.disk.volume)
    call = getattr(rig.driver, type(order).__name__.lower())
    rig.arm.forget_calls()
    rig.arm.faults.add("dropafter", verb)
    with pytest.raises(Indeterminate):
        await call(permit, order)
    async with closing(rig.opened()) as fresh:
        await settled(fresh, ticket(permit, order))
        await getattr(fresh, type(order).__name__.lower())(permit, order)
        assert (await fresh.settle(ticket(permit, order))).verdict is Verdict.DONE
    assert rig.arm.calls[verb] == 1


async def test_a_process_that_dies_before_it_kept_the_call_is_followed_by_looking(
    rig: AzureRig,
) -> None:
    """Accepted, then dead: another process sees it run, then done, and sends nothing."""
    spec = await running(rig)
    hanging = rig.arm.faults.add("hang", "POST deallocate")
    permit, order = permitted(), Power(spec.vm, rig.first, PowerRequest.OFF, release=True)

    async def dies(text: str) -> None:
        raise LeaseLost("the process died")

    with pytest.raises(LeaseLost):
        await rig.driver.power(Permit(permit.task, "step", lambda: None, dies), order)
    async with closing(rig.opened()) as fresh:
        assert (await fresh.settle(ticket(permit, order))).verdict is Verdict.RUNNING
        hanging.release()
        assert await settled(fresh, ticket(permit, order)) is Verdict.DONE
        await fresh.power(permit, order)
    assert rig.arm.calls["POST deallocate"] == 1


async def test_a_call_that_was_kept_is_found_again(rig: AzureRig) -> None:
    """By a fresh process, without a look at the VM while it runs; what is kept is a path."""
    spec = await running(rig)
    hanging = rig.arm.faults.add("hang", "POST restart")
    kept: list[str] = []
    permit, order = permitted(), Reset(spec.vm, rig.first)
    task = asyncio.create_task(rig.driver.reset(rig.keeping(permit, kept), order))
    await until(lambda: bool(kept))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    polls = rig.arm.calls["GET poll"]
    async with closing(rig.opened()) as fresh:
        assert (await fresh.settle(rig.kept(permit, order, kept))).verdict is Verdict.RUNNING
        hanging.release()
        assert (await fresh.settle(rig.kept(permit, order, kept))).verdict is Verdict.DONE
    assert rig.arm.calls["GET poll"] == polls + 2  # nobody polls for whoever waits no more
    assert kept[0].startswith("/subscriptions/")
    assert rig.arm.calls["POST restart"] == 1


@pytest.mark.parametrize(
    "kept", ["https://127.0.0.1:9/operations/1", "/subscriptions/another/operations/1", "?", "a b"]
)
async def test_a_kept_call_that_leads_elsewhere_is_not_followed(rig: AzureRig, kept: str) -> None:
    """As after a change of the configured subscription: our token goes there to nobody, and the
    VM tells what became of the call."""
    spec = await running(rig)
    permit, order = permitted(), Power(spec.vm, rig.first, PowerRequest.OFF)
    await rig.driver.power(permit, order)
    rig.arm.forget_calls()
    assert (await rig.driver.settle(rig.kept(permit, order, [kept]))).verdict is Verdict.DONE
    assert rig.arm.calls == {"GET vm": 1}


async def test_a_call_that_azure_has_forgotten_ends_in_a_look(rig: AzureRig) -> None:
    """Not in an error: the VM is as it was to become."""
    spec = await running(rig)
    rig.arm.faults.add("lost", "POST powerOff")
    kept: list[str] = []
    permit, order = permitted(), Power(spec.vm, rig.first, PowerRequest.OFF)
    with pytest.raises(Indeterminate):
        await rig.driver.power(rig.keeping(permit, kept), order)
    assert await settled(rig.driver, rig.kept(permit, order, kept)) is Verdict.DONE
    await rig.driver.power(permit, order)
    assert rig.arm.calls["POST powerOff"] == 1


async def test_secrets_are_seen_by_nobody(
    rig: AzureRig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token and the password of new VMs: in no log, fault, report or kept text, not even when
    Azure refuses both."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("VMGATE_TEST_ADMIN", f"{SECRET}-password")
    driver = rig.opened(admin_password_env="VMGATE_TEST_ADMIN", admin_user="ops")
    driver._arm._made_credential = lambda: Token(f"{SECRET}-token")
    kept: list[str] = []
    heard: list[str] = []
    async with closing(driver):
        permit, order = new_vm(rig)
        await driver.deploy(rig.keeping(permit, kept), order)
        await driver.power(
            rig.keeping(permitted(), kept), Power(order.spec.vm, rig.first, PowerRequest.ON)
        )
        for words in (
            {"status": 400, "code": "InvalidParameter"},
            {"status": 401, "code": "InvalidAuthenticationToken"},
            {"status": 503},
        ):
            rig.arm.faults.add("reply", "PUT vm", **words)
            with pytest.raises(Fault) as refused:
                await driver.deploy(*new_vm(rig))
            heard.append(repr(refused.value) + refused.value.message)
        heard += [repr(await surveyed(driver, rig.first)), repr(await driver.examine())]
    assert kept
    assert SECRET not in "\n".join([*kept, *heard, caplog.text, repr(driver._options)])
    assert any(SECRET not in each for each in heard)
