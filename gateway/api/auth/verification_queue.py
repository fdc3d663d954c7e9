"""Verifications are made few at a time; who waits is served by address in turn.

So an address with a hundred requests holds up another one by one verification, not by a hundred.
"""

import asyncio
import contextlib
from collections import OrderedDict, deque
from collections.abc import AsyncIterator


class QueueFull(Exception):
    """Too many wait already, in all or from this address."""


class VerificationQueue:
    """At most `slots` are inside at once, `places` wait, and `each` of one address."""

    def __init__(self, slots: int, places: int, each: int) -> None:
        self._free = slots
        self._places = places
        self._each = each
        self._waiting = 0
        self._lines: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @contextlib.asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[None]:
        """Wait for a slot and hold it until the end of the block; raises QueueFull."""
        if self._free > 0:
            self._free -= 1
        else:
            await self._wait(address)
        try:
            yield
        finally:
            self._next()

    async def _wait(self, address: str) -> None:
        line = self._lines.get(address)
        if self._waiting >= self._places or (line is not None and len(line) >= self._each):
            raise QueueFull
        if line is None:
            line = self._lines[address] = deque()
        called = asyncio.get_running_loop().create_future()
        line.append(called)
        self._waiting += 1
        try:
            await called
        except asyncio.CancelledError:
            if called.done() and not called.cancelled():
                self._next()  # cancelled with the slot in hand
            raise

    def _next(self) -> None:
        """Give the slot to the first of the next address; whoever was cancelled is passed over."""
        while self._lines:
            address, line = self._lines.popitem(last=False)
            called = line.popleft()
            self._waiting -= 1
            if line:
                self._lines[address] = line
            if not called.done():
                called.set_result(None)
                return
        self._free += 1
