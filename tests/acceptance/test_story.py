"""M-150, M-153: the main job through a public Abiquo client, on each kind of hosts."""

import asyncio
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.gateway import PASSWORD, Gateway, gateways, href_of, place
from tests.acceptance.real_hosts import on_lab
from tests.acceptance.story import Story, whole_story
from tests.acceptance.vcenter_hosts import on_vcenter
from tests.lab import guest
from tests.lab.configuration import Times
from tests.lab.hosts import Lab
from tests.lab.vcenter import Rule, VCenter

BOOTS_WITHIN_S = 60.0
HALF_WAY = 50
"""Percent at which the lab's vCenter holds a task."""


def story_of(gateway: Gateway, meanwhile: Callable[[], None] = lambda: None) -> Story:
    """One whose tasks are looked at each moment, and what is done then."""
    waiting = threading.Event()

    def look() -> None:
        waiting.wait(0.02)
        meanwhile()

    return Story(gateway.base, gateway.user, look)


async def test_on_simulated_hosts(database_url: str, tmp_path: Path) -> None:
    async with gateways(place(tmp_path, database_url)) as (gateway,):
        story = story_of(gateway)
        before, after = await asyncio.to_thread(whole_story, story, lambda times: None)
        assert before != after
        await asyncio.to_thread(story.act, "undeploy", "NOT_ALLOCATED")


async def test_on_esxi_hosts(vc: VCenter, database_url: str, tmp_path: Path) -> None:
    """M-020, M-023, M-024, M-027, M-029: vMotion, seen half way, and back; the guest never starts
    anew, and the last to be asked is the button of its power."""
    async with gateways(on_vcenter(vc, tmp_path, database_url)) as (gateway,):
        held: list[Rule] = []

        def goes_on() -> None:
            if held and ("RELOCATING", HALF_WAY) in story.shown:
                held.pop().remove()

        story = story_of(gateway, goes_on)
        vc.forget_calls()
        before, after = await asyncio.to_thread(whole_story, story, lambda times: None)
        boots = vc.calls()["PowerOnVM_Task"] + vc.calls()["ResetVM_Task"]
        on = (await asyncio.to_thread(story.machine)).json
        assert on["cpuMeasuredInMhz"] >= 0, "measured beside what is promised"
        assert on["ramMeasuredInMb"] > 0
        back = await asyncio.to_thread(story.candidates)
        assert back[before].type == "VMX_04"
        had = story.room(back[before])
        (store,) = had.keys() - {"cpu", "ram"}
        assert had["cpu"][0] - had["cpu"][1] == story.vm.cpu
        assert had["ram"][0] - had["ram"][1] == story.vm.ram
        assert had[store][0] == had[store][1], "a shared disk stays where it is"
        held.append(vc.fault("RelocateVM_Task", "taskhold"))
        again = await asyncio.to_thread(story.relocate)
        assert again == (after, before)
        assert vc.calls()["RelocateVM_Task"] == 2
        assert vc.calls()["PowerOnVM_Task"] + vc.calls()["ResetVM_Task"] == boots
        await asyncio.to_thread(story.power, "OFF", graceful=True)
        assert "PowerOffVM_Task" not in vc.calls()
        await asyncio.to_thread(story.act, "undeploy", "NOT_ALLOCATED")
        assert vc.named("VirtualMachine").keys() == {"template-1"}


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
