"""A lane bounds what one host can cost, and says exactly what it knows of a call that is late."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import pytest

from drivers.contract import LeaseLost, Permit
from drivers.faults import Busy, Indeterminate, Rejected, Unreachable
from drivers.host_executor import HostExecutor
from tests.drivers.rigs import permitted, permitted_times, until

SHORT_S = 0.05


class Gate:
    """A call that hangs, as on a frozen host, until it is opened."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.opened = threading.Event()
        self.times = 0

    def __call__(self) -> str:
        self.times += 1
        self.began.set()
        assert self.opened.wait(30)
        return "through"


@pytest.fixture
async def lane() -> AsyncIterator[HostExecutor]:
    lane = HostExecutor("host", width=1, waiting_max=1)
    yield lane
    lane.close()


@pytest.fixture
async def gate(lane: HostExecutor) -> AsyncIterator[Gate]:
    """Opened at the end, so that no thread outlives the test."""
    gate = Gate()
    yield gate
    gate.opened.set()
    await until(lambda: not lane.occupied)


async def began(
    lane: HostExecutor, gate: Gate, permit: Permit | None = None
) -> "asyncio.Task[str]":
    """The gate's call, in its thread now."""
    task = asyncio.create_task(lane.run(gate, permit=permit))
    await until(gate.began.is_set)
    return task


async def test_results_and_faults_come_back_as_they_are(lane: HostExecutor) -> None:
    assert await lane.run(lambda: 7) == 7
    with pytest.raises(Rejected, match="no"):
        await lane.run(refusing)
    await until(lambda: lane.occupied == 0)


async def test_a_call_does_not_run_in_the_loops_thread(lane: HostExecutor) -> None:
    """Vendor calls block; the event loop must not."""
    assert await lane.run(threading.current_thread) is not threading.current_thread()


async def test_what_a_full_lane_cannot_take_is_refused_as_busy(
    lane: HostExecutor, gate: Gate
) -> None:
    """One runs, one waits, the third is refused at once; a place that is free again is used."""
    running = await began(lane, gate)
    waiting = asyncio.create_task(lane.run(lambda: "second"))
    await asyncio.sleep(0)
    assert lane.occupied == 2
    with pytest.raises(Busy) as full:
        await lane.run(lambda: "third")
    assert full.value.host == "host"
    gate.opened.set()
    assert [await running, await waiting] == ["through", "second"]
    await until(lambda: lane.occupied == 0)
    assert await lane.run(lambda: "fourth") == "fourth"


async def test_no_more_calls_run_at_once_than_the_lane_is_wide() -> None:
    lane, gate = HostExecutor("host", width=2, waiting_max=8), Gate()
    calls = [asyncio.create_task(lane.run(gate)) for _ in range(6)]
    await until(lambda: gate.times == 2)
    assert lane.occupied == 6
    gate.opened.set()
    assert await asyncio.gather(*calls) == ["through"] * 6
    lane.close()


async def test_a_read_that_is_late_is_unreachable(lane: HostExecutor, gate: Gate) -> None:
    """It changes nothing, so there is nothing to be unclear about."""
    with pytest.raises(Unreachable) as late:
        await lane.run(gate, timeout_s=SHORT_S)
    assert late.value.host == "host"


async def test_a_change_that_began_and_is_late_is_indeterminate(
    lane: HostExecutor, gate: Gate
) -> None:
    """Nobody knows its end: it must be looked for, never begun again blindly."""
    with pytest.raises(Indeterminate):
        await lane.run(gate, permit=permitted(), timeout_s=SHORT_S)
    assert gate.times == 1


async def test_a_call_given_up_keeps_its_place_until_it_ends(
    lane: HostExecutor, gate: Gate
) -> None:
    """Otherwise a frozen host would be given thread after thread."""
    with pytest.raises(Unreachable):
        await lane.run(gate, timeout_s=SHORT_S)
    assert lane.occupied == 1
    gate.opened.set()
    await until(lambda: lane.occupied == 0)


@pytest.mark.parametrize("permit", [None, permitted()], ids=["read", "change"])
async def test_a_call_that_waited_in_vain_never_begins(
    lane: HostExecutor, gate: Gate, permit: Permit | None
) -> None:
    """It says Unreachable, which means that it did not happen, so it must not happen later."""
    running = await began(lane, gate)
    late = Gate()
    late.opened.set()
    with pytest.raises(Unreachable):
        await lane.run(late, permit=permit, timeout_s=SHORT_S)
    gate.opened.set()
    assert await running == "through"
    assert await lane.run(lambda: "next") == "next"
    assert late.times == 0
    await until(lambda: lane.occupied == 0)


async def test_a_caller_that_is_cancelled_withdraws_a_call_that_waits(
    lane: HostExecutor, gate: Gate
) -> None:
    await began(lane, gate)
    late = Gate()
    waiting = asyncio.create_task(lane.run(late, permit=permitted()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.opened.set()
    assert await lane.run(lambda: "next") == "next"
    assert late.times == 0


async def test_the_permit_is_asked_in_the_thread_right_before_the_call(lane: HostExecutor) -> None:
    """Not before the call waited: a lease may run out in the queue."""
    steps: list[tuple[str, threading.Thread]] = []

    def noting(what: str) -> Callable[[], None]:
        return lambda: steps.append((what, threading.current_thread()))

    await lane.run(noting("call"), permit=Permit(uuid4(), "step", noting("check")))
    assert [what for what, _ in steps] == ["check", "call"]
    assert steps[0][1] is steps[1][1] is not threading.current_thread()


async def test_a_lease_that_ran_out_while_waiting_stops_the_call(
    lane: HostExecutor, gate: Gate
) -> None:
    holds = True

    def check() -> None:
        if not holds:
            raise LeaseLost("the lease has run out")

    running = await began(lane, gate)
    late = Gate()
    waiting = asyncio.create_task(lane.run(late, permit=Permit(uuid4(), "step", check)))
    await asyncio.sleep(0)
    holds = False
    gate.opened.set()
    await running
    with pytest.raises(LeaseLost):
        await waiting
    assert late.times == 0


async def test_without_a_permit_nothing_begins(lane: HostExecutor) -> None:
    gate = Gate()
    with pytest.raises(LeaseLost):
        await lane.run(gate, permit=permitted_times(uuid4(), 0))
    assert gate.times == 0


async def test_a_call_that_times_out_by_itself_keeps_its_own_words(lane: HostExecutor) -> None:
    def timing_out() -> None:
        raise TimeoutError("the vendor's own")

    with pytest.raises(TimeoutError, match="the vendor's own"):
        await lane.run(timing_out, permit=permitted())


async def test_a_closed_lane_begins_nothing_more(lane: HostExecutor, gate: Gate) -> None:
    """What runs ends by itself."""
    running = await began(lane, gate)
    lane.close()
    with pytest.raises(Unreachable):
        await lane.run(lambda: "late")
    gate.opened.set()
    assert await running == "through"


async def test_lanes_do_not_wait_for_each_other(lane: HostExecutor, gate: Gate) -> None:
    """A host that froze fills its own lane and no other."""
    running = await began(lane, gate)
    other = HostExecutor("other", width=1, waiting_max=0)
    assert [await other.run(lambda: "quick") for _ in range(3)] == ["quick"] * 3
    assert not running.done()
    other.close()


def refusing() -> None:
    raise Rejected("no")
