"""On real hosts: no state is a dead end, and what runs can be stopped (faults L3, L8, L9, T2)."""

import asyncio
import time

import pytest

from drivers.contract import (
    Clear,
    Deploy,
    Driver,
    Order,
    Permit,
    Power,
    PowerRequest,
    Relocate,
    Reset,
    Ticket,
    Verdict,
    VmSpec,
)
from drivers.facts import PowerState
from drivers.faults import Rejected
from tests.drivers.kvm_rig import SLEEPY, KvmRig
from tests.drivers.rigs import closing, permitted, surveyed, ticket, until

pytestmark = pytest.mark.xdist_group("kvm")
CANCELLED_WITHIN_S = 10.0


async def asleep(kvm: KvmRig) -> VmSpec:
    """A guest that answered the power button by going to sleep."""
    spec = await kvm.deployed_as(SLEEPY)
    await kvm.power(spec, PowerRequest.ON)
    await kvm.guest_is_up(spec.vm, 1)
    await kvm.virsh(kvm.first, "shutdown", spec.name)
    async with asyncio.timeout(30):
        while "pmsuspended" not in await kvm.virsh(kvm.first, "domstate", spec.name):
            pass
    return spec


@pytest.mark.parametrize("request_", [PowerRequest.ON, PowerRequest.RESUME])
async def test_a_guest_that_is_asleep_is_woken(kvm: KvmRig, request_: PowerRequest) -> None:
    """Fault L9: it is PAUSED, with the reason, until ON or RESUME wakes it."""
    spec = await asleep(kvm)
    (seen,) = (await surveyed(kvm.driver, kvm.first)).vms
    assert seen.state is PowerState.PAUSED
    assert seen.reason == "the guest is asleep (suspended to memory)"
    permit, order = permitted(), Power(spec.vm, kvm.first, request_)
    assert (await kvm.driver.settle(ticket(permit, order))).verdict is Verdict.ABSENT
    await kvm.driver.power(permit, order)
    outcome = await kvm.driver.settle(ticket(permit, order))
    assert outcome.verdict is Verdict.DONE
    assert outcome.sighting is not None
    assert (outcome.sighting.state, outcome.sighting.reason) == (PowerState.ON, "")


async def test_a_guest_that_is_asleep_is_not_moved_nor_asked_in_vain(kvm: KvmRig) -> None:
    """Fault L9: refused at once, with what to do; switching it off is possible."""
    spec = await asleep(kvm)
    permit, order = kvm.relocation(spec)
    with pytest.raises(Rejected, match=r"asleep .*ON first"):
        await kvm.driver.relocate(permit, order)
    assert (await kvm.driver.settle(ticket(permit, order))).verdict is Verdict.ABSENT
    with pytest.raises(Rejected, match=r"SHUTDOWN is not possible: .*asleep.*RESUME ends that"):
        await kvm.power(spec, PowerRequest.SHUTDOWN)
    with pytest.raises(Rejected, match=r"RESET is not possible: .*asleep"):
        await kvm.driver.reset(permitted(), Reset(spec.vm, kvm.first))
    await kvm.power(spec, PowerRequest.OFF)
    seen = await kvm.driver.look(spec.vm, kvm.first)
    assert seen is not None
    assert seen.state is PowerState.OFF


async def test_what_has_no_effect_says_why(kvm: KvmRig) -> None:
    """Fault T2: settling names the hypervisor's reason, not only that nothing came of it."""
    spec = await asleep(kvm)
    order = Power(spec.vm, kvm.first, PowerRequest.ON)
    outcome = await kvm.driver.settle(ticket(permitted(), order))
    assert outcome.reason == (
        "ON had no effect, the VM is PAUSED: the guest is asleep (suspended to memory)"
    )


async def test_a_move_that_failed_over_a_leftover_did_not_happen(kvm: KvmRig) -> None:
    """Fault L3: the VM runs at the source, and the target keeps a definition that is off: the
    driver says in libvirt's words that it did not move, settling too, and the rest is cleared."""
    spec = await kvm.started()
    path = kvm.lab.home / "left.xml"
    path.write_text(await kvm.definition(spec))
    await kvm.virsh(kvm.second, "define", str(path))
    permit, order = kvm.relocation(spec)
    async with closing(kvm.slow()) as driver:
        moving = asyncio.create_task(driver.relocate(permit, order))
        await runs(driver, ticket(permit, order))
        await kvm.virsh(kvm.first, "domjobabort", spec.name)
        with pytest.raises(Rejected, match=r"lab-1: .*(abort|cancel)"):
            await moving
    assert await kvm.everything(kvm.second) == {spec.vm}
    outcome = await kvm.driver.settle(ticket(permit, order))
    assert (outcome.verdict, outcome.sighting) == (
        Verdict.FAILED,
        await kvm.driver.look(spec.vm, kvm.first),
    )
    assert "did not happen: the VM is ON on lab-1" in outcome.reason
    await kvm.driver.clear(permitted(), Clear(spec.vm, order.target, kvm.first))
    assert await kvm.everything(kvm.second) == set()
    assert kvm.boots(spec.vm) == 1
    await kvm.driver.relocate(permitted(), kvm.relocation(spec)[1])
    assert await kvm.everything(kvm.second) == {spec.vm}


