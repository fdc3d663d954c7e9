"""The keeper takes checkpoints when they are due, and drops what no kept decision needs.

Every process has one; the store lets one at a time do the work.
"""

import asyncio
import logging

from gateway.config.model import DecisionsSection
from gateway.events.sequencer import Sequencer
from gateway.service.analysis_process import AnalysisPool
from gateway.store.capacity import checkpoints, decisions
from gateway.store.capacity.checkpoints import CheckpointPace
from gateway.store.db.pool import Store, StoreError

_log = logging.getLogger(__name__)
TICK_S = 30.0
BATCH = 2000
_ONLY_THE_FIRST = CheckpointPace(changes=2**31 - 1, seconds=2**31 - 1)


class Checkpointer:
    """Keeps decisions repeatable, and the store within its bounds."""

    def __init__(self, store: Store, section: DecisionsSection, thinker: AnalysisPool) -> None:
        self._store = store
        self._section = section
        self._thinker = thinker
        self._pace = CheckpointPace(section.checkpoint_changes, section.checkpoint_s)

    async def begin(self, sequencer: Sequencer) -> None:
        """Take the very first checkpoint: before it no decision could be made again."""
        await checkpoints.take(self._store, _ONLY_THE_FIRST, sequencer.flush)

    async def run(self) -> None:
        """Until cancelled; a store that is away is waited for."""
        while True:
            try:
                await self.round()
            except StoreError as away:
                _log.warning("keeping decisions waits for the store: %s", away)
            await asyncio.sleep(TICK_S)

    async def round(self) -> None:
        """Once: a checkpoint if it is due, then everything that is too old, bit by bit."""
        async with self._store.read() as c:
            due = await checkpoints.due(c, self._pace)
        if due:
            await self._thinker.checkpoint(self._store, self._pace)
        while await self._trim():
            pass

    async def _trim(self) -> bool:
        """Drop some of what is too old; whether there may be more."""
        days, most = self._section.retention_days, self._section.rows_max
        async with self._store.transaction() as c:
            if not await checkpoints.alone(c):
                return False
            gone = await decisions.trim(c, days, most, BATCH)
            gone_too = await checkpoints.trim(c, BATCH)
        return BATCH in (gone, gone_too)
