"""Waiting for something to be in the store, with pauses in which others have the processor."""

import asyncio
from contextlib import suppress
from typing import Any

from gateway.store.db.pool import Store

_EACH_S = 0.03


async def breath() -> None:
    """Let others work between two looks."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_EACH_S):
            await asyncio.Event().wait()


async def until(store: Store, statement: str, *values: object, within_s: float = 20.0) -> Any:
    """The first row's first value that is neither null nor false."""
    async with asyncio.timeout(within_s):
        while True:
            async with store.read() as c:
                found = await c.fetchval(statement, *values)
            if found:
                return found
            await breath()
