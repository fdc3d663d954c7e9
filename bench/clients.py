"""Clients in a program of their own: `python -m bench.clients` reads its work from standard input.

They speak just enough HTTP over kept connections to cost far less than what they measure, and
each sends its next request once the last was answered.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import uvloop

from bench.service import BenchFailed

CONNECTIONS = 32
BODY = '{"forceEnterpriseSoftLimits": false}'


@dataclass(frozen=True, slots=True)
class Work:
    """One POST for each path."""

    port: int
    paths: list[str]
    token: str = ""
    body: str = BODY
    connections: int = CONNECTIONS


@dataclass(frozen=True, slots=True)
class Result:
    """How many seconds all took, and each; and how many answers were 202.

    `began_s` is by the monotonic clock, which all programs of a computer share.
    """

    began_s: float
    seconds: float
    latencies_s: list[float]
    accepted: int


async def drive(work: Work) -> Result:
    """Have clients in another program do the work; BenchFailed unless all was accepted."""
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.clients",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is ours to answer
    )
    try:
        told, _ = await running.communicate(json.dumps(asdict(work)).encode())
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()
    if running.returncode != 0:
        raise BenchFailed(f"the clients ended with status {running.returncode}")
    result = Result(**json.loads(told))
    if result.accepted != len(work.paths):
        raise BenchFailed(f"only {result.accepted} of {len(work.paths)} were accepted")
    return result


async def _all(work: Work) -> Result:
    requests = iter([_request(work, path) for path in work.paths])
    opened = [
        await asyncio.open_connection("127.0.0.1", work.port) for _ in range(work.connections)
    ]
    latencies_s: list[float] = []
    began_s = time.monotonic()
    accepted = await asyncio.gather(*(_client(*one, requests, latencies_s) for one in opened))
    seconds = time.monotonic() - began_s
    for _, writer in opened:
        writer.close()
    return Result(began_s, seconds, latencies_s, sum(accepted))


async def _client(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    requests: Iterator[bytes],
    latencies_s: list[float],
) -> int:
    """One connection's share; how many answers were 202."""
    accepted = 0
    for request in requests:
        began_s = time.perf_counter()
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        latencies_s.append(time.perf_counter() - began_s)
        accepted += head.startswith(b"http/1.1 202")
    return accepted


def _request(work: Work, path: str) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{work.port}\r\n"
        f"Authorization: Token {work.token}\r\nAccept: application/json\r\n"
        "Content-Type: application/vnd.abiquo.virtualmachinetask+json; version=5.1\r\n"
        f"Content-Length: {len(work.body)}\r\n\r\n{work.body}"
    ).encode()


def main() -> None:
    """Do the work and print the result."""
    work = Work(**json.load(sys.stdin))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(asdict(runner.run(_all(work)))))


if __name__ == "__main__":
    main()
