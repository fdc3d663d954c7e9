"""I1 on real hosts: kill -9 of the gateway at random moments, a live move among them.

After each restart nothing is lost and nothing is done twice: every task ends, no VM stays
LOCKED, the books balance, and each VM runs exactly where the record says.
"""

import asyncio
import random
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.store.db.pool import Store
from tests.acceptance.gateway import Gateway, gateways, pause, until
from tests.acceptance.real_hosts import on_lab
from tests.acceptance.test_real_faults import host_of, settled, state
from tests.lab import guest
from tests.lab.configuration import QUICK
from tests.lab.hosts import Lab
from tests.tasks.rig import books_balance

pytestmark = pytest.mark.xdist_group("kvm")
KILLS = 10
SEED = 20
LONGEST_S = 0.8
PATIENT = replace(QUICK, unknown_after_s=10)


async def act(gateway: Gateway, vm: str, rng: random.Random) -> None:
    """Ask for whatever this VM can do now."""
    match await state(gateway, vm):
        case "NOT_ALLOCATED":
            await gateway.call("POST", f"{vm}/action/deploy")
        case "ON" if rng.random() < 0.6:
            await gateway.call("POST", f"{vm}/action/relocate?target=any")
        case "ON":
            await gateway.call("PUT", f"{vm}/state", {"state": rng.choice(["OFF", "PAUSED"])})
        case "OFF" if rng.random() < 0.5:
            await gateway.call("POST", f"{vm}/action/undeploy")
        case "OFF" | "PAUSED":
            await gateway.call("PUT", f"{vm}/state", {"state": "ON"})
        case _:
            pass  # a task holds it


async def for_a_while(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    ends_s = loop.time() + seconds
    while loop.time() < ends_s:
        await pause()


async def killed_at_random(gateway: Gateway, vms: list[str], rng: random.Random) -> None:
    """Ask, kill, start and wait for all tasks to end, again and again."""
    for _ in range(KILLS):
        await asyncio.gather(*(act(gateway, vm, rng) for vm in vms))
        await for_a_while(rng.uniform(0, LONGEST_S))
        await gateway.kill()
        await gateway.start()
        for vm in vms:
            await settled(gateway, vm)


async def lives_where_recorded(gateway: Gateway, vm: str, lab: Lab) -> None:
    """The record and both hosts agree."""
    shown = await gateway.get(vm)
    uuid, seen = shown["uuid"], {}
    for host in lab.hosts:
        if uuid in host.virsh("list", "--all", "--uuid"):
            seen[host.name] = host.virsh("domstate", uuid).strip()
    if shown["state"] == "NOT_ALLOCATED":
        assert seen == {}
        return
    word = {"ON": "running", "PAUSED": "paused", "OFF": "shut off"}[shown["state"]]
    assert seen == {await host_of(gateway, vm): word}


async def volumes(lab: Lab) -> set[str]:
    lab.hosts[0].virsh("pool-refresh", "shared")  # the other host may have deleted some
    listed = lab.hosts[0].virsh("vol-list", "shared")
    return {line.split()[0] for line in listed.splitlines()[2:] if line.strip()}


async def test_killed_at_ten_random_moments(
    lab: Lab, store: Store, database_url: str, tmp_path: Path
) -> None:
    rng = random.Random(SEED)
    async with gateways(on_lab(lab, tmp_path, database_url, PATIENT)) as (gateway,):
        appliance = await gateway.appliance()
        vms = [await gateway.make(appliance) for _ in range(4)]
        await asyncio.gather(*(gateway.run("POST", f"{vm}/action/deploy") for vm in vms))
        await killed_at_random(gateway, vms, rng)
        async with store.read() as c:
            moves = await c.fetch("select result from task where kind = 'RELOCATE'")
            ends = await c.fetch("select result, error from task where result <> 'success'")
        assert moves, "no move was among them"
        assert not ends, ends
        for vm in vms:
            await recorded(gateway, vm)
            await lives_where_recorded(gateway, vm, lab)
        await books_balance(store, disks_measured=True)
        boots = {vm: lab.serial((await gateway.get(vm))["uuid"]) for vm in vms}
        assert all(guest.READY in said for said in boots.values())
        for vm in vms:
            if await state(gateway, vm) != "NOT_ALLOCATED":
                await gateway.run("POST", f"{vm}/action/undeploy")
        assert await volumes(lab) == {"guest.raw", "serial"}


async def recorded(gateway: Gateway, vm: str) -> None:
    """What a restart left open is known again."""

    async def known() -> bool:
        return await state(gateway, vm) in ("ON", "OFF", "PAUSED", "NOT_ALLOCATED")

    await until(known)


async def test_killed_in_the_middle_of_a_live_move(
    lab: Lab, store: Store, database_url: str, tmp_path: Path
) -> None:
    """The move goes on without us; it is watched to its end, never begun again."""
    async with gateways(on_lab(lab, tmp_path, database_url, PATIENT)) as (gateway,):
        appliance = await gateway.appliance()
        vm = await gateway.make(appliance)
        await gateway.run("POST", f"{vm}/action/deploy")
        uuid = (await gateway.get(vm))["uuid"]
        before = await host_of(gateway, vm)

        async def ready() -> bool:
            return guest.READY in lab.serial(uuid)

        await until(ready)
        task = await gateway.accept("POST", f"{vm}/action/relocate?target=any")

        async def begun() -> bool:
            return any(
                uuid in host.virsh("list", "--uuid") for host in lab.hosts if host.name != before
            )

        await until(begun)
        await gateway.kill()
        await gateway.start()
        assert (await gateway.end(task))["state"] == "FINISHED_SUCCESSFULLY"
        assert await host_of(gateway, vm) != before
        async with store.read() as c:
            intents = await c.fetchval(
                "select count(*) from journal where step = 'move' and entry = 'INTENT'"
            )
        assert intents == 1
        await lives_where_recorded(gateway, vm, lab)
        assert lab.serial(uuid).count(guest.READY) == 1
        await gateway.run("POST", f"{vm}/action/undeploy")
        await books_balance(store, disks_measured=True)
