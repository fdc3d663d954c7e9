"""After any error of a power operation, a reset, a resize, a deployment or a removal the VM is on
record where it is and as it is, with one booking, and its task has ended (faults L4, L5, D7)."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from drivers.simulated.endings import end
from drivers.simulated.world import World
from gateway.lifecycle import Operation
from gateway.store.db.pool import Store
from gateway.store.tasks import leftovers
from tests.tasks.outcomes import KINDS, LASTING, Erring, Plan, places, told
from tests.tasks.rig import QUIET, Rig, books_balance, running, seed, seen_again, vm_row

DEPLOY, OFF = Operation.DEPLOY, Operation.POWER_OFF
AT_ONCE = 6
HERE, THERE = "host-1", "host-3"


@dataclass(frozen=True, slots=True)
class Case:
    """An operation after `before`, which one `verb` of it must bring from one state to another."""

    verb: str
    was: str
    becomes: str
    before: tuple[Operation, ...] = (DEPLOY,)
    payload: Mapping[str, Any] = field(default_factory=dict)


CASES = {
    Operation.POWER_ON: Case("power", "off", "on", (DEPLOY, OFF)),
    Operation.POWER_OFF: Case("power", "on", "off"),
    Operation.SHUTDOWN: Case("power", "on", "off"),
    Operation.PAUSE: Case("power", "on", "paused"),
    Operation.RESUME: Case("power", "paused", "on", (DEPLOY, Operation.PAUSE)),
    Operation.RESET: Case("reset", "on", "on"),
    Operation.RECONFIGURE: Case("reconfigure", "off", "off", (DEPLOY, OFF), {"cpu": 2}),
}
TRUTHS = {
    "not done": "{was}:host-1",
    "done": "{becomes}:host-1",
    "done on another host": "{becomes}:host-3",
    "on another host, not done": "{was}:host-3",
    "nowhere": "nowhere",
}
RUNS_THERE = "on:host-3,also:host-1"


@dataclass(slots=True)
class Scene:
    """An engine whose driver errs as planned."""

    rig: Rig
    erring: Erring
    world: World

    @property
    def store(self) -> Store:
        return self.rig.store

    async def all(self, vms: int, operation: Operation, **payload: Any) -> list[dict[str, Any]]:
        """The operation on VMs 1 to `vms`, some at a time; their tasks, in order."""
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(vm: int) -> dict[str, Any]:
            async with turns:
                return await self.rig.run(vm, operation, **payload)

        return list(await asyncio.gather(*(one(vm) for vm in range(1, vms + 1))))

    async def uuid(self, vm: int) -> UUID:
        return UUID(str((await vm_row(self.store, vm))["uuid"]))

    async def err(self, vm: int, verb: str, kind: str, truth: str, **how: bool) -> None:
        """Plan an error for a VM, and what is so then."""
        uuid = await self.uuid(vm)

        async def act() -> None:
            with self.world.changing():
                if truth:
                    end(self.world, str(uuid), truth)

        self.erring.plans[uuid] = Plan(verb, kind, act, **how)

    async def seen(self, vm: int) -> dict[str, str]:
        """Where it is in the world."""
        uuid = str(await self.uuid(vm))
        rows = self.world.rows("select host, state from vm where vm = ?", uuid)
        return {row["host"]: row["state"] for row in rows}

    async def agrees(self, vm: int) -> None:
        """What is on record of a VM is so: its host, its state, its one booking."""
        record, seen = await places(self.store, vm), await self.seen(vm)
        assert record["open"] == 0
        if record["state"] == "NOT_ALLOCATED":
            assert (seen, record["booked"], record["host"]) == ({}, None, None)
            return
        assert record["booked"] == [record["host"]]
        if record["state"] == "UNKNOWN":
            assert len(seen) != 1
            return
        now = "OFF" if record["state"] == "CONFIGURED" else record["state"]
        assert seen == {record["host"]: now}


@pytest.fixture
async def scene(store):
    world = World()
    made: list[Erring] = []

    def wrap(driver):
        made.append(Erring(driver))
        return made[0]

    await seed(store, hosts=4, vms=len(KINDS) * len(TRUTHS), cpus=64)
    async with running(store, world, wrap=wrap, pace=QUIET["pace"]) as rig:
        yield Scene(rig, made[0], world)


async def deployed(scene: Scene, vms: int, before: tuple[Operation, ...] = (DEPLOY,)) -> None:
    """VMs 1 to `vms` on the first host, after these operations."""
    for operation in before:
        payload = {"host_id": 1} if operation is DEPLOY else {}
        tasks = await scene.all(vms, operation, **payload)
        assert [task["error"] for task in tasks if task["result"] != "success"] == []


@pytest.mark.parametrize("operation", CASES)
async def test_any_error_of_one_call(scene, operation):
    """Each kind of error times each truth, all at once."""
    case = CASES[operation]
    chosen = [(kind, name) for kind in KINDS for name in TRUTHS]
    await deployed(scene, len(chosen), case.before)
    for vm, (kind, name) in enumerate(chosen, 1):
        truth = TRUTHS[name].format(was=case.was, becomes=case.becomes)
        late = operation is Operation.RECONFIGURE and name.startswith("done")
        await scene.err(vm, case.verb, kind, truth, late=late)
    tasks = await scene.all(len(chosen), operation, **case.payload)
    for _ in range(2):
        await seen_again(scene.store)
    for (kind, name), task in zip(chosen, tasks, strict=True):
        said = (kind, name, task["error"])
        assert task["state"] == "done", said
        await scene.agrees(task["vm_id"])
        record = await places(scene.store, task["vm_id"])
        assert record["host"] == (THERE if "another" in name else HERE), said
        assert (record["state"] == "UNKNOWN") is (name == "nowhere"), said
        assert (task["result"] == "success") is must_succeed(operation, kind, name), said
        if task["result"] == "success":
            assert record["state"] == case.becomes.upper(), said
    await books_balance(scene.store, disks_measured=True)


def must_succeed(operation: Operation, kind: str, name: str) -> bool:
    if name == "nowhere":
        return False
    if operation is Operation.RESET:  # it leaves no trace: at most once, and never presumed
        return "another" not in name and kind in ("Unreachable", "Busy")
    return name != "not done" or kind not in LASTING


async def test_a_start_that_lands_on_another_host_is_followed_also_over_its_limits(scene):
    """L4: DRS places a VM as it powers it on; what is left on the first host is on record."""
    async with scene.store.transaction() as c:
        await c.execute("update ledger set cpu_limit = 0 where kind = 'host' and id = 3")
    await deployed(scene, len(KINDS), (DEPLOY, OFF))
    for vm, kind in enumerate(KINDS, 1):
        await scene.err(vm, "power", kind, RUNS_THERE)
    for task in await scene.all(len(KINDS), Operation.POWER_ON):
        assert task["result"] == "success", task["error"]
        record = await places(scene.store, task["vm_id"])
        assert (record["state"], record["host"], record["booked"]) == ("ON", THERE, [THERE])
    async with scene.store.read() as c:
        left = await leftovers.listed(c)
    assert {(one.host, one.volume) for one in left} == {(HERE, "")}
    assert len(left) == len(KINDS)
    assert len(await told(scene.store, "LEFTOVER")) == len(KINDS)


@pytest.mark.parametrize("verb", ["deploy", "power"])
async def test_any_error_of_a_deployment(scene, verb):
    """What runs was deployed, wherever it runs; else nothing is left, here or there."""
    truths = ["on:host-3", "on:host-1", "off:host-1", "off:host-3", "nowhere"]
    chosen = [(kind, truth) for kind in KINDS for truth in truths]
    for vm, (kind, truth) in enumerate(chosen, 1):
        await scene.err(vm, verb, kind, truth, late=verb == "deploy")
    tasks = await scene.all(len(chosen), DEPLOY, host_id=1)
    for (kind, truth), task in zip(chosen, tasks, strict=True):
        said = (kind, truth, task["error"])
        await scene.agrees(task["vm_id"])
        record = await places(scene.store, task["vm_id"])
        assert record["state"] == ("ON" if task["result"] == "success" else "NOT_ALLOCATED"), said
        if truth.startswith("on") or truth == "off:host-3":
            assert task["result"] == "success", said
            assert record["host"] == truth.partition(":")[2], said
    left = {row["name"] for row in scene.world.rows("select name from volume")}
    assert left == {row["volume"] for row in scene.world.rows("select volume from vm")}
    await books_balance(scene.store, disks_measured=True)


async def test_taking_back_never_removes_what_somebody_started(scene):
    """L4: the start was refused; while all is taken back the VM runs, here or on another host."""
    for vm, truth in enumerate(("on:host-1", "on:host-3", "paused:host-3"), 1):
        scene.world.plan("host-1", "power", "Rejected")
        await scene.err(vm, "remove", "Rejected", truth)
        task = await scene.rig.run(vm, DEPLOY, host_id=1)
        assert task["result"] == "success", task["error"]
        await scene.agrees(vm)
        assert list(await scene.seen(vm)) == [truth.partition(":")[2]]
    assert scene.world.rows("select 1 from call where verb = 'remove'") == []


async def test_taking_back_never_removes_what_another_task_made(scene):
    """It is on record as left, and the VM can be deployed elsewhere."""
    uuid = str(await scene.uuid(1))
    other = "00000000-0000-4000-8000-000000000001"
    scene.world.rows(
        """insert into vm (vm, host, name, cpu, ram_mib, state, task, volume)
           values (?, 'host-1', 'x', 1, 1, 'OFF', ?, 'precious')""",
        uuid,
        other,
    )
    task = await scene.rig.run(1, DEPLOY, host_id=1)
    assert task["result"] == "failure"
    assert "defined" in task["error"]
    assert [row["task"] for row in scene.world.rows("select task from vm")] == [other]
    assert (await places(scene.store, 1))["state"] == "NOT_ALLOCATED"


@pytest.mark.parametrize("verb", ["power", "remove"])
async def test_any_error_of_a_removal(scene, verb):
    """Gone is gone; what the hypervisor would not remove runs again as it did (D7)."""
    truths = {
        "power": ["on:host-1", "off:host-1", "on:host-3", "off:host-3", "nowhere"],
        "remove": ["off:host-1", "off:host-3", "nowhere"],
    }[verb]
    chosen = [(kind, truth) for kind in KINDS for truth in truths]
    await deployed(scene, len(chosen))
    for vm, (kind, truth) in enumerate(chosen, 1):
        await scene.err(vm, verb, kind, truth)
    tasks = await scene.all(len(chosen), Operation.UNDEPLOY)
    for (kind, truth), task in zip(chosen, tasks, strict=True):
        said = (kind, truth, task["error"])
        await scene.agrees(task["vm_id"])
        record = await places(scene.store, task["vm_id"])
        assert task["state"] == "done", said
        still = "on:host-1" if verb == "power" else "off:host-1"
        fails = truth == still and kind in LASTING
        assert record["state"] == ("ON" if fails else "NOT_ALLOCATED"), said
    kept = {row["volume"] for row in scene.world.rows("select volume from vm")}
    assert {row["name"] for row in scene.world.rows("select name from volume")} == kept
    await books_balance(scene.store, disks_measured=True)


async def test_a_disk_that_cannot_be_deleted_is_left_on_record(scene):
    """L5: the pool is inactive, the definition is gone; the VM is given back, its disk is told."""
    await deployed(scene, len(KINDS))
    for vm, kind in enumerate(KINDS, 1):
        await scene.err(vm, "remove", kind, "nowhere", lasts=True)
    tasks = await scene.all(len(KINDS), Operation.UNDEPLOY)
    assert [task["error"] for task in tasks if task["result"] != "success"] == []
    async with scene.store.read() as c:
        left = {one.volume for one in await leftovers.listed(c)}
    volumes = {row["name"] for row in scene.world.rows("select name from volume")}
    assert left == volumes
    assert len(left) == len(KINDS)
    events = await told(scene.store, "LEFTOVER")
    assert {event["severity"] for event in events} == {"WARN"}
    assert {event["details"]["volume"] for event in events} == volumes
    scene.erring.plans.clear()
    again = await scene.rig.run(1, DEPLOY)
    assert again["result"] == "success"
    await books_balance(scene.store, disks_measured=True)


async def test_undeploy_of_a_vm_that_somebody_undefined(scene):
    """L5, L6: positively absent counts as off; the disk goes, and it can be deployed again."""
    await deployed(scene, 1)
    scene.world.rows("delete from vm")
    for operation, state in ((Operation.UNDEPLOY, "NOT_ALLOCATED"), (DEPLOY, "ON")):
        task = await scene.rig.run(1, operation)
        assert task["result"] == "success", task["error"]
        assert (await places(scene.store, 1))["state"] == state
    assert len(scene.world.rows("select 1 from volume")) == 1
    await books_balance(scene.store, disks_measured=True)


async def test_a_disk_that_a_silent_host_may_be_using_is_not_deleted(scene):
    """I10: absent where it was and another host does not answer: that decides nothing."""
    await deployed(scene, 1)
    end(scene.world, str(await scene.uuid(1)), "on:host-3")
    scene.world.unreachable("host-3")
    accepted = await scene.rig.submit(1, Operation.UNDEPLOY)
    async with asyncio.timeout(30):
        waits = ""
        while not waits:
            await asyncio.sleep(0)
            async with scene.store.read() as c:
                waits = await c.fetchval("select error from task where id = $1", accepted.task)
    assert "host-3" in waits
    assert len(scene.world.rows("select 1 from volume")) == 1
    assert await scene.seen(1) == {THERE: "ON"}
