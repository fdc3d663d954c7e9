"""The pauses that Azure asks for: each is kept, within its change's time, and told meanwhile."""

import asyncio
import time
from uuid import UUID

from drivers.azure.connection.long_running import OperationState, OperationStatus
from drivers.azure.connection.retry_policy import backoff_s
from drivers.azure.faults import Reaction, RetryLater
from drivers.faults import Busy


class Pauses:
    """Of the changes of one subscription; a VM has one change at a time."""

    def __init__(self, name: str, first_s: float) -> None:
        self._name = name
        self._first_s = first_s
        self._told: dict[UUID, str] = {}

    def told(self, vm: UUID) -> str:
        """What a VM's change waits for now, empty while it goes on."""
        return self._told.get(vm, "")

    async def keep(self, vm: UUID, later: RetryLater, vain: int, until_s: float) -> None:
        """Wait as long as Azure says, else a little longer each time; raises Busy, at once, where
        that would be longer than `until_s` by the monotonic clock."""
        wait_s = later.wait_s or backoff_s(self._first_s, vain)
        if time.monotonic() + wait_s >= until_s:
            raise Busy(later.message, host=self._name) from later
        self._told[vm] = f"it is asked for again after {wait_s:.0f} s: {later.message}"
        try:
            await asyncio.sleep(wait_s)
        finally:
            self._told.pop(vm, None)

    async def after(self, vm: UUID, stand: OperationStatus, until_s: float) -> None:
        """Wait where an operation failed for something that passes; raises Busy."""
        if stand.end is OperationState.FAILED and stand.said.reaction is Reaction.LATER:
            await self.keep(vm, RetryLater(stand.said.words(), stand.said.pause_s), 0, until_s)
