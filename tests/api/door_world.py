"""The API of the small world behind a real listener, spoken to in bytes."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from gateway.api.routes import build_app
from gateway.api.services import AppServices
from gateway.events.sequencer import Sequencer
from gateway.placement.fleet_mirror import FleetMirror
from gateway.service.connections import ConnectionLimits, ConnectionTable
from gateway.service.listener import ListenAddress, listening
from gateway.store.db.pool import Store
from tests.api import vm_world
from tests.api.vm_client import CAPABILITIES

HOST = b"Host: gateway.test\r\n"
ADMIN = b"Authorization: Token token-of-admin\r\n"
LIST = b"GET /api/cloud/virtualmachines HTTP/1.1\r\n" + HOST + ADMIN + b"\r\n"
PUBLIC = b"GET /api/version HTTP/1.1\r\n" + HOST + b"\r\n"
WITHIN_S = 20.0


@dataclass(frozen=True, slots=True)
class Reply:
    """A response as it was sent."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        """The first error of the body."""
        assert self.headers["content-type"].startswith("application/vnd.abiquo.errors+json")
        found: dict[str, Any] = json.loads(self.body)["collection"][0]
        return found


@dataclass(frozen=True, slots=True)
class Door:
    """A listener and its table."""

    port: int
    table: ConnectionTable
    store: Store
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection that has sent nothing, closed with the listener at the latest."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        return reader, writer

    async def close(self) -> None:
        """Close all connections, whatever they still hold."""
        for writer in self.writers:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def send(self, sent: bytes, *, end: bool = False) -> Reply:
        """The response to bytes on a connection of their own; with `end`, no more will come."""
        reader, writer = await self.connect()
        with contextlib.suppress(ConnectionError):
            writer.write(sent)
            await writer.drain()
        if end:
            writer.write_eof()
        return await answer(reader)


async def answer(reader: asyncio.StreamReader) -> Reply:
    """The next response."""
    async with asyncio.timeout(WITHIN_S):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        return Reply(int(first.split()[1]), headers, body)


async def closed(reader: asyncio.StreamReader) -> bytes:
    """What still comes until the other side closes."""
    rest = b""
    async with asyncio.timeout(WITHIN_S):
        with contextlib.suppress(ConnectionError):
            while more := await reader.read(65536):
                rest += more
    return rest


@contextlib.asynccontextmanager
async def opened(
    store: Store, limits: ConnectionLimits | None = None, **more: Any
) -> AsyncIterator[Door]:
    """The API over the small world behind a listener with those limits; `more` of its services."""
    await vm_world.build(store)
    planner = FleetMirror(store, Sequencer(store))
    await planner.load()
    fields: dict[str, Any] = {"public_url": "http://gateway.test", **more}
    services = AppServices(
        store=store,
        planner=planner,
        capabilities=CAPABILITIES,
        secret=b"secret of the tests, 32 bytes ok",
        wake=lambda: None,
        hypervisors={"sim": "KVM", "vc": "VMX_04"},
        **fields,
    )
    table = ConnectionTable("api", limits or ConnectionLimits())
    async with listening(build_app(services), ListenAddress("127.0.0.1", 0), table) as port:
        door = Door(port, table, store)
        try:
            yield door
        finally:
            await door.close()
