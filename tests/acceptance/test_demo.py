"""The demo is the first thing a newcomer runs: every step is seen to work, and its end says so."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.lab import vcenter
from tests.lab.hosts import missing

STEPS = {
    *("log in", "create from a template", "deploy", "pause", "resume", "power off gracefully"),
    *("power on", "reset", "list relocation candidates", "relocate live", "ask for too much"),
    "undeploy",
}
AZURE_STEPS = {
    *("log in", "create from a template", "deploy", "pause is refused", "relocate is refused"),
    *("power off gracefully", "power on", "power off hard", "power on again"),
    *("deallocated by somebody else", "ask for too much", "undeploy"),
}


async def run(home: Path, *words: str) -> tuple[int, list[str]]:
    """The exit status and the lines of a demo that ends by itself."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *words, "--no-keep"),
        env={**os.environ, "PORT": "0", "PROBE_PORT": "0", "DATA_DIR": str(home)},
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode().splitlines()


def servers(home: Path) -> list[Path]:
    """PostgreSQL servers that run below a folder."""
    return list(home.rglob("postmaster.pid"))


def told(lines: list[str]) -> dict[str, Any]:
    """The last line, which is one JSON object."""
    found: dict[str, Any] = json.loads(lines[-1])
    return found


async def test_on_simulated_hosts_twice(tmp_path: Path) -> None:
    """On a fresh folder, and again on what the first time left there."""
    for _ in range(2):
        status, lines = await run(tmp_path, "gateway", "demo")
        summary = told(lines)
        assert (status, summary["ok"]) == (0, True), lines
        assert set(summary["steps"]) == STEPS
        assert summary["host_before"] != summary["host_after"]
        assert summary["hypervisor"].startswith("simulated VMX_04")
        assert any("oversubscribed" in line and "esxi-11" in line for line in lines)


@pytest.mark.xdist_group("kvm")
async def test_on_real_hosts(tmp_path: Path) -> None:
    """Two real libvirt/QEMU hosts come up, are used, and are gone afterwards."""
    if missing():
        pytest.skip(missing())
    status, lines = await run(tmp_path, "tests.lab.demo")
    summary = told(lines)
    assert (status, summary["ok"]) == (0, True), lines
    assert summary["hypervisor"].startswith("QEMU")
    assert {summary["host_before"], summary["host_after"]} == {"lab-1", "lab-2"}
    assert not servers(tmp_path)


async def test_on_the_hosts_of_a_vcenter(tmp_path: Path) -> None:
    """Through the vSphere API, vMotion among it; the vCenter is gone afterwards."""
    if vcenter.missing():
        pytest.skip(vcenter.missing())
    status, lines = await run(tmp_path, "tests.lab.vcenter_demo")
    summary = told(lines)
    assert (status, summary["ok"]) == (0, True), lines
    assert set(summary["steps"]) == STEPS
    assert summary["hypervisor"].startswith("VMware ESXi")
    assert summary["host_before"] != summary["host_after"]
    assert summary["host_before"][:6] == summary["host_after"][:6]  # a move stays in its rack
    assert not servers(tmp_path)
    assert not (tmp_path / "vcenter").exists()


async def test_on_an_arm_simulator(tmp_path: Path) -> None:
    """M-022, M-075 to M-078, M-116: what off means in Azure, and what is refused there."""
    status, lines = await run(tmp_path, "tests.lab.azure_demo")
    summary = told(lines)
    assert (status, summary["ok"]) == (0, True), lines
    assert set(summary["steps"]) == AZURE_STEPS
    assert summary["hypervisor"].startswith("azurecompute-arm")
    assert any("still charged" in line and "gracefully" in line for line in lines)
    assert any("no longer charged" in line and "hard" in line for line in lines)
    assert 0 < summary["seconds_to_see_it"] < 10
    assert not servers(tmp_path)


async def test_a_demo_that_fails_says_where_and_ends_with_1(tmp_path: Path) -> None:
    """A datacenter without hosts: the failed step is named, in the text and in the JSON."""
    config = (Path(__file__).parents[2] / "configs/demo.toml").read_text()
    head, *racks = config.split("[[datacenters.racks]]")
    empty = tmp_path / "empty.toml"
    tail = racks[-1].split("[[virtualdatacenters]]", 1)[1]
    empty.write_text(f"{head}[[virtualdatacenters]]{tail}")
    status, lines = await run(tmp_path / "home", "gateway", "demo", "--config", str(empty))
    summary = told(lines)
    assert (status, summary["ok"]) == (1, False)
    assert summary["failure"].startswith("deploy: ")
