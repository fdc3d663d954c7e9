"""The sequencer moves the outbox to the feed, soon after each commit and at least each second.

Every process runs one; they take turns on the head row, so any of them may die.
"""

import asyncio
import logging

from gateway.store import feed
from gateway.store.pool import Store, StoreError

_log = logging.getLogger(__name__)
TICK_S = 1.0
BATCH = 2000


class Sequencer:
    """Runs until cancelled; `poke` makes it look now."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._poked = asyncio.Event()

    def poke(self) -> None:
        """Something was committed: look at the outbox soon."""
        self._poked.set()

    async def flush(self) -> int:
        """Move everything that is committed now; returns the feed's head afterwards."""
        while True:
            async with self._store.transaction() as c:
                moved = await feed.sequence(c, BATCH)
                head = await feed.head(c)
            if moved < BATCH:
                return head

    async def run(self) -> None:
        """Flush on pokes and ticks; an unavailable store is tried again."""
        while True:
            try:
                async with asyncio.timeout(TICK_S):
                    await self._poked.wait()
            except TimeoutError:
                pass
            self._poked.clear()
            try:
                await self.flush()
            except StoreError as away:
                _log.warning("the feed waits for the store: %s", away)
