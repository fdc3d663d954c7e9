"""A state change is a hint that something happened; the reconciler looks before it believes."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

KEPT_MAX = 10_000


class Change(StrEnum):
    """What a hypervisor reported."""

    STARTED = "STARTED"
    STOPPED = "STOPPED"
    CRASHED = "CRASHED"
    PAUSED = "PAUSED"
    RESUMED = "RESUMED"
    DEFINED = "DEFINED"
    UNDEFINED = "UNDEFINED"
    ARRIVED = "ARRIVED"
    DEPARTED = "DEPARTED"
    LOST = "LOST"  # the connection to the endpoint, not a VM
    REGAINED = "REGAINED"


@dataclass(frozen=True, slots=True)
class StateChange:
    """One report of one endpoint; `vm` is None when it is about the endpoint itself."""

    endpoint: str
    host: str
    what: Change
    seen_at: datetime
    vm: UUID | None = None
    detail: str = ""


class StateChangeStream:
    """Keeps the newest changes until they are read; what is lost, surveys make up for."""

    def __init__(self) -> None:
        self._kept: deque[StateChange] = deque(maxlen=KEPT_MAX)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()

    def put(self, change: StateChange) -> None:
        """Tell of a change, from any thread."""
        self._kept.append(change)
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: nobody listens any more
                self._loop.call_soon_threadsafe(self._woken.set)

    async def stream(self) -> AsyncIterator[StateChange]:
        """Changes as they come, from now on."""
        self._loop = asyncio.get_running_loop()
        while True:
            while self._kept:
                yield self._kept.popleft()
            self._woken.clear()
            if not self._kept:
                await self._woken.wait()
