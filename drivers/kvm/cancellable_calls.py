"""Calls of this process that can be asked to stop: moves, and the wait for a guest to shut down.

A call that another process began and left has nobody to ask; libvirt's own job is ended all the
same.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from uuid import UUID

from drivers.contract import Permit
from drivers.faults import Fault, Rejected

_ABORT_EACH_S = 0.1


@dataclass(slots=True)
class CancellableCall:
    """One that runs: `asked` once somebody wants it to stop, who has the permit `by`."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    by: Permit | None = None

    def guarded(self, permit: Permit) -> Permit:
        """The permit, which also begins nothing more once the call is to stop."""

        def check() -> None:
            permit.check()
            if self.asked.is_set():
                raise Rejected("it was cancelled before it began")

        return Permit(permit.task, permit.step, check, permit.keep)

    @asynccontextmanager
    async def aborting(self, abort: Callable[[Permit], Awaitable[bool]]) -> AsyncIterator[None]:
        """Inside, `abort` is tried again and again once the call is to stop: a job that is not
        there yet may come."""

        async def watch() -> None:
            await self.asked.wait()
            assert self.by is not None
            while True:
                with suppress(Fault):
                    await abort(self.by)
                await asyncio.sleep(_ABORT_EACH_S)

        watching = asyncio.create_task(watch())
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


class Stopping:
    """The calls of one driver, by task and step."""

    def __init__(self) -> None:
        self._calls: dict[tuple[UUID, str], CancellableCall] = {}

    @contextmanager
    def running(self, permit: Permit) -> Iterator[CancellableCall]:
        """Inside, the call runs."""
        call = CancellableCall()
        self._calls[permit.task, permit.step] = call
        try:
            yield call
        finally:
            if self._calls.get((permit.task, permit.step)) is call:
                del self._calls[permit.task, permit.step]

    def ask(self, task: UUID, step: str, by: Permit) -> None:
        """Ask a call to stop, if it runs here."""
        call = self._calls.get((task, step))
        if call is not None:
            call.by = by
            call.asked.set()
