"""A store that is frozen or full (I8, I9): 503 with Retry-After, and the probes say so."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import encode_basic_auth

from gateway.api.routes import ROUTES
from gateway.store.db.embedded_server import Supervisor
from tests.acceptance.gateway import PASSWORD, Gateway, gateways, place, until

ANSWER_WITHIN_S = 30.0
BALLAST_BYTES = 2**20
WRITES_MAX = 3000


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where the test's own server lives."""
    return tmp_path / "server"


@pytest.fixture
def server(home: Path) -> Iterator[str]:
    """A server of the test's own, which may be frozen."""
    supervisor = Supervisor(home, options={"fsync": "off"})
    yield supervisor.start()
    supervisor.stop()


@pytest.fixture
def small_disk(home: Path) -> Iterator[Path]:
    """A file system of its own for the server."""
    home.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=160m,mode=755", "none", str(home)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root may mount a small file system")
    yield home
    subprocess.run(["umount", "-l", str(home)], check=True)


def processes(home: Path) -> list[int]:
    """The postmaster first, then all its children."""
    postmaster = int((home / "data" / "postmaster.pid").read_text().split("\n", 1)[0])
    found = [postmaster]
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            if f"\nPPid:\t{postmaster}\n" in status.read_text():
                found.append(int(status.parent.name))
    return found


@contextlib.contextmanager
def frozen(home: Path) -> Iterator[None]:
    """Nobody of the server runs."""
    stopped = processes(home)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextlib.asynccontextmanager
async def serving(tmp_path: Path, url: str) -> AsyncIterator[Gateway]:
    at = place(tmp_path / "gateway", url, hosts=2)
    async with gateways(at) as (gateway,):
        yield gateway


async def probed(gateway: Gateway, path: str) -> tuple[int, str]:
    url = f"http://127.0.0.1:{gateway.probe_port}{path}"
    async with gateway.session.get(url) as answer:
        return answer.status, await answer.text()


async def asked(gateway: Gateway, method: str, path: str) -> tuple[int, bool, str]:
    """Status, whether it says when to come back, and the text."""
    headers = {"Authorization": encode_basic_auth("admin", PASSWORD)}
    body: Any = {"name": "x"} if method in ("POST", "PUT") else None
    url = f"{gateway.base}{path}"
    async with gateway.session.request(method, url, json=body, headers=headers) as answer:
        return answer.status, "Retry-After" in answer.headers, await answer.text()


async def test_a_frozen_store_is_503_on_every_route_and_in_the_probes(
    tmp_path: Path, home: Path, server: str
) -> None:
    """Within a bounded time, with nothing promised; the process itself stays alive."""
    async with serving(tmp_path, server) as gateway:
        assert "\nvmgate_store_up 1.0\n" in (await probed(gateway, "/metrics"))[1]
        appliance = await gateway.appliance("before")
        with frozen(home):
            began_s = time.monotonic()
            status, said = await probed(gateway, "/readyz")
            assert (status, "store" in said) == (503, True)
            _, metrics = await probed(gateway, "/metrics")
            assert time.monotonic() - began_s < ANSWER_WITHIN_S / 2
            assert "\nvmgate_store_up 0.0\n" in metrics
            assert "vmgate_tasks{" not in metrics
            assert "vmgate_hosts{" not in metrics
            assert (await probed(gateway, "/livez"))[0] == 200
            began_s = time.monotonic()
            routes = [(method, re.sub(r"\{[^}]*\}", "1", path)) for method, path, _, _ in ROUTES]
            answers = await asyncio.gather(*(asked(gateway, *each) for each in routes))
            assert time.monotonic() - began_s < ANSWER_WITHIN_S
        for (method, path), (status, again, said) in zip(routes, answers, strict=True):
            assert status < 500 or (status == 503 and again), (method, path, status, said)
        unavailable = sum(status == 503 for status, _, _ in answers)
        assert unavailable > len(routes) / 2

        async def ready() -> bool:
            return (await probed(gateway, "/readyz"))[0] == 200

        await until(ready)
        metrics = (await probed(gateway, "/metrics"))[1]
        assert "\nvmgate_store_up 1.0\n" in metrics
        assert 'vmgate_hosts{reachable="true"}' in metrics
        found = (await gateway.get(appliance.rsplit("/", 1)[0]))["collection"]
        assert [one["name"] for one in found] == ["before"]


async def test_a_full_disk_is_503_and_told_by_readyz(
    tmp_path: Path, small_disk: Path, server: str
) -> None:
    """What needs no room goes on; nothing is 500, and what was refused was not made."""
    async with serving(tmp_path, server) as gateway:
        vdc = (await gateway.get("cloud/virtualdatacenters"))["collection"][0]["id"]
        path = f"/cloud/virtualdatacenters/{vdc}/virtualappliances"
        ballast = small_disk / "ballast"
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        made, answer = 1, (201, False, "")
        for _ in range(WRITES_MAX):
            answer = await asked(gateway, "POST", path)
            if answer[0] != 201:
                break
            made += 1
        status, again, said = answer
        assert (status, again) == (503, True), said
        status, said = await probed(gateway, "/readyz")
        assert status == 503
        assert "No space left" in said
        assert "\nvmgate_store_up 0.0\n" in (await probed(gateway, "/metrics"))[1]
        ballast.unlink()

        async def ready() -> bool:
            return (await probed(gateway, "/readyz"))[0] == 200

        await until(ready)
        assert (await asked(gateway, "POST", path))[0] == 201
        listed = await gateway.get(f"{path[1:]}?limit=1")
        assert listed["totalSize"] == made
        assert gateway.process is not None
        assert gateway.process.returncode is None
