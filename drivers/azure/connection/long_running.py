"""Azure's long operations are polled for everybody at once: one poll of each, so many a second.

Whoever waits for an operation waits for the same polls. The more operations run, the rarer each is
polled. A poll that fails is no end: the operation goes on, and so does waiting for it, until nobody
has answered for `silence_s`.
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from drivers.azure.connection.arm import Arm, ArmOperation
from drivers.azure.faults import RetryLater, Said, said_in
from drivers.azure.options import AzureOptions
from drivers.faults import Busy, Unreachable

POLL_MAX_S = 120.0
"""Azure may say that an operation be asked for later; nobody waits longer for its end than this."""


class OperationState(StrEnum):
    """How an operation stands; UNKNOWN when Azure does not know it (any more)."""

    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class OperationStatus:
    """How an operation stands, why it failed, and after how long to ask again."""

    end: OperationState
    said: Said = Said("")  # noqa: RUF009 - it is frozen
    wait_s: float | None = None


class Operations:
    """Used in the driver's own loop only."""

    def __init__(self, arm: Arm, options: AzureOptions) -> None:
        self._arm = arm
        self._options = options
        self._followed: dict[str, asyncio.Task[OperationStatus]] = {}
        self._waiting: Counter[str] = Counter()

    async def ended(self, operation: ArmOperation) -> OperationStatus:
        """Wait for its end; RUNNING when it has not ended in its time. Once nobody waits any
        more, nobody polls. Raises Unreachable, Busy after a silence."""
        path = operation.path
        if not path:
            return OperationStatus(
                OperationState.DONE if operation.done else OperationState.UNKNOWN
            )
        following = self._followed.get(path)
        if following is None:
            following = self._followed[path] = asyncio.create_task(self._follow(operation))
        self._waiting[path] += 1
        try:
            async with asyncio.timeout(self._options.operation_timeout_s):
                return await asyncio.shield(following)
        except TimeoutError:
            return OperationStatus(OperationState.RUNNING)
        finally:
            self._waiting[path] -= 1
            if not self._waiting[path]:
                del self._waiting[path]
                following.cancel()
                self._followed.pop(path, None)

    async def stand(self, operation: ArmOperation) -> OperationStatus:
        """How it stands now; raises Unreachable, Busy."""
        try:
            return stand_of(*await self._arm.poll(operation))
        except RetryLater as later:
            raise Busy(later.message) from later

    async def _follow(self, operation: ArmOperation) -> OperationStatus:
        wait_s, heard_s = operation.wait_s, time.monotonic()
        while True:
            crowd_s = len(self._followed) / self._options.polls_per_s
            wait_s = min(wait_s, POLL_MAX_S) if wait_s is not None else self._options.poll_s
            await asyncio.sleep(max(wait_s, crowd_s))
            try:
                stand = await self.stand(operation)
            except (Unreachable, Busy):
                if time.monotonic() - heard_s >= self._options.silence_s:
                    raise
                wait_s = None
                continue
            heard_s = time.monotonic()
            if stand.end is not OperationState.RUNNING:
                return stand
            wait_s = stand.wait_s


def stand_of(status: int, body: Any, wait_s: float | None) -> OperationStatus:
    """What a poll says: in a body with a status, or by the status of the reply alone."""
    if status == 404:
        return OperationStatus(OperationState.UNKNOWN)
    word = str(body.get("status", "")).lower() if isinstance(body, dict) else ""
    if word in ("failed", "canceled"):
        return OperationStatus(OperationState.FAILED, said_in(body))
    if word == "succeeded" or (not word and status != 202):
        return OperationStatus(OperationState.DONE)
    return OperationStatus(OperationState.RUNNING, wait_s=wait_s)
