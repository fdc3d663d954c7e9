"""M-150, M-153: the main job through a public Abiquo client, on simulated and on real hosts."""

import asyncio
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.acceptance.gateway import PASSWORD, Gateway, gateways, href_of, place
from tests.acceptance.real_hosts import on_lab
from tests.acceptance.story import Story, whole_story
from tests.lab import guest
from tests.lab.configuration import Times
from tests.lab.hosts import Lab

BOOTS_WITHIN_S = 60.0


def story_of(gateway: Gateway) -> Story:
    waiting = threading.Event()
    return Story(gateway.base, gateway.user, lambda: waiting.wait(0.02) or None)


async def test_on_simulated_hosts(database_url: str, tmp_path: Path) -> None:
    async with gateways(place(tmp_path, database_url)) as (gateway,):
        story = story_of(gateway)
        before, after = await asyncio.to_thread(whole_story, story, lambda times: None)
        assert before != after
        await asyncio.to_thread(story.act, "undeploy", "NOT_ALLOCATED")


@pytest.mark.xdist_group("kvm")
async def test_on_real_hosts(lab: Lab, database_url: str, tmp_path: Path) -> None:
    """After the live move the guest has not restarted, and still answers its power button."""
    async with gateways(on_lab(lab, tmp_path, database_url, Times())) as (gateway,):
        story = story_of(gateway)

        def booted(times: int) -> None:
            ends_s = time.monotonic() + BOOTS_WITHIN_S
            while lab.serial(story.vm.uuid).count(guest.READY) < times:
                assert time.monotonic() < ends_s, "the guest does not boot"
                threading.Event().wait(0.02)

        before, after = await asyncio.to_thread(whole_story, story, booted)
        boots = lab.serial(story.vm.uuid).count(guest.READY)
        hosts = {host.name: host for host in lab.hosts}
        assert hosts[after].virsh("domstate", story.vm.uuid).strip() == "running"
        assert story.vm.uuid not in hosts[before].virsh("list", "--all", "--uuid")
        await asyncio.to_thread(story.power, "OFF", graceful=True)
        assert lab.serial(story.vm.uuid).count(guest.READY) == boots
        assert lab.serial(story.vm.uuid).count(guest.GOODBYE) == 2
        await asyncio.to_thread(story.act, "undeploy", "NOT_ALLOCATED")
        assert story.vm.uuid not in hosts[after].virsh("list", "--all", "--uuid")
        assert story.vm.uuid not in hosts[after].virsh("vol-list", "shared")


async def test_with_curl_only(database_url: str, tmp_path: Path) -> None:
    """M-107: what the documentation shows works with curl and Basic alone."""
    async with gateways(place(tmp_path, database_url)) as (gateway,):
        appliance = await gateway.appliance()
        vm = await gateway.make(appliance, label="by curl")

        async def curl(*options: str) -> str:
            asked = ["curl", "-sS", "-f", "-u", f"admin:{PASSWORD}", *options]
            done = await asyncio.to_thread(subprocess.run, asked, capture_output=True, check=False)
            assert done.returncode == 0, (done.stderr, done.stdout)
            return done.stdout.decode()

        accepted = await curl("-X", "POST", f"{gateway.base}/{vm}/action/deploy")
        assert '"rel":"status"' in accepted.replace(" ", "")
        tasks = await gateway.get(f"{vm}/tasks")
        await gateway.end(href_of(tasks["collection"][0], "self"))
        state = '{"state": "OFF"}'
        kind = "Content-Type: application/vnd.abiquo.virtualmachinestate+json"
        await curl("-X", "PUT", "-H", kind, "-d", state, f"{gateway.base}/{vm}/state")
        assert "by curl" in await curl(f"{gateway.base}/{vm}")
