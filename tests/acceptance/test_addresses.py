"""Addresses of hosts at the API and at start, against a real process (S1, S3, S13)."""

import asyncio
import stat
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.acceptance.gateway import Gateway, Place, gateways, place, until

KVM = """
[hypervisor.kvm]
kind = "kvm"
type = "KVM"
"""
HOSTILE = (
    "qemu+ext:///system?command={program}",
    "qemu+ssh://h/system?command={program}",
    "qemu+ssh://h/system?netcat={program}",
    "qemu+tls://h/system?no_verify=1&pkipath=/tmp",
    "qemu+ssh://-oProxyCommand={program}/system",
    "test:///etc/passwd",
    "qemu+tls://127.0.0.1/system",
    "qemu+tls://169.254.169.254/system",
    "qemu+tls://2130706433/system",
    "qemu:///system",
)


async def machines(gateway: Gateway) -> str:
    datacenter = (await gateway.get("admin/datacenters"))["collection"][0]
    racks = f"admin/datacenters/{datacenter['id']}/racks"
    rack = (await gateway.get(racks))["collection"][0]
    return f"{racks}/{rack['id']}/machines"


async def named(gateway: Gateway, name: str) -> dict[str, Any]:
    found = (await gateway.get(await machines(gateway)))["collection"]
    return next(one for one in found if one["name"] == name)


def new(name: str, address: str, hypervisor: str) -> dict[str, Any]:
    return {"name": name, "ip": address, "type": "KVM", "hypervisor": hypervisor}


async def executed(url: str, statement: str) -> None:
    c = await asyncpg.connect(url)
    try:
        await c.execute(statement)
    finally:
        await c.close()


async def refused(at: Place) -> str:
    """What `vmgate serve` says when it does not start: one line, status 2."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "serve", "-c", str(at.config)),
        env=at.environ | {"PORT": "0", "PROBE_PORT": "0"},
        cwd=Path(__file__).parents[2],
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode == 2, said.decode()
    return said.decode()


async def test_a_hostile_address_is_refused_before_anything_is_kept(
    database_url: str, tmp_path: Path
) -> None:
    """S1: 400 naming `ip` for POST and PUT; nothing was run, and no machine is there."""
    pytest.importorskip("libvirt")
    at = place(tmp_path / "home", database_url, hosts=1)
    at.config.write_text(at.config.read_text() + KVM)
    trace, program = tmp_path / "ran", tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {trace}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    async with gateways(at) as (gateway,):
        where = await machines(gateway)
        own = await named(gateway, "host-1")
        for n, each in enumerate(HOSTILE):
            address = each.format(program=program)
            status, body = await gateway.call("POST", where, new(f"h{n}", address, "kvm"))
            assert status == 400, address
            (problem,) = body["collection"]
            assert problem["field"] == "ip"
            assert str(program) not in problem["message"]
        for change in ("sim://x?cpus=abc", "sim://x?cpus=0", "sim://localhost", "sim://a b"):
            status, body = await gateway.call(
                "PUT", f"{where}/{own['id']}", {**own, "ip": change, "description": "new"}
            )
            assert (status, body["collection"][0]["field"]) == (400, "ip"), change
            status, body = await gateway.call("POST", where, new("h", change, "sim"))
            assert (status, body["collection"][0]["field"]) == (400, "ip"), change
        assert [one["name"] for one in (await gateway.get(where))["collection"]] == ["host-1"]
        assert (await named(gateway, "host-1"))["description"] == own["description"]
    assert not trace.exists()


async def test_a_recorded_address_that_cannot_be_used_is_that_hosts_trouble(
    database_url: str, tmp_path: Path
) -> None:
    """S3: earlier versions kept it. The process starts, says why at the machine, and others work;
    another address over the API mends it, without a restart."""
    at = place(tmp_path, database_url, hosts=1)
    async with gateways(at) as (gateway,):
        where = await machines(gateway)
        status, made = await gateway.call("POST", where, new("added", "sim://added", "sim"))
        assert status == 201
    await executed(
        database_url, "update host set address = 'sim://x?cpus=abc' where name = 'added'"
    )
    async with gateways(at) as (gateway,):

        async def told() -> bool:
            return "cpus" in (await named(gateway, "added"))["reason"]

        await until(told)
        bad = await named(gateway, "added")
        assert (bad["state"], bad["reachable"]) == ("STOPPED", False)
        events = (await gateway.get("events?limit=50"))["collection"]
        assert any("added" in str(one) and "cpus" in str(one) for one in events)
        vm = await gateway.make(await gateway.appliance())
        await gateway.run("POST", f"{vm}/action/deploy")
        status, _ = await gateway.call(
            "PUT", f"{where}/{made['id']}", {**bad, "ip": "sim://added?cpus=4", "state": "MANAGED"}
        )
        assert status == 200

        async def seen() -> bool:
            one = await named(gateway, "added")
            return (one["state"], one["cpu"], one["reason"]) == ("MANAGED", 4, "")

        await until(seen)
        assert gateway.process is not None
        assert gateway.process.returncode is None


async def test_an_address_belongs_to_one_block(database_url: str, tmp_path: Path) -> None:
    """S13: at POST and PUT, and at start when a configuration names recorded hosts anew."""
    at = place(tmp_path, database_url, hosts=2)
    async with gateways(at) as (gateway,):
        where = await machines(gateway)
        for address in ("sim://HOST-1.?cpus=2", "host-1", "sim://host-1"):
            status, body = await gateway.call("POST", where, new("again", address, "sim"))
            (problem,) = body["collection"]
            assert (status, problem["code"], problem["field"]) == (409, "MACHINE-7", "ip")
            assert "host-1 of hypervisor sim" in problem["message"]
        second = await named(gateway, "host-2")
        status, body = await gateway.call(
            "PUT", f"{where}/{second['id']}", {**second, "ip": "sim://host-1"}
        )
        assert (status, body["collection"][0]["code"]) == (409, "MACHINE-7")
    text = at.config.read_text()
    at.config.write_text(
        text.replace("hypervisor.sim", "hypervisor.again").replace('"sim"', '"again"')
    )
    said = await refused(at)
    assert (
        "host host-1 of hypervisor.again has the address of host host-1 of hypervisor.sim" in said
    )
    at.config.write_text(
        text.replace("sim://host-1?", "sim://host-3?").replace("sim://host-2?", "sim://host-1?")
    )
    async with gateways(at) as (gateway,):
        assert (await named(gateway, "host-2"))["ip"].startswith("sim://host-1?")
