"""A listener: accepts connections as far as its table has room, and serves an application."""

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from gateway.service.connections import ConnectionTable, Ended, OpenConnection
from gateway.service.http_protocol import HttpProtocol, tracked

_log = logging.getLogger(__name__)
BACKLOG = 1024
CLOSE_S = 5.0
SWEEP_EACH_S = 1.0
LINGER_S = 5.0
"""How long what is left of a body is still read after the answer."""
BACKSTOP_S = 5.0
"""How much later the libraries would close a connection than the table does."""
_NO_DESCRIPTOR = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE_S = 0.1
_FULL_BODY = (
    b'{"links":[],"collection":[{"code":"503-SERVICE-UNAVAILABLE",'
    b'"message":"Too many connections are open; try again"}]}'
)
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
    b"Content-Type: application/vnd.abiquo.errors+json; version=5.1\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_FULL_BODY), _FULL_BODY)
)


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where to listen; port 0 is any that is free."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None


@asynccontextmanager
async def listening(
    app: web.Application, endpoint: ListenAddress, table: ConnectionTable
) -> AsyncIterator[int]:
    """Serve `app` until the block ends; the port of the first address. Raises OSError."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_S)
    async with AsyncExitStack() as stack:
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        server = runner.server
        assert server is not None
        server.request_handler = tracked(server.request_handler)
        sockets = await _bound(endpoint)
        for each in sockets:
            stack.callback(each.close)
        accepting = _Acceptor(server, table, endpoint.tls)
        running = [asyncio.create_task(accepting.run(each)) for each in sockets]
        running.append(asyncio.create_task(_sweep(table)))
        stack.push_async_callback(_end, running)
        yield int(sockets[0].getsockname()[1])


class _Acceptor:
    """Makes connections of what listening sockets accept."""

    def __init__(
        self, server: web.Server, table: ConnectionTable, tls: ssl.SSLContext | None
    ) -> None:
        self._server = server
        self._table = table
        self._tls = tls
        self._opening: set[asyncio.Task[None]] = set()

    async def run(self, listener: socket.socket) -> None:
        """Accept until cancelled."""
        try:
            while True:
                await self._accept(listener)
                await asyncio.sleep(0)  # sock_accept does not yield while more wait
        finally:
            for each in self._opening:
                each.cancel()

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            accepted, address = await loop.sock_accept(listener)
        except OSError as trouble:
            if trouble.errno in _NO_DESCRIPTOR and not self._table.make_room():
                await asyncio.sleep(_PAUSE_S)
        else:
            self._open(accepted, str(address[0]))

    def _open(self, accepted: socket.socket, address: str) -> None:
        place = self._table.admit(address)
        if place is None:
            if self._tls is None:
                with suppress(OSError):
                    accepted.send(_FULL)
            accepted.close()
            return
        opening = asyncio.create_task(self._connect(accepted, place))
        place.abort = lambda: _cancel(opening)  # until the protocol has the connection
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)

    async def _connect(self, accepted: socket.socket, place: OpenConnection) -> None:
        loop = asyncio.get_running_loop()
        limits = self._table.limits
        secure: dict[str, Any] = {}
        if self._tls is not None:
            secure = {"ssl": self._tls, "ssl_handshake_timeout": limits.headers_s + BACKSTOP_S}

        def protocol() -> HttpProtocol:
            return HttpProtocol(
                self._server,
                self._table,
                place,
                loop=loop,
                access_log=None,
                auto_decompress=False,
                keepalive_timeout=limits.idle_s + BACKSTOP_S,
                lingering_time=LINGER_S,
            )

        connected = False
        try:
            await loop.connect_accepted_socket(protocol, accepted, **secure)
            connected = True
        except ssl.SSLError:
            self._table.ended[Ended.MALFORMED] += 1
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            if not connected:
                self._table.release(place)
                accepted.close()


def _cancel(opening: asyncio.Task[None]) -> None:
    opening.cancel()


async def _bound(endpoint: ListenAddress) -> list[socket.socket]:
    """A socket for each address of the host, as `asyncio.loop.create_server` has."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(
        endpoint.host or None, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    sockets: list[socket.socket] = []
    try:
        for family, kind, number, _, address in dict.fromkeys(found):
            one = socket.socket(family, kind, number)
            sockets.append(one)
            one.setblocking(False)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind(address)
            one.listen(BACKLOG)
    except BaseException:
        for one in sockets:
            one.close()
        raise
    return sockets


async def _sweep(table: ConnectionTable) -> None:
    while True:
        await asyncio.sleep(SWEEP_EACH_S)
        table.sweep()


async def _end(running: list[asyncio.Task[None]]) -> None:
    for each in running:
        each.cancel()
    await asyncio.gather(*running, return_exceptions=True)
