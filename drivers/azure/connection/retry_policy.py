"""The one retry layer, in the SDK's pipeline in place of the SDK's own.

A look is made again after 429 and after a server's error, for as long as its caller waits. A
change is sent once: who wants it again must first look again, as its verb does.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from azure.core.pipeline.policies import AsyncHTTPPolicy

from drivers.azure.connection.rate_limit import Budget
from drivers.azure.faults import RetryLater, wait_said
from drivers.azure.options import AzureOptions

UNTIL = "vmgate_until_s"
"""How a look hands down until when, by the loop's clock, its caller waits."""
_AGAIN = (408, 429, 500, 502, 503, 504)
BACKOFF_MAX_S = 60.0
FRESH_S = 30.0
"""For longer no change waits for its turn: what was seen before it would be old."""


class Patience(AsyncHTTPPolicy[Any, Any]):  # type: ignore[misc]
    """Also keeps the subscription's budget, of changes and looks alike."""

    def __init__(
        self, budget: Budget, options: AzureOptions, refused: Callable[[], Awaitable[None]]
    ) -> None:
        """`refused` is called when Azure refuses our token."""
        super().__init__()
        self._refused = refused
        self._budget = budget
        self._backoff_s = options.backoff_s
        self._call_timeout_s = options.call_timeout_s

    async def send(self, request: Any) -> Any:
        """The reply; of a look that is refused for now, the last one that came in time."""
        until_s = float(request.context.options.pop(UNTIL, 0.0))
        method, url = request.http_request.method, request.http_request.url
        kind, vain = kind_of(method, url), 0
        if method != "GET" and (wait_s := self._budget.wait_s(kind)) > FRESH_S:
            raise RetryLater("the request limit of the subscription is reached", wait_s)
        while True:
            async with self._budget.turn(kind), asyncio.timeout(self._call_timeout_s):
                response = await self.next.send(request)
                reply = response.http_response
                self._budget.heard(kind, reply.headers)
            said_s = wait_said(reply)
            wait_s = backoff_s(self._backoff_s, vain) if said_s is None else said_s
            if reply.status_code == 429:
                self._budget.shut(kind, wait_s)
            if reply.status_code == 401:
                await self._refused()
            left_s = until_s - asyncio.get_running_loop().time()
            if method != "GET" or reply.status_code not in _AGAIN or wait_s >= left_s:
                return response
            await reply.read()  # its connection is free again
            vain += 1
            if reply.status_code != 429:  # else the turn waits
                await asyncio.sleep(wait_s)


def backoff_s(first_s: float, vain: int) -> float:
    """Twice as long each time, and never the same for all."""
    return float(min(BACKOFF_MAX_S, first_s * 2**vain) * random.uniform(0.5, 1.0))


def kind_of(method: str, url: str) -> str:
    """What Azure counts together, as far as can be told: the method and the kinds of things in
    the path, such as "POST virtualmachines/start"."""
    path = url.partition("?")[0].lower()
    kinds = path.rpartition("/providers/")[2].strip("/").split("/")
    single = "/*" if len(kinds) % 2 else ""
    return f"{method} {'/'.join(kinds[1::2])}{single}"
