"""Whether a task is to be cancelled, as the process that runs it knows: from its claim, from each
transaction behind its fence, and from the notification that wakes a running call."""

import asyncio

from gateway.store.tasks.tasks import Cancel
from gateway.tasks.lease import now_s


class CancelSignal:
    """The cancellation of one task; once requested it stays so."""

    def __init__(self, known: Cancel | None = None, patience_s: float = 6.0) -> None:
        self.by = ""
        self._patience_s = patience_s
        self._since_s: float | None = None
        self._event = asyncio.Event()
        self.learn(known)

    def learn(self, known: Cancel | None) -> None:
        """Take over what the store has on record."""
        if known is not None and self._since_s is None:
            self.by = known.by
            self._since_s = now_s() - known.age_s
            self._event.set()

    @property
    def requested(self) -> bool:
        """Whether somebody asked for it. May be read from any thread."""
        return self._since_s is not None

    def for_s(self) -> float:
        """Seconds since it was requested, 0 when it was not."""
        return 0.0 if self._since_s is None else now_s() - self._since_s

    @property
    def left_s(self) -> float:
        """Seconds for which hosts that do not answer are still waited for."""
        return max(0.0, self._patience_s - self.for_s())

    @property
    def expired(self) -> bool:
        """Whether the task ends now, with whatever can be known."""
        return self.requested and self.left_s <= 0.0

    async def wait(self) -> None:
        """Return once it is requested."""
        await self._event.wait()
