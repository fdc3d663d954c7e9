"""A line between client and server that breaks exactly at COMMIT, before or after it arrives."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from enum import StrEnum
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

_SOCKET = ".s.PGSQL.5432"


class Break(StrEnum):
    """Which half of the exchange is lost."""

    REQUEST = "the server never hears COMMIT"
    ANSWER = "the server commits, the client never hears of it"


@contextlib.asynccontextmanager
async def breaking_line(url: str, folder: Path, where: Break) -> AsyncIterator[str]:
    """The address of the line to the server at `url`; every COMMIT breaks its session."""
    parts = urlsplit(url)
    server = Path(parse_qs(parts.query)["host"][0]) / _SOCKET

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(server)
        back = asyncio.create_task(_pour(from_server, writer))
        try:
            while sent := await reader.read(65536):
                if b"COMMIT;" in sent:
                    back.cancel()
                    await asyncio.wait([back])
                    if where is Break.ANSWER:
                        to_server.write(sent)
                        await from_server.read(1)
                    return
                to_server.write(sent)
        finally:
            back.cancel()
            to_server.close()
            writer.close()

    socket = folder / _SOCKET
    async with await asyncio.start_unix_server(relay, socket):
        yield f"{parts.scheme}://{parts.netloc}{parts.path}?host={quote(str(folder))}"


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while received := await reader.read(65536):
        writer.write(received)
