"""Requests that cost much: a caller has few at a time, waits for a while, and is then told to.

A page of more than `ROWS_FREE` rows costs much, and so does what goes through the whole inventory.
Long pages are made one after the other: they compute, so two at once are no sooner done, and each
would hold up everybody else. The others mostly wait for a child process.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum

from aiohttp import web

from gateway.denial import ApiError, ErrorKind

ROWS_FREE = 100
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


class RequestCost(Enum):
    """Why a request costs much; the value is how many such run at once, of all callers."""

    LONG_PAGE = 1
    WHOLE_INVENTORY = 4


class CostlyRequests:
    """The costly requests that run or wait now, by caller."""

    def __init__(self) -> None:
        self._slots = {cost: asyncio.Semaphore(cost.value) for cost in RequestCost}
        self._callers: dict[int, tuple[asyncio.Semaphore, int]] = {}

    @asynccontextmanager
    async def turn(self, caller: int, cost: RequestCost) -> AsyncIterator[None]:
        """Wait for a slot; ApiError 429 if too many of that caller wait already."""
        own, count = self._callers.get(caller, (asyncio.Semaphore(PER_CALLER), 0))
        if count >= PER_CALLER + WAITING_PER_CALLER:
            raise ApiError(
                ErrorKind.TOO_MANY,
                "429-TOO-MANY-REQUESTS",
                f"{count} costly requests of yours run or wait already; ask again later, or for "
                f"pages of at most {ROWS_FREE} rows",
                retry_after_s=RETRY_AFTER_S,
            )
        self._callers[caller] = (own, count + 1)
        try:
            async with own, self._slots[cost]:
                yield
        finally:
            count = self._callers[caller][1] - 1
            if count:
                self._callers[caller] = (own, count)
            else:
                del self._callers[caller]


COSTLY = web.AppKey("costly", CostlyRequests)


def cost_of(request: web.Request) -> RequestCost | None:
    """Return why a request costs much, or None; a limit that is no number is refused elsewhere."""
    if request.path.rstrip("/").endswith(_WHOLE):
        return RequestCost.WHOLE_INVENTORY
    limit = request.query.get("limit", "")
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 10):
        return None
    return RequestCost.LONG_PAGE if int(limit) == 0 or int(limit) > ROWS_FREE else None
