"""HTTP on one connection: aiohttp's protocol, which tells the table of connections what it waits
for, and whose own errors are short and never repeat what was sent."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

from aiohttp import web

from gateway.api.http.problems import refusal
from gateway.api.http.reply_headers import SERVER
from gateway.service.connections import ConnectionTable, Ended, OpenConnection, Phase

_log = logging.getLogger(__name__)
_CONTINUE, _FAILED = "100-continue", "EXPECTATION-FAILED"
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class HttpProtocol(web.RequestHandler):
    """One connection, from its acceptance to its end."""

    def __init__(
        self, server: web.Server, table: ConnectionTable, place: OpenConnection, **more: Any
    ) -> None:
        super().__init__(server, **more)
        self._table = table
        self._place = place
        self._request: web.BaseRequest | None = None
        self._ahead = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client may send."""
        socket = cast(asyncio.Transport, transport)  # uvloop's are of no class of asyncio
        self._place.abort = socket.abort
        self._place.unsent = socket.get_write_buffer_size
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection is gone, whoever ended it."""
        self._table.release(self._place)
        super().connection_lost(exc)

    def data_received(self, sent: bytes) -> None:
        """Bytes of the client."""
        if sent and self._place.phase is Phase.IDLE:
            self._table.enter(self._place, Phase.HEADERS)
        request = self._request
        if sent and request is not None and request.content.is_eof():
            self._ahead = True
        try:
            super().data_received(sent)
        except Exception as wrong:  # a fault of the parser is the client's only
            self._table.ended[Ended.MALFORMED] += 1
            _log.warning("a request could not be parsed: %s", type(wrong).__name__)
            self._place.abort()
        if self._place.phase is Phase.BODY and request is not None and request.content.is_eof():
            self._table.enter(self._place, Phase.BUSY)

    def begin(self, request: web.BaseRequest) -> None:
        """A request is handled from now on."""
        self._request = request
        self._ahead = False
        whole = request.content.is_eof()
        self._table.enter(self._place, Phase.BUSY if whole else Phase.BODY)

    def end(self) -> None:
        """The request was handled. What came after it may be part of the next one."""
        self._request = None
        self._table.enter(self._place, Phase.HEADERS if self._ahead else Phase.IDLE)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP. Neither the answer nor the log repeats it: it may hold
        credentials."""
        if status < 500:
            self._table.ended[Ended.MALFORMED] += 1
            answer = _refusal(status, "400-BAD-REQUEST", "The request is not well-formed HTTP")
        else:
            if isinstance(exc, ConnectionError):
                raise exc
            _log.error("a request failed outside its handler", exc_info=exc)
            answer = _refusal(
                status, "500-INTERNAL-SERVER-ERROR", "An unexpected error; it was logged"
            )
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already")
        answer.force_close()
        return answer

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """What aiohttp logs of a connection that failed, less its own words: they name headers."""
        _log.error("a connection failed", exc_info=kw.get("exc_info"))


def _refusal(status: int, code: str, message: str) -> web.Response:
    """An answer that no application prepares, with the headers that all answers have."""
    answer = refusal(status, code, message)
    answer.headers.update({"Server": SERVER, "X-Content-Type-Options": "nosniff"})
    return answer


def tracked(handler: Handler) -> Handler:
    """`handler`, for requests of an HttpProtocol, which is told of the begin and the end.

    An `Expect` is answered here: aiohttp answers it before any middleware, and repeats it.
    """

    async def handled(request: web.BaseRequest) -> web.StreamResponse:
        protocol = request.protocol
        assert isinstance(protocol, HttpProtocol)
        protocol.begin(request)
        try:
            if request.headers.get("Expect", _CONTINUE).lower() != _CONTINUE:
                return _refusal(417, f"417-{_FAILED}", "Expect: only 100-continue is known")
            return await handler(request)
        finally:
            protocol.end()

    return handled
