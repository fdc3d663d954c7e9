"""A lane is a bounded way to one host: a host that freezes fills its own lane and no other.

Vendor calls block, so they run in the lane's threads. A call with a permit is a side effect: the
permit is asked in the thread, right before the call, and once begun its end must be known.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from drivers.contract import LeaseLost, Permit
from drivers.faults import Busy, Indeterminate, Unreachable

T = TypeVar("T")


@dataclass(slots=True)
class _Job:
    call: Callable[[], Any]
    permit: Permit | None
    future: "Future[Any]" = field(default_factory=Future)
    begun: bool = False

    def run(self) -> None:
        # From here on the future cannot be cancelled; before, a withdrawn call never begins.
        if not self.future.set_running_or_notify_cancel():
            return
        self.begun = True
        try:
            if self.permit is not None:
                self.permit.check()
            result = self.call()
        except BaseException as trouble:
            self.future.set_exception(trouble)
        else:
            self.future.set_result(result)


class RevocablePermit:
    """A permit as a call sees it that makes its changes late: `check` comes right before each.

    Once the caller has given up, the check fails too: what waits in a thread for a frozen host
    must not begin when the host thaws.
    """

    def __init__(self, permit: Permit) -> None:
        self._permit = permit
        self._given_up = False
        self.began = False

    def check(self) -> None:
        """Raises LeaseLost."""
        if self._given_up:
            raise LeaseLost("the caller timed out")
        self._permit.check()
        self.began = True

    @contextmanager
    def while_waiting(self) -> Iterator[None]:
        """The caller waits inside, and no more afterwards."""
        try:
            yield
        finally:
            self._given_up = True


class HostExecutor:
    """At most `width` calls at once and `waiting_max` waiting; more are refused as Busy."""

    def __init__(self, name: str, width: int = 4, waiting_max: int = 64) -> None:
        self.name = name
        self._width = width
        self._waiting_max = waiting_max
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._open = 0
        self._closed = False

    @property
    def occupied(self) -> int:
        """Calls that wait or run, those included whose callers gave up on them."""
        return self._open

    async def run(
        self, call: Callable[[], T], *, permit: Permit | None = None, timeout_s: float = 30.0
    ) -> T:
        """The call's result, for at most `timeout_s` seconds.

        Raises Busy when the lane is full; on a timeout Unreachable if the call never began or
        only reads, and Indeterminate if it began with a permit. LeaseLost passes through.
        """
        if self._closed:
            raise Unreachable(f"the lane to {self.name} is closed", host=self.name)
        if self._open >= self._width + self._waiting_max:
            raise Busy(f"the lane to {self.name} is full", host=self.name)
        job = _Job(call, permit)
        self._open += 1
        loop = asyncio.get_running_loop()
        job.future.add_done_callback(lambda _: self._ended(loop))
        self._start_thread()
        self._jobs.put(job)
        try:
            async with asyncio.timeout(timeout_s):
                result: T = await asyncio.wrap_future(job.future)
                return result
        except TimeoutError:
            if job.begun and job.future.done() and not job.future.cancelled():
                ended: T = job.future.result()  # at that very moment: its own words count
                return ended
            raise self._late(job, permit, timeout_s) from None

    def close(self) -> None:
        """Begin nothing more; calls that run end by themselves."""
        self._closed = True
        for _ in self._threads:
            self._jobs.put(None)

    def _late(self, job: _Job, permit: Permit | None, timeout_s: float) -> Exception:
        if job.begun and permit is not None:
            return Indeterminate(
                f"{self.name} did not end a call within {timeout_s:g} s", host=self.name
            )
        return Unreachable(f"{self.name} did not answer within {timeout_s:g} s", host=self.name)

    def _ended(self, loop: asyncio.AbstractEventLoop) -> None:
        # Called from a lane's thread or, for a withdrawn call, from the loop's own.
        try:
            loop.call_soon_threadsafe(self._leave)
        except RuntimeError:  # the loop is closed: nobody counts any more
            self._open -= 1

    def _leave(self) -> None:
        self._open -= 1

    def _start_thread(self) -> None:
        if len(self._threads) < min(self._width, self._open):
            thread = threading.Thread(
                target=self._work, name=f"lane-{self.name}-{len(self._threads)}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.run()
