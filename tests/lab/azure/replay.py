"""Recorded traffic played back: `async with Replay.start(exchanges) as arm:`. It knows no VMs.

Each recorded reply answers its own request once, in the order of the recording; what was not
recorded, or is asked once too often, is a miss: it is kept in `misses` and answered 501.
"""

from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from tests.lab.azure.recordings import ARM, Exchange, words_of
from tests.lab.azure.serving import served

# These are of the connection it was recorded on.
_NOT_OURS = ("content-encoding", "content-length", "transfer-encoding", "connection", "date")
_Key = tuple[str, str, tuple[tuple[str, str], ...]]


@dataclass(slots=True)
class Replay:
    """One that runs. `repeats`: a GET's last reply answers it again, counted in `repeated`."""

    base_url: str = ""
    ca_file: Path = Path()
    repeats: bool = False
    played: list[Exchange] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)
    repeated: int = 0
    _queues: dict[_Key, deque[Exchange]] = field(default_factory=lambda: defaultdict(deque))
    _last: dict[_Key, Exchange] = field(default_factory=dict)

    @classmethod
    @asynccontextmanager
    async def start(
        cls, recorded: Iterable[Exchange], home: Path | None = None, *, repeats: bool = False
    ) -> AsyncIterator["Replay"]:
        """One that runs inside `async with`."""
        replay = cls(repeats=repeats)
        for each in recorded:
            replay._queues[each.key].append(each)
        async with served(replay._serve, home) as (replay.base_url, replay.ca_file):
            yield replay

    @property
    def left(self) -> list[Exchange]:
        """What nobody has asked for yet."""
        return [each for queue in self._queues.values() for each in queue]

    async def _serve(self, request: web.Request) -> web.Response:
        await request.read()
        key = request.method, request.path.lower(), words_of(request.query_string)
        if self._queues.get(key):
            found = self._queues[key].popleft()
            self.played.append(found)
            self._last[key] = found
        elif self.repeats and request.method == "GET" and key in self._last:
            found = self._last[key]
            self.repeated += 1
        else:
            self.misses.append(f"{request.method} {request.path_qs}")
            error = {"code": "NotRecorded", "message": self.misses[-1]}
            return web.json_response({"error": error}, status=501)
        headers = {
            name: value.replace(ARM, self.base_url)
            for name, value in found.headers.items()
            if name not in _NOT_OURS
        }
        text = found.text.replace(ARM, self.base_url)
        return web.Response(status=found.status, headers=headers, body=text.encode())