async def runs(driver: Driver, moving: Ticket) -> None:
    """Wait until a move is seen to run."""
    async with asyncio.timeout(30):
        while (await driver.settle(moving)).verdict is not Verdict.RUNNING:
            pass


async def stopped(driver: Driver, work: asyncio.Task[None], what: Ticket) -> float:
    """Cancel it; seconds until the call has ended, which is not a success."""
    began_s = time.monotonic()
    await driver.cancel(Permit(what.task, "cancel", lambda: None), what)
    with pytest.raises(Rejected):
        await work
    return time.monotonic() - began_s


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "with its disk"])
async def test_a_live_move_is_cancelled(kvm: KvmRig, shared: bool) -> None:
    """Fault L8: within 10 s the guest runs where it was, and nothing is left at the target."""
    spec = await kvm.started(kvm.at(kvm.first, shared=shared))
    permit, order = kvm.relocation(spec, shared=shared)
    async with closing(kvm.slow()) as driver:
        moving = asyncio.create_task(driver.relocate(permit, order))
        await runs(driver, ticket(permit, order))
        assert await stopped(driver, moving, ticket(permit, order)) < CANCELLED_WITHIN_S
    assert (await kvm.driver.settle(ticket(permit, order))).verdict is Verdict.ABSENT
    left = "" if shared else order.spec.disk.volume
    await kvm.driver.clear(permitted(), Clear(spec.vm, order.target, kvm.first, left))
    assert await kvm.everything(kvm.first) == {spec.vm}
    assert await kvm.everything(kvm.second) == set()
    assert await kvm.volumes(kvm.at(kvm.second, shared=False)) == set()
    assert kvm.boots(spec.vm) == 1


async def test_a_live_move_is_cancelled_by_another_process(kvm: KvmRig) -> None:
    """Fault L8: the one that began it is gone; libvirt's job is ended all the same."""
    spec = await kvm.started()
    permit, order = kvm.relocation(spec)
    async with closing(kvm.slow()) as driver, closing(kvm.opened()) as other:
        moving = asyncio.create_task(driver.relocate(permit, order))
        await runs(other, ticket(permit, order))
        assert await stopped(other, moving, ticket(permit, order)) < CANCELLED_WITHIN_S
    assert await kvm.everything(kvm.second) == set()


async def test_moves_that_fill_the_lane_do_not_keep_one_from_being_cancelled(kvm: KvmRig) -> None:
    """Fault L8: nothing else can be done at the host while they run, but to stop one."""
    spec = await kvm.started()
    permit, order = kvm.relocation(spec)
    async with closing(kvm.slow()) as driver:
        lane = driver._hosts[kvm.first]._acts  # type: ignore[attr-defined]
        lane._width = 1
        moving = asyncio.create_task(driver.relocate(permit, order))
        await runs(driver, ticket(permit, order))
        assert lane.occupied == 1
        assert await stopped(driver, moving, ticket(permit, order)) < CANCELLED_WITHIN_S
    assert await kvm.everything(kvm.first) == {spec.vm}
    assert await kvm.everything(kvm.second) == set()


async def test_a_move_that_has_not_begun_does_not_begin(kvm: KvmRig) -> None:
    """Fault L8: cancelled in its first moment, before libvirt has a job."""
    spec = await kvm.started()
    permit, order = kvm.relocation(spec)
    moving = asyncio.create_task(kvm.driver.relocate(permit, order))
    await asyncio.sleep(0)
    assert await stopped(kvm.driver, moving, ticket(permit, order)) < CANCELLED_WITHIN_S
    assert (await kvm.driver.settle(ticket(permit, order))).verdict is Verdict.ABSENT
    assert await kvm.everything(kvm.second) == set()


async def test_the_wait_for_a_guest_is_cancelled(kvm: KvmRig) -> None:
    """Fault L8: a guest that ignores the button for an hour is waited for no longer."""
    spec = await kvm.started_deaf()
    permit, order = permitted(), Power(spec.vm, kvm.first, PowerRequest.SHUTDOWN, 3600.0, True)
    shutting = asyncio.create_task(kvm.driver.power(permit, order))
    await until(lambda: bool(kvm.driver._stopping._calls))  # type: ignore[attr-defined]
    assert await stopped(kvm.driver, shutting, ticket(permit, order)) < CANCELLED_WITHIN_S
    seen = await kvm.driver.look(spec.vm, kvm.first)
    assert seen is not None
    assert seen.state is PowerState.ON, "cancelling pulls no plug"


async def test_cancelling_what_does_not_run_here_changes_nothing(kvm: KvmRig) -> None:
    spec = await kvm.started()
    orders: tuple[Order, ...] = (
        Power(spec.vm, kvm.first, PowerRequest.SHUTDOWN, 10.0),
        Reset(spec.vm, kvm.first),
        Deploy(spec, kvm.at(kvm.first)),
        Relocate(spec, kvm.at(kvm.first), kvm.at(kvm.second), spec.disk.volume),
    )
    before = await kvm.driver.look(spec.vm, kvm.first)
    for order in orders:
        await kvm.driver.cancel(permitted(), ticket(permitted(), order))
    assert await kvm.driver.look(spec.vm, kvm.first) == before
