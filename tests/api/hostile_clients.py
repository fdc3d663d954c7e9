"""Clients that send hostile requests over raw sockets and count how they are answered."""

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.api.hostile import HostileRequests

CLIENTS = 16
KEPT = 40
"""Requests on one connection, as long as the other side keeps it."""
PATIENCE_S = 30.0
_HALF_S = 0.02
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


@dataclass(slots=True)
class Answers:
    """How many answers had each status; 0 for none. `faults` are requests that were answered 5xx,
    `unanswered` those that were owed an answer and got none."""

    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    unanswered: list[bytes] = field(default_factory=list)


async def attack(port: int, requests: HostileRequests, count: int) -> Answers:
    """Send so many requests, by several clients at once."""
    found = Answers()
    left = iter(range(count))
    await asyncio.gather(*(_client(port, requests, left, found) for _ in range(CLIENTS)))
    return found


async def _client(
    port: int, requests: HostileRequests, left: Iterator[int], found: Answers
) -> None:
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for _ in range(KEPT):
                if next(left, None) is None:
                    return
                if not await _one(reader, writer, requests, found):
                    break
        finally:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def _one(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    requests: HostileRequests,
    found: Answers,
) -> bool:
    """Send the next request; whether the connection serves for another."""
    hostile = requests.next()
    head = body = b""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
        writer.write(hostile.sent)
        async with asyncio.timeout(PATIENCE_S if hostile.whole else _HALF_S):
            head = await reader.readuntil(b"\r\n\r\n")
            while head.startswith(b"HTTP/1.1 100"):
                head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            if length is not None and not hostile.sent.startswith(b"HEAD"):
                body = await reader.readexactly(int(length[1]))
    status = int(head.split()[1]) if head else 0
    found.statuses[status] += 1
    if status >= 500:
        found.faults.append((status, hostile.sent[:2000], body[:300]))
    if hostile.whole and not head:
        found.unanswered.append(hostile.sent[:2000])
    # What was cut or changed may leave a rest that the next answer would be about.
    return hostile.whole and 0 < status < 400 and b"Upgrade" not in hostile.sent
