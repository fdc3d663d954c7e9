"""Waiting for something to be in the store: on commits, not on time."""

import asyncio
from typing import Any

from gateway.store.pool import Store


async def until(store: Store, statement: str, *values: object, within_s: float = 20.0) -> Any:
    """The first row's first value that is neither null nor false."""
    async with asyncio.timeout(within_s):
        while True:
            async with store.read() as c:
                found = await c.fetchval(statement, *values)
            if found:
                return found
            await asyncio.sleep(0)
