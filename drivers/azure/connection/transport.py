"""The last step before the wire: the permit is asked here, and nothing is sent twice from here.

aiohttp by itself repeats a PUT or DELETE whose connection ends without a reply, though the server
may have done it: that is forbidden here. Changes go on connections that were not used before, so
that none fails because a kept one was closed meanwhile.
"""

from typing import Any

import aiohttp
from azure.core.pipeline.transport import AioHttpTransport, AsyncHttpTransport

from drivers.contract import Permit

GUARD = "vmgate_guard"
"""How a call hands its guard down the SDK's pipeline."""


class Guard:
    """One change: its permit, and whether it may have reached Azure."""

    def __init__(self, permit: Permit) -> None:
        self._permit = permit
        self.began = False

    def pass_(self) -> None:
        """Right before sending; raises LeaseLost."""
        self._permit.check()
        self.began = True


class Transport(AsyncHttpTransport[Any, Any]):  # type: ignore[misc]
    """Two sessions: one that keeps its connections, for looks, and one that keeps none."""

    def __init__(self, *, ca_file: str, timeout_s: float) -> None:
        verify: Any = ca_file or True
        given: dict[str, Any] = {
            "connection_verify": verify,
            "connection_timeout": timeout_s,
            "read_timeout": timeout_s,
        }
        self._given = given
        self._reading: AioHttpTransport | None = None
        self._changing: AioHttpTransport | None = None

    async def open(self) -> None:
        """Make both sessions, once."""
        if self._reading is None:
            self._reading = self._made(aiohttp.TCPConnector(limit=0))
            self._changing = self._made(aiohttp.TCPConnector(limit=0, force_close=True))

    async def send(self, request: Any, **config: Any) -> Any:
        """Send once; raises LeaseLost when the permit is gone, else what AioHttpTransport does."""
        await self.open()
        guard: Guard | None = config.pop(GUARD, None)
        session = self._reading if request.method == "GET" else self._changing
        assert session is not None
        if request.method != "GET":
            assert guard is not None, "a change needs a permit"
            guard.pass_()
        return await session.send(request, **config)

    async def close(self) -> None:
        """Close both."""
        for each in (self._reading, self._changing):
            if each is not None:
                await each.session.close()

    async def __aenter__(self) -> "Transport":
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _made(self, connector: aiohttp.TCPConnector) -> AioHttpTransport:
        session = aiohttp.ClientSession(
            connector=connector,
            middlewares=(_not_again,),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=True,
        )
        return AioHttpTransport(session=session, session_owner=False, **self._given)


class Severed(aiohttp.ClientError):
    """The connection ended without a reply; aiohttp repeats nothing after an error it knows not."""


async def _not_again(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as ended:
        if request.method == "GET":
            raise
        raise Severed(str(ended)) from ended


def never_connected(error: BaseException) -> bool:
    """Whether a failed send positively had no connection to send on."""
    cause = error.__cause__
    return isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
