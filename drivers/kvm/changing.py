"""libvirt's lifecycle events become state changes; from its thread to whoever listens."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

import libvirt

from drivers.changes import Change, StateChange
from drivers.kvm.connection import Heard

KEPT_MAX = 10_000
_WORDS = {
    libvirt.VIR_DOMAIN_EVENT_DEFINED: Change.DEFINED,
    libvirt.VIR_DOMAIN_EVENT_UNDEFINED: Change.UNDEFINED,
    libvirt.VIR_DOMAIN_EVENT_STARTED: Change.STARTED,
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED: Change.PAUSED,
    libvirt.VIR_DOMAIN_EVENT_RESUMED: Change.RESUMED,
    libvirt.VIR_DOMAIN_EVENT_STOPPED: Change.STOPPED,
    libvirt.VIR_DOMAIN_EVENT_SHUTDOWN: Change.STOPPED,
    libvirt.VIR_DOMAIN_EVENT_PMSUSPENDED: Change.PAUSED,
    libvirt.VIR_DOMAIN_EVENT_CRASHED: Change.CRASHED,
}
# A VM that stops because it was moved away was not powered off.
_MOVES = {
    (libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_MIGRATED): Change.DEPARTED,
    (libvirt.VIR_DOMAIN_EVENT_STARTED, libvirt.VIR_DOMAIN_EVENT_STARTED_MIGRATED): Change.ARRIVED,
    (libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED): Change.CRASHED,
}


class Changes:
    """Keeps the newest changes until they are read; what is lost, surveys make up for."""

    def __init__(self) -> None:
        self._kept: deque[StateChange] = deque(maxlen=KEPT_MAX)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()

    def listeners(self, host: str) -> tuple[Heard, Callable[[], None]]:
        """What one host's connection calls, from libvirt's thread."""

        def heard(vm: str, event: int, detail: int) -> None:
            word = _MOVES.get((event, detail)) or _WORDS.get(event)
            if word is not None:
                self._put(StateChange(host, host, word, datetime.now(UTC), UUID(vm)))

        def lost() -> None:
            self._put(StateChange(host, host, Change.LOST, datetime.now(UTC)))

        return heard, lost

    async def stream(self) -> AsyncIterator[StateChange]:
        """Changes as they come, from now on."""
        self._loop = asyncio.get_running_loop()
        while True:
            while self._kept:
                yield self._kept.popleft()
            self._woken.clear()
            if not self._kept:
                await self._woken.wait()

    def _put(self, change: StateChange) -> None:
        self._kept.append(change)
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: nobody listens any more
                self._loop.call_soon_threadsafe(self._woken.set)
