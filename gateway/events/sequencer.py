"""The sequencer moves the outbox to the feed, soon after each commit and at least each second.

Every process runs one; they take turns on the head row, so any of them may die.
"""

import asyncio
import logging

from gateway.events.event import Event, emit
from gateway.store import appliance_state
from gateway.store.db.pool import Connection, Store, StoreError
from gateway.store.feed import feed

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
                told = await self._tell_appliances(c, head - moved) if moved else 0
            if moved < BATCH and not told:
                return head

    async def _tell_appliances(self, c: Connection, position: int) -> int:
        """An event for each appliance that its VMs brought into another state."""
        found = await appliance_state.changed(c, position)
        for one in found:
            await emit(
                c,
                Event(
                    "VIRTUAL_APPLIANCE",
                    "STATE_CHANGE",
                    one.id,
                    message=f"{one.name} is {one.state}, was {one.before}",
                    enterprise_id=one.enterprise_id,
                    entity_name=one.name,
                    details={"before": one.before, "state": one.state},
                ),
            )
        return len(found)

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
