"""I1, I3: accepted work survives what happens to processes: stopped, killed, or without a store."""

import asyncio
import signal
from pathlib import Path
from typing import Any

from aiohttp import ClientError

from drivers.simulated.world import World
from gateway.store.db.pool import Store
from tests.acceptance.gateway import Gateway, gateways, pause, place, until
from tests.tasks.rig import books_balance

VMS = 24
HOSTS = 4


async def each_vm(gateway: Gateway, count: int) -> list[str]:
    """That many new VMs' paths."""
    appliance = await gateway.appliance()
    return list(await asyncio.gather(*(gateway.make(appliance) for _ in range(count))))


async def test_a_worker_stopped_past_its_lease_changes_nothing_when_it_wakes(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    """SIGSTOP in the middle of a driver call; another takes over; SIGCONT: not even the guest
    boots again, and the task keeps the end it was given."""
    at = place(tmp_path, database_url, hosts=1, call_timeout_s=60)
    async with gateways(at, 2) as (first, second):
        await second.stop()
        vm, *_ = await each_vm(first, 1)
        await first.run("POST", f"{vm}/action/deploy")
        world = World(at.world)
        boots = world.rows("select boots from vm")[0]["boots"]
        world.freeze("host-1")
        task = await first.accept("POST", f"{vm}/action/reset")

        async def begun() -> bool:
            async with store.read() as c:
                return bool(
                    await c.fetchval(
                        "select 1 from journal where entry = 'INTENT' and "
                        "task_id = (select id from task where state "
                        "= 'running')"
                    )
                )

        await until(begun)
        first.send(signal.SIGSTOP)
        second.process = None
        await second.start()
        ended = await second.end(task.replace(first.base, second.base))
        assert ended["state"] == "FINISHED_UNSUCCESSFULLY"  # nobody can know, so nobody repeats it
        world.thaw("host-1")
        first.send(signal.SIGCONT)
        await first.ready()
        await first.run("PUT", f"{vm}/state", {"state": "PAUSED"})
        assert world.rows("select boots from vm")[0]["boots"] == boots
        assert not world.rows("select * from call where verb = 'reset'")
        assert (await first.get(task))["state"] == "FINISHED_UNSUCCESSFULLY"
        world.close()


async def test_the_store_killed_under_load_comes_back_by_itself(tmp_path: Path) -> None:
    """PostgreSQL dies by kill -9: every request that got its 202 still ends well."""
    at = place(tmp_path / "g", None, hosts=HOSTS, cpus=VMS)
    async with gateways(at) as (gateway,):
        vms = await each_vm(gateway, VMS)
        accepted: list[str] = []
        refused: list[int] = []

        async def churn(vm: str) -> None:
            for path in ("deploy", "reset", "undeploy", "deploy"):
                task = await persistently(gateway, vm, path, refused)
                accepted.append(task)
                await patiently(gateway, task)

        churning = asyncio.gather(*(churn(vm) for vm in vms))
        for _ in range(2):
            wanted = len(accepted) + VMS // 2

            async def grown(wanted: int = wanted) -> bool:
                return len(accepted) >= wanted

            await until(grown)
            kill_postmaster(at.home)
        await churning
        tasks = [await gateway.get(task) for task in accepted]
        assert {task["state"] for task in tasks} <= {
            "FINISHED_SUCCESSFULLY",
            "FINISHED_UNSUCCESSFULLY",
        }
        deploys = [task for task in tasks if task["type"] == "DEPLOY"]
        assert len(deploys) == 2 * VMS
        assert all(task["state"] == "FINISHED_SUCCESSFULLY" for task in deploys)
        assert set(refused) <= {503}
        for vm in vms:
            assert (await gateway.get(vm))["state"] == "ON"


async def persistently(gateway: Gateway, vm: str, action: str, refused: list[int]) -> str:
    """The task of an action, asked for until it is accepted; a lost answer is looked up."""
    while True:
        try:
            status, body = await gateway.call("POST", f"{vm}/action/{action}")
        except (ClientError, TimeoutError):
            status, body = 0, None
        if status == 202:
            return str(next(one["href"] for one in body["links"] if one["rel"] == "status"))
        if status == 409:  # an answer was lost on its way: the task it was about is there
            return str(await newest(gateway, vm))
        refused.append(status)
        await pause()


async def newest(gateway: Gateway, vm: str) -> str:
    """The newest task of a VM."""
    while True:
        status, body = await gateway.call("GET", f"{vm}/tasks")
        if status == 200:
            tasks: list[dict[str, Any]] = body["collection"]
            one = max(tasks, key=lambda task: task["creationTimestamp"])
            return str(next(link["href"] for link in one["links"] if link["rel"] == "self"))
        await pause()


async def patiently(gateway: Gateway, task: str) -> None:
    """Wait for a task's end, whatever happens to the store meanwhile."""
    async with asyncio.timeout(120):
        while True:
            status, body = await gateway.call("GET", task)
            if status == 200 and body["state"].startswith("FINISHED"):
                return
            await pause()


def kill_postmaster(home: Path) -> None:
    """kill -9 of the server."""
    import os

    found = next(home.rglob("postmaster.pid"))
    os.kill(int(found.read_text().split()[0]), signal.SIGKILL)


async def test_sigterm_drains(store: Store, database_url: str, tmp_path: Path) -> None:
    """What runs ends, what waits is left for the next process, and the exit status is 0."""
    at = place(tmp_path, database_url, hosts=HOSTS, delay_s=0.2)
    async with gateways(at) as (gateway,):
        vms = await each_vm(gateway, 8)
        tasks = [await gateway.accept("POST", f"{vm}/action/deploy") for vm in vms]
        await gateway.stop(signal.SIGTERM)
        assert gateway.process is not None
        assert gateway.process.returncode == 0
        async with store.read() as c:
            assert await c.fetchval("select count(*) from task where state = 'running'") == 0
        await gateway.start()
        for task in tasks:
            assert (await gateway.end(task))["state"] == "FINISHED_SUCCESSFULLY"
    await books_balance(store)


async def test_one_takes_requests_and_another_carries_them_out(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    """`--role api` and `--role worker` on one database."""
    at = place(tmp_path, database_url)
    async with gateways(at, 2) as (api, worker):
        await api.stop()
        await worker.stop()
        await api.start("api")
        vm, *_ = await each_vm(api, 1)
        task = await api.accept("POST", f"{vm}/action/deploy")
        assert (await api.get(task))["state"] == "PENDING"
        await worker.start("worker")
        assert (await api.end(task))["state"] == "FINISHED_SUCCESSFULLY"
