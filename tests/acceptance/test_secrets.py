"""Faults S12: secrets of the gateway are seen by none of its children, and told nowhere.

Each secret of these tests is a canary: a text that nothing else contains.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.acceptance.gateway import Gateway, Place, gateways, pause, place, until

CANARY = "canary-7f3a91"
SECRET_NAMES = ("TEST_PASSWORD", "PGPASSWORD", "SOME_API_KEY", "AZURE_CLIENT_SECRET")


def secretive(at: Place) -> Place:
    """The place, with every secret of its gateway a canary."""
    secrets = {name: f"{CANARY}-{name}" for name in SECRET_NAMES}
    return replace(at, environ={**at.environ, **secrets}, log=at.home / "gateway.log")


def programs() -> Iterator[tuple[int, bytes, bytes]]:
    """Each program that we may look into: its number, its words, its environment."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes()
            yield int(entry.name), words, (entry / "environ").read_bytes()


async def test_no_child_of_a_gateway_has_a_secret(tmp_path: Path) -> None:
    """Our PostgreSQL, the process that advises, and those that compute, while they run."""
    at = secretive(place(tmp_path, None, hosts=1))
    async with gateways(at) as (gateway,):
        gateway.user = ("admin", at.environ["TEST_PASSWORD"])
        vm = await gateway.make(await gateway.appliance(), cpu=1000)
        task = await gateway.end(await gateway.accept("POST", f"{vm}/action/deploy"))
        assert task["state"] == "FINISHED_UNSUCCESSFULLY"
        asking = asyncio.create_task(_compute(gateway))
        seen: dict[str, bytes] = {}

        async def all_seen() -> bool:
            _look(gateway, at, seen)
            return seen.keys() >= {"postgres", "advice_process", "analysis_process"}

        try:
            await until(all_seen)
        finally:
            asking.cancel()
        for name, environ in seen.items():
            assert CANARY.encode() not in environ, name
            assert b"PATH=" in environ, name


async def _compute(gateway: Gateway) -> None:
    """Have processes compute headroom, one after the other."""
    datacenter = (await gateway.get("admin/datacenters"))["collection"][0]["id"]
    while True:
        await gateway.get(f"admin/headroom?datacenter={datacenter}")
        await pause()


def _look(gateway: Gateway, at: Place, seen: dict[str, bytes]) -> None:
    """Note the environment of each child; fail for any program but the gateway with a secret."""
    assert gateway.process is not None
    found = list(programs())
    # Its children use the place of their environment for what `ps` shows.
    postmaster = int((at.home / "postgres/data/postmaster.pid").read_text().split()[0])
    own = {words for number, words, _ in found if number == gateway.process.pid}
    for number, words, environ in found:
        # Between fork and exec a child still shows its parent's words and environment.
        # Another test may run a gateway of its own, which is given its secrets, too.
        if number == gateway.process.pid or words in own or b"-m\x00gateway\x00" in words:
            continue
        assert CANARY.encode() not in environ, words
        for name in ("advice_process", "analysis_process"):
            if f"gateway.service.{name}".encode() in words:
                seen[name] = environ
        if number == postmaster:
            seen["postgres"] = environ


async def test_no_secret_is_told(database_url: str, tmp_path: Path) -> None:
    """Not in logs at level debug, events, errors, answers or metrics, whatever was asked."""
    at = secretive(place(tmp_path, database_url, hosts=1))
    at.config.write_text(at.config.read_text().replace('"warning"', '"debug"'))
    told = []
    async with gateways(at) as (gateway,):
        password = at.environ["TEST_PASSWORD"]
        gateway.user = ("admin", password)
        vm = await gateway.make(await gateway.appliance())
        await gateway.run("POST", f"{vm}/action/deploy")
        for user in (
            ("admin", f"{password}x"),
            ("nobody", password),
            ("admin\n", password),
            ("admin", f"{password}\x00"),
        ):
            gateway.user = user
            told.append(str(await gateway.call("GET", "login")))
        gateway.user = ("admin", password)
        paths = ("login?expand=privileges", "events?limit=0", "admin/enterprises", "nothing")
        told += [str(await gateway.call("GET", path)) for path in paths]
        probe = f"http://127.0.0.1:{gateway.probe_port}/metrics"
        async with gateway.session.get(probe) as answer:
            told.append(await answer.text())
    assert at.log is not None
    told.append(at.log.read_text())
    for each in told:
        assert each
        assert CANARY not in each


@pytest.mark.parametrize(
    ("command", "url"),
    [
        ("check-config", "postgresql://app:{canary}@127.0.0.1:port/none"),
        ("serve", "postgresql://app:{canary}@127.0.0.1:port/none"),
        ("migrate", "postgresql://app:{canary}@[::1/none"),
        ("migrate", "postgresql://app:{canary}/x@127.0.0.1:1/none"),
        ("migrate", "postgresql://127.0.0.1:1/none?password={canary}&sslmode=never"),
        ("migrate", "mysql://app:{canary}@127.0.0.1/none"),
        ("migrate", "{canary}"),
    ],
)
async def test_no_command_tells_a_secret(tmp_path: Path, command: str, url: str) -> None:
    """Not where the database's address cannot be read, either: one line says what it should be."""
    at = secretive(place(tmp_path, url.format(canary=CANARY)))
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", command, "-c", str(at.config)),
        env=at.environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=Path(__file__).parents[2],
    )
    told, _ = await running.communicate()
    assert CANARY not in told.decode()
    assert "Traceback" not in told.decode()
    assert running.returncode == (0 if command == "check-config" else 2)
