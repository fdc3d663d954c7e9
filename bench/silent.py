"""What 1,100 silent connections, and 1,100 with half a body, do to a good caller and to the probes.

The crowds take turns, so noise affects all alike. The good caller opens a connection for each
request, from the same address as the crowd. A probe is asked meanwhile. The crowd opens its
connections all at once: the first request after that waits behind them, and is a figure of its own.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress

from bench.figures import Line, line, middle, ratio, share
from bench.ground import fill, ground
from bench.service import BenchFailed, Service, served
from gateway.store.db.pool import Store

CROWD = 1100
ROUNDS = 3
EACH = 300
GAP_S = 0.005
_HALF = (
    "POST /api/cloud/virtualdatacenters HTTP/1.1\r\nHost: bench\r\nAuthorization: Token {token}\r\n"
    "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{"
)


async def measure() -> AsyncGenerator[Line, None]:
    """The p99 of a good caller alone and beside each crowd, and the probes' slowest answer."""
    async with ground() as made:
        async with Store.open(made.store()) as store:
            await fill(store, hosts=10, vms=100)
        async with served(made) as service:
            token = await service.token()
            silent, half = b"", _HALF.format(token=token).encode()
            crowds = {"alone": None, "silent": silent, "half_body": half}
            p99s: dict[str, list[float]] = {name: [] for name in crowds}
            firsts: dict[str, list[float]] = {name: [] for name in crowds}
            probes: dict[str, float] = dict.fromkeys(crowds, 0.0)
            for _ in range(ROUNDS):
                for name, sent in crowds.items():
                    async with _crowd(made.port, sent):
                        firsts[name].append(1000 * await _timed(service, token))
                        latencies_s, probe_s = await _good(service, token)
                    p99s[name].append(1000 * share(latencies_s, 99.0))
                    probes[name] = max(probes[name], 1000 * probe_s)
            ended = (await service.metrics()).count("vmgate_connections_ended_total")
    if not ended:
        raise BenchFailed("the service counts no connections")
    for name in crowds:
        yield line(
            "silent",
            f"p99_{name}",
            "ms",
            latency=middle(p99s[name]),
            ratio_to_alone=ratio(p99s[name], p99s["alone"]),
            first=middle(firsts[name]),
            slowest_probe=probes[name],
            connections=0 if name == "alone" else CROWD,
        )


@asynccontextmanager
async def _crowd(port: int, sent: bytes | None) -> AsyncIterator[None]:
    """Open CROWD connections that send these bytes and no others; open none for None."""
    writers = []
    for _ in range(0 if sent is None else CROWD):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent or b"")
        writers.append(writer)
    try:
        yield
    finally:
        for writer in writers:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()


async def _good(service: Service, token: str) -> tuple[list[float], float]:
    """Latencies of a good caller's requests, and the slowest answer of the probes meanwhile."""
    latencies_s, slowest_s = [], 0.0
    for n in range(EACH):
        latencies_s.append(await _timed(service, token))
        if n % 10 == 0:
            began_s = time.perf_counter()
            await _get(service.ground.probe_port, "/readyz", token)
            slowest_s = max(slowest_s, time.perf_counter() - began_s)
        await asyncio.sleep(GAP_S)
    return latencies_s, slowest_s


async def _timed(service: Service, token: str) -> float:
    """Return how long one request of the good caller took, in seconds."""
    began_s = time.perf_counter()
    await _get(service.ground.port, "/api/cloud/virtualmachines?limit=1", token)
    return time.perf_counter() - began_s


async def _get(port: int, path: str, token: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Token {token}\r\n"
    writer.write(f"{head}Connection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    if not answer.startswith(b"HTTP/1.1 200"):
        raise BenchFailed(f"{path} answered {answer[:60]!r}")
