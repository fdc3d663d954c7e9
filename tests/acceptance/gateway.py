"""A real `vmgate serve` process over simulated hosts, and a client of it.

Several of them on one configuration are several gateways on one database and one world.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import ClientConnectionError, ClientSession, encode_basic_auth

PASSWORD = "a password of the tests"
READY_WITHIN_S = 60.0
_PATIENCE_S = 60.0
_LOOK_EACH_S = 0.02
_LOOK_EACH_MOST_S = 0.25
_RARER = 1.25
CONFIG = """
[store]
data_dir = "{home}"
[tasks]
lease_s = {lease_s}
heartbeat_s = {heartbeat_s}
margin_s = {margin_s}
poll_s = 0.05
drain_s = 10
[observers]
period_s = {period_s}
unknown_after_s = {unknown_after_s}
lease_s = 2
spacing_s = 0.05
[log]
level = "warning"
[[enterprises]]
name = "tests"
[[users]]
login = "admin"
enterprise = "tests"
privileges = ["ALL"]
password_env = "TEST_PASSWORD"
[hypervisor.sim]
kind = "simulated"
type = "KVM"
[hypervisor.sim.options]
world = "{home}/world.sqlite"
call_timeout_s = {call_timeout_s}
delay_s = {delay_s}
relocation_s = {relocation_s}
datastore_bytes = {datastore_bytes}
[[datacenters]]
name = "datacenter"
[[datacenters.datastores]]
name = "shared"
shared = true
[[datacenters.templates]]
name = "tiny"
source = "tiny"
disk_bytes = 1073741824
ram_mib = 512
types = ["KVM"]
[[virtualdatacenters]]
name = "vdc"
enterprise = "tests"
datacenter = "datacenter"
type = "KVM"
network = "10.0.0.0/16"
[[datacenters.racks]]
name = "rack"
{hosts}
"""
HOST = """
[[datacenters.racks.hosts]]
name = "host-{n}"
hypervisor = "sim"
address = "sim://host-{n}?cpus={cpus}&ram_mib=65536"
datastores = ["shared"]
"""


@dataclass(slots=True)
class Place:
    """A configuration file, the environment its gateways run in, and what they write on standard
    error, if it is kept."""

    home: Path
    config: Path
    environ: dict[str, str]
    log: Path | None = None

    @property
    def world(self) -> str:
        """The file of the simulated world."""
        return str(self.home / "world.sqlite")


def place(
    home: Path, database_url: str | None, *, hosts: int = 4, cpus: int = 16, **more: Any
) -> Place:
    """A configuration of `hosts` simulated hosts; `more` changes times and sizes."""
    values: dict[str, Any] = {
        **{"lease_s": 1.5, "heartbeat_s": 0.3, "margin_s": 0.3, "period_s": 0.5},
        **{"unknown_after_s": 1.5, "delay_s": 0, "relocation_s": 0.2, "datastore_bytes": 2**43},
        "call_timeout_s": 2,
        **more,
    }
    rows = "".join(HOST.format(n=n, cpus=cpus) for n in range(1, hosts + 1))
    home.mkdir(parents=True, exist_ok=True)
    config = home / "gateway.toml"
    config.write_text(CONFIG.format(home=home, hosts=rows, **values))
    environ = {**os.environ, "TEST_PASSWORD": PASSWORD}
    environ.pop("DATABASE_URL", None)
    if database_url is not None:
        environ["DATABASE_URL"] = database_url
    return Place(home, config, environ)


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@dataclass(slots=True)
class Gateway:
    """One process and a session with it."""

    place: Place
    session: ClientSession
    port: int = field(default_factory=free_port)
    probe_port: int = field(default_factory=free_port)
    process: asyncio.subprocess.Process | None = None
    user: tuple[str, str] = ("admin", PASSWORD)

    @property
    def base(self) -> str:
        """Where the API is."""
        return f"http://127.0.0.1:{self.port}/api"

    async def start(self, role: str = "all") -> None:
        """Start, and wait until it is ready."""
        await self.launch(role)
        await self.ready()

    async def launch(self, role: str = "all") -> None:
        """Start only."""
        log = None if self.place.log is None else self.place.log.open("ab")
        try:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "gateway", "serve", "-c", str(self.place.config)),
                *("--role", role),
                env=self.place.environ
                | {"PORT": str(self.port), "PROBE_PORT": str(self.probe_port)},
                cwd=Path(__file__).parents[2],
                stderr=log,
            )
        finally:
            if log is not None:
                log.close()

    async def ready(self) -> None:
        """Wait for /readyz."""
        url = f"http://127.0.0.1:{self.probe_port}/readyz"
        async with asyncio.timeout(READY_WITHIN_S):
            while True:
                assert self.process is not None
                assert self.process.returncode is None, "the gateway ended"
                try:
                    async with self.session.get(url) as answer:
                        if answer.status == 200:
                            return
                except ClientConnectionError:
                    pass
                await pause()

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    async def kill(self) -> None:
        """kill -9."""
        await self.stop(signal.SIGKILL)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it and wait for that."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)
            await self.process.wait()

    async def call(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
        """Status and JSON body; `path` below /api, or a whole address."""
        url = path if path.startswith("http") else f"{self.base}/{path}"
        headers = {"Authorization": encode_basic_auth(*self.user)}
        async with self.session.request(method, url, json=body, headers=headers, **more) as answer:
            kind = answer.headers.get("Content-Type", "")
            return answer.status, await answer.json(content_type=None) if "json" in kind else None

    async def get(self, path: str) -> Any:
        """The body of a GET that must work."""
        status, body = await self._call_patiently("GET", path)
        assert status == 200, (path, status, body)
        return body

    async def appliance(self, name: str = "app") -> str:
        """A new virtual appliance's path."""
        vdc = (await self.get("cloud/virtualdatacenters"))["collection"][0]
        path = f"cloud/virtualdatacenters/{vdc['id']}/virtualappliances"
        status, made = await self.call("POST", path, {"name": name})
        assert status == 201, made
        return f"{path}/{made['id']}"

    async def make(self, appliance: str, **fields: Any) -> str:
        """A new VM's path."""
        vdc = "/".join(appliance.split("/")[:3])
        template = (await self.get(f"{vdc}/action/templates"))["collection"][0]
        href = href_of(template, "edit")
        body = {**fields, "links": [{"rel": "virtualmachinetemplate", "href": href}]}
        status, made = await self.call("POST", f"{appliance}/virtualmachines", body)
        assert status == 201, made
        return f"{appliance}/virtualmachines/{made['id']}"

    async def accept(self, method: str, path: str, body: Any = None) -> str:
        """The task of a request that must be accepted."""
        status, accepted = await self._call_patiently(method, path, body)
        assert status == 202, (path, status, accepted)
        return href_of(accepted, "status")

    async def _call_patiently(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Again while the store does not answer, if it says that nothing was promised."""
        async with asyncio.timeout(_PATIENCE_S):
            while "503-SERVICE-UNAVAILABLE" in str(answer := await self.call(method, path, body)):
                await pause(_LOOK_EACH_MOST_S)
        return answer

    async def end(self, task: str, within_s: float = 60.0) -> dict[str, Any]:
        """The task once it has ended."""
        found: dict[str, Any] = {}

        async def ended() -> bool:
            nonlocal found
            found = await self.get(task)
            return str(found["state"]).startswith("FINISHED") or found["stuck"]

        await until(ended, within_s)
        return found

    async def run(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Ask, and the task that succeeded."""
        task = await self.end(await self.accept(method, path, body))
        assert task["state"] == "FINISHED_SUCCESSFULLY", task
        return task


def href_of(body: Mapping[str, Any], rel: str) -> str:
    """The address of a link."""
    return str(next(one["href"] for one in body["links"] if one["rel"] == rel))


async def pause(for_s: float = _LOOK_EACH_S) -> None:
    """Let others run for a moment between two looks at another process."""
    loop = asyncio.get_running_loop()
    woken = asyncio.Event()
    loop.call_later(for_s, woken.set)
    await woken.wait()


async def until(seen: Callable[[], Any], within_s: float = 30.0) -> None:
    """Look again and again until `seen()` is true, the rarer the longer it takes: many who wait
    would keep the gateway from its work."""
    each_s = _LOOK_EACH_S
    async with asyncio.timeout(within_s):
        while not await seen():
            await pause(each_s)
            each_s = min(each_s * _RARER, _LOOK_EACH_MOST_S)


@asynccontextmanager
async def gateways(at: Place, count: int = 1) -> AsyncIterator[list[Gateway]]:
    """`count` gateways that serve; killed afterwards if they did not end."""
    async with ClientSession() as session:
        found = [Gateway(at, session) for _ in range(count)]
        try:
            for each in found:
                await each.launch()
            for each in found:
                await each.ready()
            yield found
        finally:
            for each in found:
                if "DATABASE_URL" not in at.environ:
                    await each.stop()  # the last user takes the embedded server down with it
                await each.kill()
