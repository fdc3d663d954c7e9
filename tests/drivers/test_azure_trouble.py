"""What the driver of Azure promises when Azure throttles, refuses, loses replies or says nothing:
every change is sent at most once for each look, and nothing is called off or gone that was not
seen to be."""

import asyncio
import logging
from contextlib import nullcontext
from typing import Any
from uuid import UUID, uuid4

import pytest

from drivers.contract import (
    Deploy,
    LeaseLost,
    Permit,
    Power,
    PowerRequest,
    Reconfigure,
    Remove,
    Reset,
    Verdict,
    VmSpec,
)
from drivers.facts import PowerState
from drivers.faults import Busy, Fault, Indeterminate, Rejected, Unreachable
from tests.drivers.azure_rig import AzureRig, Token
from tests.drivers.interrupted import settled
from tests.drivers.rigs import closing, made_by, permitted, surveyed, ticket, until

SECRET = "canary-5up3r-s3cr3t"


@pytest.fixture
async def rig(azure: AzureRig) -> AzureRig:
    return azure


def new_vm(rig: AzureRig, cpu: int = 1, ram_mib: int = 16) -> tuple[Permit, Deploy]:
    """A VM to make at the first place."""
    permit = permitted()
    spec = made_by(permit.task, rig.spec())
    sized = VmSpec(spec.vm, spec.name, cpu, ram_mib, spec.disk, spec.nics)
    return permit, Deploy(sized, rig.at(rig.first))


def name_of(order: Deploy) -> str:
    """What Azure calls its VM."""
    return f"vmgate-{order.spec.vm}"


async def running(rig: AzureRig) -> VmSpec:
    """A VM that runs; calls are counted from now on."""
    spec = await rig.deployed()
    await rig.power(spec, PowerRequest.ON)
    rig.arm.forget_calls()
    return spec


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


async def test_an_operation_that_fails_says_why(rig: AzureRig) -> None:
    """A deallocated VM that finds no room when it is started stays, and can be resized."""
    spec = await rig.deployed()
    await rig.driver.power(permitted(), Power(spec.vm, rig.first, PowerRequest.OFF, release=True))
    rig.arm.faults.add("fail", "POST start", code="AllocationFailed", message="No room.")
    kept: list[str] = []
    permit, order = permitted(), Power(spec.vm, rig.first, PowerRequest.ON)
    with pytest.raises(Rejected, match="AllocationFailed: No room") as refused:
        await rig.driver.power(rig.keeping(permit, kept), order)
    assert refused.value.no_capacity
    outcome = await rig.driver.settle(rig.kept(permit, order, kept))
    assert (outcome.verdict, outcome.no_capacity) == (Verdict.FAILED, True)
    bigger = VmSpec(spec.vm, spec.name, 2, 32, spec.disk, spec.nics)
    await rig.driver.reconfigure(permitted(), Reconfigure(bigger, rig.first))
    assert rig.arm.vm(f"vmgate-{spec.vm}").size == "Standard_B2s"


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("SkuNotAvailable", "reply"),
        ("AllocationFailed", "fail"),
        ("ZonalAllocationFailed", "fail"),
        ("OverconstrainedZonalAllocationRequest", "fail"),
    ],
)
async def test_where_a_size_is_not_to_be_had_the_next_is_tried(
    rig: AzureRig, code: str, how: str
) -> None:
    """At the same place, and remembered; of the first nothing is left."""
    rule = {"code": code, "size": "Standard_B1s", "times": 0}
    rig.arm.faults.add(how, "PUT vm", **rule, **({"status": 409} if how == "reply" else {}))
    permit, order = new_vm(rig)
    await rig.driver.deploy(permit, order)
    assert rig.arm.vm(name_of(order)).size == "Standard_B1ms"
    assert await rig.volumes(order.at) == {order.spec.disk.volume}
    rig.arm.forget_calls()
    await rig.driver.deploy(*new_vm(rig))
    assert rig.arm.calls["PUT vm"] == 1


