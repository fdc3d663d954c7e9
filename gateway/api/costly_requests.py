"""Requests that cost much: a caller has few at a time, waits for a while, and is then told to.

A page of more than `ROWS_FREE` rows costs much, and so does what goes through the whole inventory.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from gateway.denial import Denied, Kind

ROWS_FREE = 100
AT_ONCE = 4
"""Costly requests that run at the same time, of all callers."""
PER_CALLER = 2
WAITING_PER_CALLER = 8
RETRY_AFTER_S = 1.0
_WHOLE = (
    "/admin/cluster",
    "/headroom",
    "/action/simulate",
    "/action/validate",
    "/action/relocatecandidates",
    "/table",
    "/plans",
)
"""What paths end in that go through the whole inventory."""


class CostlyRequests:
    """The costly requests that run or wait now, by caller."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._callers: dict[int, tuple[asyncio.Semaphore, int]] = {}

    @asynccontextmanager
    async def turn(self, caller: int) -> AsyncIterator[None]:
        """Wait for a slot; Denied 429 if too many of that caller wait already."""
        own, count = self._callers.get(caller, (asyncio.Semaphore(PER_CALLER), 0))
        if count >= PER_CALLER + WAITING_PER_CALLER:
            raise Denied(
                Kind.TOO_MANY,
                "429-TOO-MANY-REQUESTS",
                f"{count} costly requests of yours run or wait already; ask again later, or for "
                f"pages of at most {ROWS_FREE} rows",
                retry_after_s=RETRY_AFTER_S,
            )
        self._callers[caller] = (own, count + 1)
        try:
            async with own, self._slots:
                yield
        finally:
            count = self._callers[caller][1] - 1
            if count:
                self._callers[caller] = (own, count)
            else:
                del self._callers[caller]


COSTLY = web.AppKey("costly", CostlyRequests)


def is_costly(request: web.Request) -> bool:
    """Whether a request is one of those; a limit that is no number is refused elsewhere."""
    if request.path.rstrip("/").endswith(_WHOLE):
        return True
    limit = request.query.get("limit", "")
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 10):
        return False
    return int(limit) == 0 or int(limit) > ROWS_FREE
