"""Advising: what would make a refused request fit, found off the event loop and in bounded time.

A refusal waits for its advice for a moment at most, and never fails for want of it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import msgspec

from gateway.store import occupants
from gateway.store.pool import Store, StoreError
from gateway.tasks.planner import Planner
from scheduler.advice.message import encode
from scheduler.placement import Refusal

_log = logging.getLogger(__name__)
WITHIN_S = 5.0
"""The first advice of a process waits for another one to start; later ones take milliseconds."""
Ask = Callable[[bytes], Awaitable[bytes]]
"""Answers a message of `scheduler.advice.message`, in another process; raises OSError."""


class Adviser:
    """Advice on the refusals of a planner."""

    def __init__(self, store: Store, planner: Planner, ask: Ask) -> None:
        self._store = store
        self._planner = planner
        self._ask = ask

    async def advise(self, refusal: Refusal) -> list[dict[str, Any]]:
        """Rows of advice on a refusal given at this very moment, smallest change first.

        Empty when there is none, or none in time.
        """
        scene, nearest = self._planner.vicinity(refusal)
        if not nearest:
            return []
        try:
            async with asyncio.timeout(WITHIN_S):
                async with self._store.read() as c:
                    residents = await occupants.of_hosts(c, scene.hosts)
                    holds = await occupants.holds(c, scene.hosts)
                    loads = await occupants.loads(c)
                # How far relocations go is not anybody's to set while the service runs.
                known = replace(
                    scene.around, loads=loads, residents=residents, holds=holds, widens=False
                )
                message = encode(replace(scene, around=known), nearest)
                rows: list[dict[str, Any]] = msgspec.json.decode(await self._ask(message))
                return rows
        except (TimeoutError, StoreError, OSError) as trouble:
            _log.warning("a refusal goes without advice: %s", trouble or "it was not found in time")
            return []
