"""A service under measurement: `gateway serve` as a program of its own, ended whatever happens."""

import asyncio
import base64
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession

from bench.ground import VAR, Ground

PASSWORD = "bench password"
_READY_WITHIN_S = 60.0
_END_WITHIN_S = 30.0
_LOOK_EACH_S = 0.01
_BUCKET = re.compile(r'^vmgate_loop_lag_seconds_bucket\{le="([^"]+)"\} (\S+)$', re.MULTILINE)


class BenchFailed(Exception):
    """What was not seen to work: its figures would mean nothing."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service that is ready; `ready_s` is how long that took from its start."""

    ground: Ground
    running: asyncio.subprocess.Process
    ready_s: float
    session: ClientSession

    async def token(self) -> str:
        """A token of the administrator."""
        given = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
        headers = {"Authorization": f"Basic {given}"}
        where = f"http://127.0.0.1:{self.ground.port}/api/login"
        async with self.session.get(where, headers=headers) as answer:
            return answer.headers["X-Abiquo-Token"]

    async def get(self, path: str, token: str) -> Any:
        """The JSON of a path below /api."""
        where = f"http://127.0.0.1:{self.ground.port}/api/{path}"
        async with self.session.get(where, headers={"Authorization": f"Token {token}"}) as answer:
            if answer.status != 200:
                raise BenchFailed(f"GET {path} answered {answer.status}")
            return await answer.json(content_type=None)

    async def metrics(self) -> str:
        """What the probes tell."""
        async with self.session.get(_probe(self.ground, "metrics")) as answer:
            return await answer.text()

    async def lag(self) -> dict[float, float]:
        """How many wakings of the event loop were at most so many seconds late."""
        return {float(le): float(n) for le, n in _BUCKET.findall(await self.metrics())}

    async def ready(self) -> bool:
        """Whether it says so now."""
        async with self.session.get(_probe(self.ground, "readyz")) as answer:
            return answer.status == 200

    async def open_tasks(self) -> int:
        """Tasks that are not done."""
        metrics = await self.metrics()
        return sum(_value(metrics, f'vmgate_tasks{{state="{one}"}}') for one in _OPEN)

    async def hosts_seen(self) -> int:
        """Hosts that were surveyed and answered."""
        return _value(await self.metrics(), 'vmgate_hosts{reachable="true"}')

    def cpu_s(self) -> float:
        """Seconds of CPU the service used so far, without its PostgreSQL."""
        stat = Path(f"/proc/{self.running.pid}/stat").read_text()
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def resident_mib(self) -> float:
        """The memory the service has in use (VmRSS), without its PostgreSQL."""
        status = Path(f"/proc/{self.running.pid}/status").read_text()
        found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
        assert found is not None
        return int(found[1]) / 1024


_OPEN = ("queued", "running", "stuck")


@asynccontextmanager
async def served(ground: Ground, role: str = "all") -> AsyncIterator[Service]:
    """A service on this ground, until the block ends; what it had to say is shown if it fails."""
    log = ground.folder / f"{role}.log"
    began_s = time.perf_counter()
    with log.open("ab") as said:
        running = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "gateway", "serve", "-c", str(ground.configuration), "--role", role),
            env=_environment(),
            cwd=VAR.parent,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,  # Ctrl-C is ours to answer
        )
    try:
        async with ClientSession() as session:
            await until(lambda: _ready(session, ground, running), within_s=_READY_WITHIN_S)
            yield Service(ground, running, time.perf_counter() - began_s, session)
    except BaseException:
        print(log.read_text()[-4000:], file=sys.stderr)
        raise
    finally:
        await end(running)


def _environment() -> dict[str, str]:
    """Ours, without what would move the service elsewhere."""
    moved = {"PORT", "PROBE_PORT", "DATA_DIR", "DATABASE", "DATABASE_URL"}
    kept = {name: value for name, value in os.environ.items() if name not in moved}
    return {**kept, "VMGATE_ADMIN_PASSWORD": PASSWORD}


async def end(running: asyncio.subprocess.Process) -> None:
    """Ask a program to end, and see to it that it does."""
    with suppress(ProcessLookupError):
        running.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_END_WITHIN_S):
            await running.wait()
    except TimeoutError:
        print("a service did not end on SIGTERM and was killed", file=sys.stderr)
        running.kill()
        await running.wait()


async def until(
    true: Callable[[], Awaitable[bool]], *, within_s: float, each_s: float = _LOOK_EACH_S
) -> None:
    """Return once `true` says so; BenchFailed when it never does."""
    end_s = time.monotonic() + within_s
    while not await true():
        if time.monotonic() > end_s:
            raise BenchFailed(f"not within {within_s:g} s")
        await asyncio.sleep(each_s)


async def _ready(
    session: ClientSession, ground: Ground, running: asyncio.subprocess.Process
) -> bool:
    if running.returncode is not None:
        raise BenchFailed(f"the service ended with status {running.returncode}")
    try:
        async with session.get(_probe(ground, "readyz")) as answer:
            return answer.status == 200
    except ClientError:
        return False


def _probe(ground: Ground, name: str) -> str:
    return f"http://127.0.0.1:{ground.probe_port}/{name}"


def _value(metrics: str, name: str) -> int:
    found = re.search(rf"^{re.escape(name)} (\S+)$", metrics, re.MULTILINE)
    return int(float(found[1])) if found else 0
