"""The service around the API: TLS, probes, users who may do little, what it will not start."""

import asyncio
import json
import re
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import encode_basic_auth

from drivers.simulated.world import World
from tests.acceptance.gateway import PASSWORD, Gateway, Place, gateways, place, until
from tests.config.test_documents import metrics as metrics_of_source

TLS = """
[server]
tls_certificate = "{home}/certificate.pem"
tls_key = "{home}/key.pem"
"""
GUEST = """
[[users]]
login = "guest"
enterprise = "tests"
password_env = "TEST_PASSWORD"
"""


def with_more(at: Place, more: str) -> Place:
    at.config.write_text(at.config.read_text() + more)
    return at


def certify(home: Path) -> None:
    """A certificate of our own for this computer."""
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost"
    files = ("-keyout", str(home / "key.pem"), "-out", str(home / "certificate.pem"))
    names = ("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)


async def test_https_by_certificate_files(database_url: str, tmp_path: Path) -> None:
    """M-107: with a certificate the API speaks HTTPS, and only that."""
    at = with_more(place(tmp_path, database_url), TLS.format(home=tmp_path))
    certify(tmp_path)
    trusted = ssl.create_default_context(cafile=tmp_path / "certificate.pem")
    async with gateways(at) as (gateway,):
        secure = gateway.base.replace("http://", "https://")
        headers = {"Authorization": encode_basic_auth("admin", PASSWORD)}
        async with gateway.session.get(f"{secure}/login", headers=headers, ssl=trusted) as answer:
            assert answer.status == 200
            body = await answer.json(content_type=None)
            assert "Secure" in answer.headers["Set-Cookie"]
        assert all(one["href"].startswith("https://") for one in body["links"])


async def probe(gateway: Gateway, path: str) -> tuple[int, str]:
    url = f"http://127.0.0.1:{gateway.probe_port}{path}"
    async with gateway.session.get(url) as answer:
        return answer.status, await answer.text()


async def test_probes_need_no_credentials_and_no_hypervisor(
    database_url: str, tmp_path: Path
) -> None:
    """M-152: alive and ready while no host answers; the metrics tell of it."""
    at = place(tmp_path, database_url, hosts=2)
    async with gateways(at) as (gateway,):
        assert (await probe(gateway, "/livez"))[0] == 200
        assert (await probe(gateway, "/readyz"))[0] == 200
        world = World(at.world)
        for host in ("host-1", "host-2"):
            world.unreachable(host)

        async def told() -> bool:
            _, metrics = await probe(gateway, "/metrics")
            return 'vmgate_hosts{reachable="false"} 2.0' in metrics

        await until(told)
        assert (await probe(gateway, "/livez"))[0] == 200
        assert (await probe(gateway, "/readyz"))[0] == 200
        _, metrics = await probe(gateway, "/metrics")
        names = set(re.findall(r"^# TYPE (\S+)", metrics, re.MULTILINE))
        assert {"vmgate_tasks", "vmgate_claims_granted_total"} < set(metrics_of_source())
        assert {name for name in names if not name.endswith("_created")} == set(metrics_of_source())
        world.close()


async def test_a_user_who_may_only_look(database_url: str, tmp_path: Path) -> None:
    """M-135: the configuration's second user reads, and changes nothing."""
    at = with_more(place(tmp_path, database_url), GUEST)
    async with gateways(at) as (gateway,):
        vm = await gateway.make(await gateway.appliance())
        gateway.user = ("guest", PASSWORD)
        assert (await gateway.get(vm))["state"] == "NOT_ALLOCATED"
        for method, path in (
            ("POST", f"{vm}/action/deploy"),
            ("DELETE", vm),
            ("POST", f"{vm}/action/protect"),
            ("GET", "admin/datacenters"),
        ):
            status, body = await gateway.call(method, path)
            assert status == 403, (path, body)
        links = {one["rel"] for one in (await gateway.get(vm))["links"]}
        assert not links & {"deploy", "undeploy", "reset", "protect", "relocate"}


async def test_unreachable_is_unknown_and_heals(database_url: str, tmp_path: Path) -> None:
    """I4: silence is UNKNOWN, with the last known state kept; an answer makes it true again."""
    at = place(tmp_path, database_url, hosts=1)
    async with gateways(at) as (gateway,):
        vm = await gateway.make(await gateway.appliance())
        await gateway.run("POST", f"{vm}/action/deploy")
        world = World(at.world)
        calls = len(world.rows("select * from call"))
        world.unreachable("host-1")

        async def unknown() -> bool:
            return bool((await gateway.get(f"{vm}/state"))["state"] == "UNKNOWN")

        await until(unknown)
        world.reachable("host-1")

        async def known() -> bool:
            return bool((await gateway.get(f"{vm}/state"))["state"] == "ON")

        await until(known)
        assert len(world.rows("select * from call")) == calls  # nobody touched it
        world.close()


async def test_a_change_behind_our_back_is_seen_and_told(database_url: str, tmp_path: Path) -> None:
    """I5: somebody else powers the VM off: the record follows, and the feed tells it."""
    at = place(tmp_path, database_url, hosts=1)
    async with gateways(at) as (gateway,):
        vm = await gateway.make(await gateway.appliance())
        await gateway.run("POST", f"{vm}/action/deploy")
        uuid = (await gateway.get(vm))["uuid"]
        world = World(at.world)
        world.set_state(uuid, "OFF")

        async def off() -> bool:
            return bool((await gateway.get(f"{vm}/state"))["state"] == "OFF")

        await until(off)
        events = (await gateway.get(f"{vm}/events"))["collection"]
        assert any(one["performedBy"] == "SYSTEM" and "OFF" in one["message"] for one in events)
        world.close()


async def log_of_a_start(at: Place) -> list[bytes]:
    """What `vmgate serve` writes from its start until it was told to end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "serve", "-c", str(at.config)),
        env={**at.environ, "PORT": "0", "PROBE_PORT": "0"},
        stderr=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert process.stderr is not None
    lines = [await process.stderr.readline()]
    while b'"serving"' not in lines[-1]:
        lines.append(await process.stderr.readline())
        assert lines[-1], lines
    process.terminate()
    lines += (await process.stderr.read()).splitlines()
    assert await process.wait() == 0
    return lines


async def test_logs_are_json_and_tell_no_secret(database_url: str, tmp_path: Path) -> None:
    """Each line has its level and time; no password or token is in any of them."""
    at = place(tmp_path, database_url)
    at.config.write_text(at.config.read_text().replace('"warning"', '"debug"'))
    for line in await log_of_a_start(at):
        assert {"event", "level", "timestamp"} <= json.loads(line).keys()
        assert PASSWORD.encode() not in line


@pytest.mark.parametrize(
    ("server", "warned"),
    [
        ('host = "0.0.0.0"', True),
        ('host = "0.0.0.0"\npublic_url = "https://gateway.test"', False),
        ('host = "127.0.0.1"', False),
    ],
)
async def test_links_that_name_the_host_of_a_request_are_warned_of(
    database_url: str, tmp_path: Path, server: str, warned: bool
) -> None:
    """S11: where other computers reach the API and no public URL is set."""
    at = with_more(place(tmp_path, database_url), f"\n[server]\n{server}\n")
    at.config.write_text(at.config.read_text().replace('"warning"', '"info"'))
    said = b"".join(await log_of_a_start(at))
    assert (b"server.public_url is not set" in said) is warned, said


async def test_what_an_administrator_can_mend_is_one_line(tmp_path: Path) -> None:
    """A wrong configuration, a missing secret, a store that is not there: status 2, one line."""
    at = place(tmp_path, "postgresql://nobody@127.0.0.1:1/none")

    async def refused(environ: dict[str, str], *words: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", *words, "-c", str(at.config)),
            env=environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        _, said = await process.communicate()
        assert process.returncode == 2
        assert said.count(b"\n") == 1
        return said.decode()

    without = {name: value for name, value in at.environ.items() if name != "TEST_PASSWORD"}
    assert "TEST_PASSWORD" in await refused(without, "check-config")
    at.config.write_text(at.config.read_text().replace("[log]", "[lgo]"))
    said = await refused(at.environ, "check-config")
    assert "did you mean log?" in said
    assert re.search(r"gateway\.toml:\d+:", said)