@pytest.mark.parametrize("how", ["reply", "fail"])
async def test_a_place_without_room_leaves_nothing_and_says_why(rig: AzureRig, how: str) -> None:
    """All sizes were tried; another place may do."""
    words = {"status": 409} if how == "reply" else {}
    rig.arm.faults.add(how, "PUT vm", code="ZonalAllocationFailed", times=0, **words)
    permit, order = new_vm(rig)
    with pytest.raises(Rejected, match="no capacity: ZonalAllocationFailed") as refused:
        await rig.driver.deploy(permit, order)
    assert refused.value.no_capacity
    assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.ABSENT
    assert await nothing_is_left(rig)
    (host,) = (await surveyed(rig.driver, rig.first)).hosts
    assert host.accepting  # sizes with more vCPUs were not refused


async def test_a_quota_that_is_used_up_takes_out_its_family_only(rig: AzureRig) -> None:
    """Standard_B2s and Standard_D2s_v3 both have two vCPUs."""
    rig.arm.sizes.set_limit("eastus", "standardBSFamily", 0)
    permit, order = new_vm(rig, 2)
    await rig.driver.deploy(permit, order)
    assert rig.arm.vm(name_of(order)).size == "Standard_D2s_v3"
    rig.arm.sizes.set_limit("eastus", "cores", 2)
    with pytest.raises(Rejected, match="quota"):
        await rig.driver.deploy(*new_vm(rig, 2))


async def test_what_azure_finds_wrong_fails_at_once_and_leaves_nothing(rig: AzureRig) -> None:
    rig.arm.faults.add("fail", "PUT vm", code="InvalidParameter", message="No such image.")
    with pytest.raises(Rejected, match="InvalidParameter: No such image") as refused:
        await rig.driver.deploy(*new_vm(rig))
    assert not refused.value.no_capacity
    assert rig.arm.calls["PUT vm"] == 1
    assert await nothing_is_left(rig)


async def test_a_process_that_dies_over_a_failed_create_leaves_what_remove_takes(
    rig: AzureRig,
) -> None:
    """The saga takes back what it began: a VM that never ran, its disk and its interface."""
    rig.arm.faults.add("fail", "PUT vm", code="AllocationFailed")
    rig.arm.faults.add("drop", "DELETE vm")
    permit, order = new_vm(rig)
    with pytest.raises(Indeterminate):
        await rig.driver.deploy(permit, order)
    outcome = await rig.driver.settle(ticket(permit, order))
    assert outcome.verdict is Verdict.FAILED
    remove = Remove(order.spec.vm, order.at, order.spec.disk.volume)
    async with closing(rig.opened()) as fresh:
        await fresh.remove(permit, remove)
        assert (await fresh.settle(ticket(permit, remove))).verdict is Verdict.DONE
    assert await nothing_is_left(rig)


async def nothing_is_left(rig: AzureRig) -> bool:
    """No VM, disk or interface."""
    kinds = ("Microsoft.Compute/disks", "Microsoft.Network/networkInterfaces")
    return not rig.arm.vms() and not any(rig.arm.resources(kind) for kind in kinds)


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
    monkeypatch.setattr("drivers.azure.surveying.SINGLES_MAX", 1)
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
    with pytest.raises(Rejected, match="no mark of ours"):
        await rig.driver.remove(permitted(), remove)
    assert f"vmgate-{spec.vm}" in rig.arm.vms()


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


async def test_what_others_use_of_a_quota_is_not_offered(rig: AzureRig) -> None:
    """Neither VMs that are not ours, nor what no listing shows; deallocated VMs still count."""
    rig.arm.sizes.set_limit("eastus", "cores", 20)
    rig.arm.sizes.use_elsewhere("eastus", "cores", 5)
    spec = await rig.deployed()
    stranger = await rig.foreign(rig.first)
    await rig.driver.power(permitted(), Power(spec.vm, rig.first, PowerRequest.OFF, release=True))
    facts = await surveyed(rig.driver, rig.first)
    (host,) = facts.hosts
    # 20 less 5; ours and the stranger's, which runs, are counted by the gateway.
    assert host.cpus == 15
    rig.arm.deallocate(next(name for name in rig.arm.vms() if name.startswith("by-hand")))
    (host,) = (await surveyed(rig.driver, rig.first)).hosts
    assert host.cpus == 14  # the gateway does not count a foreign VM that is off; Azure does
    assert {vm.vm for vm in facts.vms} == {spec.vm, stranger}
    assert isinstance(stranger, UUID)
