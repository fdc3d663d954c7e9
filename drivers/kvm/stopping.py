"""Calls of this process that can be asked to stop: moves, and the wait for a guest to shut down.

A call that another process began and left has nobody to ask; libvirt's own job is ended all the
same.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from drivers.contract import Permit
from drivers.faults import Rejected


@dataclass(slots=True)
class Call:
    """One that runs: `asked` once somebody wants it to stop, `over` once it has ended."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def guarded(self, permit: Permit) -> Permit:
        """The permit, which also begins nothing more once the call is to stop."""

        def check() -> None:
            permit.check()
            if self.asked.is_set():
                raise Rejected("it was cancelled before it began")

        return Permit(permit.task, permit.step, check, permit.keep)


class Stopping:
    """The calls of one driver, by task and step."""

    def __init__(self) -> None:
        self._calls: dict[tuple[UUID, str], Call] = {}

    @contextmanager
    def running(self, permit: Permit) -> Iterator[Call]:
        """Inside, the call runs."""
        call = Call()
        self._calls[permit.task, permit.step] = call
        try:
            yield call
        finally:
            call.over.set()
            if self._calls.get((permit.task, permit.step)) is call:
                del self._calls[permit.task, permit.step]

    def ask(self, task: UUID, step: str) -> Callable[[], bool]:
        """Ask a call to stop; afterwards, whether it still runs here."""
        call = self._calls.get((task, step))
        if call is None:
            return lambda: False
        call.asked.set()
        return lambda: not call.over.is_set()
