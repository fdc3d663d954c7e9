"""I4, I5 on real hosts: silence is UNKNOWN, it heals by itself, and nobody else waits for it.

The libvirtd of one host is killed, then frozen, and then the host loses its power, each while
the other host goes on working.
"""

import asyncio
import time
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tests.acceptance.gateway import Gateway, gateways, until
from tests.acceptance.real_hosts import on_lab
from tests.lab import guest
from tests.lab.hosts import Lab, LabHost

pytestmark = pytest.mark.xdist_group("kvm")
LOOKS = 20
SLOWEST_S = 1.5
"""Far above what a look takes here, and far below every time-out of a frozen host."""


async def placed(gateway: Gateway, hosts: list[LabHost]) -> list[str]:
    """A running VM on each of these hosts, in their order."""
    appliance = await gateway.appliance()
    found = []
    for host in hosts:
        vm = await gateway.make(appliance)
        await gateway.run("POST", f"{vm}/action/deploy")
        if await host_of(gateway, vm) != host.name:
            await relocate(gateway, vm, host)
        found.append(vm)
    return found


async def host_of(gateway: Gateway, vm: str) -> str:
    shown = await gateway.get(vm)
    href = next(one["href"] for one in shown["links"] if one["rel"] == "machine")
    return str((await gateway.get(href))["name"])


async def relocate(gateway: Gateway, vm: str, target: LabHost) -> None:
    found = (await gateway.get(f"{vm}/action/relocatecandidates"))["collection"]
    one = next(each for each in found if each["name"] == target.name)
    edit = next(each["href"] for each in one["links"] if each["rel"] == "edit")
    body = {"links": [{"rel": "machine", "href": edit}]}
    await gateway.run("POST", f"{vm}/action/relocate", body)


async def state(gateway: Gateway, vm: str) -> str:
    return str((await gateway.get(f"{vm}/state"))["state"])


async def becomes(gateway: Gateway, vm: str, wanted: str, within_s: float = 30.0) -> None:
    async def seen() -> bool:
        return await state(gateway, vm) == wanted

    await until(seen, within_s)


async def busy_elsewhere(gateway: Gateway, vm: str) -> float:
    """Pause and resume a VM on the healthy host; the median seconds of one request."""
    took = []
    for wanted in ("PAUSED", "ON"):
        began_s = time.perf_counter()
        await gateway.run("PUT", f"{vm}/state", {"state": wanted})
        took.append(time.perf_counter() - began_s)
    for _ in range(LOOKS):
        began_s = time.perf_counter()
        await gateway.get(vm)
        took.append(time.perf_counter() - began_s)
    return median(took)


@pytest.mark.parametrize("fault", ["killed", "frozen", "power lost"])
async def test_one_host_in_trouble(
    lab: Lab, database_url: str, tmp_path: Path, fault: str, record_property: Any
) -> None:
    """An idle VM there is UNKNOWN soon and true again later; one that is being paused ends as
    the host really has it; requests to the other host keep their latency."""
    ill, well = lab.hosts
    begin = {"killed": ill.kill_daemon, "frozen": ill.freeze_daemon, "power lost": ill.power_loss}
    heal = {"killed": ill.start_daemon, "frozen": ill.thaw_daemon, "power lost": ill.boot}
    async with gateways(on_lab(lab, tmp_path, database_url)) as (gateway,):
        idle, busy, elsewhere = await placed(gateway, [ill, ill, well])
        uuids = [(await gateway.get(vm))["uuid"] for vm in (idle, busy)]
        boots = [await booted(lab, uuid) for uuid in uuids]
        quiet_s = await busy_elsewhere(gateway, elsewhere)
        pausing = asyncio.create_task(gateway.accept("PUT", f"{busy}/state", {"state": "PAUSED"}))
        await asyncio.to_thread(begin[fault])
        try:
            await pausing
            troubled_s = await busy_elsewhere(gateway, elsewhere)
            await becomes(gateway, idle, "UNKNOWN")
            assert (await gateway.get(idle))["uuid"] == uuids[0]  # never gone
            assert await state(gateway, elsewhere) == "ON"
        finally:
            await asyncio.to_thread(heal[fault])
        lost = fault == "power lost"
        await becomes(gateway, idle, "OFF" if lost else "ON")
        await settled(gateway, busy)
        for uuid, before in zip(uuids, boots, strict=True):
            assert lab.serial(uuid).count(guest.READY) == before  # nobody asked for a start
        assert ill.virsh("domstate", uuids[0]).strip() == ("shut off" if lost else "running")
        word = ill.virsh("domstate", uuids[1]).strip()
        await becomes(gateway, busy, {"running": "ON", "paused": "PAUSED", "shut off": "OFF"}[word])
        record_property("quiet_s", quiet_s)
        record_property("troubled_s", troubled_s)
        print(f"one request elsewhere: {quiet_s:.4f} s quiet, {troubled_s:.4f} s beside {fault}")
        assert troubled_s < quiet_s + SLOWEST_S
        for vm in (idle, busy, elsewhere):
            await gateway.run("POST", f"{vm}/action/undeploy")


async def booted(lab: Lab, uuid: str) -> int:
    """How often a guest has said it is ready; at least once."""

    async def ready() -> int:
        return lab.serial(uuid).count(guest.READY)

    await until(ready)
    return await ready()


async def settled(gateway: Gateway, vm: str) -> None:
    """All tasks of a VM have ended."""

    async def seen() -> bool:
        tasks = (await gateway.get(f"{vm}/tasks"))["collection"]
        return all(task["state"].startswith("FINISHED") for task in tasks)

    await until(seen, 60)
