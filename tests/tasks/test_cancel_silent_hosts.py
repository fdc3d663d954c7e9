"""Cancel while hosts do not answer (faults L7; I2, I4, I10): the task ends within 10 s, what may be
there stays booked, the VM is UNKNOWN unless it is seen elsewhere. Once the hosts answer, what was
left is taken up: record and world agree, with one booking or none, and nothing is left over.
"""

from typing import Any

import pytest

from drivers.contract import Order, Permit
from drivers.simulated.options import SimulatedOptions
from drivers.simulated.world import World
from gateway.denial import ApiError
from gateway.lifecycle import Operation
from gateway.reconcile.observer import SurveyIntervals
from gateway.store.db.pool import Store
from gateway.tasks.ending import ways_out
from gateway.tasks.fault_policy import Limits
from tests.tasks.cancelling import VERBS
from tests.tasks.rig import CALLER, Rig, books_balance, ended, running, seed, vm_row
from tests.tasks.waits import until

DEPLOY = Operation.DEPLOY
LIMITS = Limits(attempts_max=50, hosts_max=3, settle_for_s=30.0, poll_s=0.02, cancel_s=1.0)
ROUNDS = SurveyIntervals(period_s=0.3, unknown_after_s=5.0, lease_s=5.0, spacing_s=0.05)
WITHIN_S = 10.0
WAITS = "select true from task where id = $1 and state = 'queued' and started and error <> ''"


class SilencingDriver:
    """The driver of the tasks; at its n-th point `hosts` stop answering. The points are right
    before and right after each call of a verb."""

    def __init__(self, driver: Any, world: World) -> None:
        self._driver = driver
        self._world = world
        self.left = 0
        self.hosts: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self._driver, name)
        if name not in VERBS:
            return inner

        async def verb(permit: Permit, order: Order) -> None:
            self._pass_by()
            await inner(permit, order)
            self._pass_by()

        return verb

    def _pass_by(self) -> None:
        self.left -= 1
        if self.left == 0:
            for host in self.hosts:
                self._world.unreachable(host)


class Scene:
    """An engine whose driver may be silenced."""

    def __init__(self, store: Store, options: SimulatedOptions | None = None) -> None:
        self.world = World("")
        self.store = store
        self.silencing: SilencingDriver | None = None
        self._options = options

    def running(self) -> Any:
        """The engine."""

        def wrap(driver: Any) -> Any:
            self.silencing = SilencingDriver(driver, self.world)
            return self.silencing

        return running(
            self.store,
            self.world,
            options=self._options,
            limits=LIMITS,
            rounds=ROUNDS,
            wrap=wrap,
        )

    def silence(self, point: int, *hosts: str) -> None:
        """Have the hosts stop answering at a point from now on."""
        assert self.silencing is not None
        self.silencing.left, self.silencing.hosts = point, hosts

    async def cancelled(self, rig: Rig, vm: int, operation: Operation, **payload: Any) -> Any:
        """Submit, wait until the task waits for a host, cancel; the task once it has ended."""
        accepted = await rig.submit(vm, operation, **payload)
        await until(self.store, WAITS, accepted.task)
        await ways_out.cancel(self.store, accepted.task, CALLER)
        task = await ended(self.store, accepted.task, within_s=WITHIN_S)
        took = (task["updated_at"] - task["cancel_at"]).total_seconds()
        assert took <= WITHIN_S
        return task

    async def answer_again(self, vm: int) -> None:
        """All hosts answer, and what was left open is taken up."""
        for host in ("host-1", "host-2", "host-3"):
            self.world.reachable(host)
        await until(
            self.store,
            """select not exists (select from task where vm_id = $1
                 and (state <> 'done' or left_open))
               and (select state <> 'UNKNOWN' from vm where id = $1)""",
            vm,
            within_s=30,
        )

    async def agrees(self, vm: int) -> dict[str, Any]:
        """Record and world agree on the VM; its record."""
        row = await vm_row(self.store, vm)
        there = self.world.rows("select * from vm where vm = ?", str(row["uuid"]))
        volumes = self.world.rows("select * from volume where name like ?", f"{row['uuid']}%")
        async with self.store.read() as c:
            host = await c.fetchval("select name from host where id = $1", row["host_id"])
            booked = await c.fetch("select host_id from booking where vm_id = $1", vm)
        assert [one["host"] for one in there] == ([] if host is None else [host])
        assert len(volumes) == len(there)
        assert [one["host_id"] for one in booked] == ([] if host is None else [row["host_id"]])
        if there:
            assert there[0]["state"] == ("OFF" if row["state"] == "CONFIGURED" else row["state"])
            assert not there[0]["arriving"]
        await books_balance(self.store)
        return row


async def bookings(store: Store, vm: int = 1) -> list[int]:
    async with store.read() as c:
        rows = await c.fetch("select host_id from booking where vm_id = $1 order by 1", vm)
    return [row["host_id"] for row in rows]


async def test_an_undeploy_that_waits_for_a_dead_host(store: Store) -> None:
    """L7 as it was found: the VM is UNKNOWN and booked, and free for the next request."""
    await seed(store, hosts=3)
    scene = Scene(store)
    async with scene.running() as rig:
        await rig.run(1, DEPLOY)
        scene.world.unreachable("host-1")
        task = await scene.cancelled(rig, 1, Operation.UNDEPLOY)
        assert task["result"] == "cancelled"
        assert "host-1" in task["error"]
        assert (await vm_row(store, 1))["state"] == "UNKNOWN"
        assert await bookings(store) == [1]
        await scene.answer_again(1)
        assert (await scene.agrees(1))["state"] == "ON"
        verbs = [row["verb"] for row in scene.world.rows("select verb from call order by n")]
        assert verbs == ["deploy", "power"]


STORIES: dict[str, tuple[Operation, tuple[Operation, ...], dict[str, Any], int, set[str]]] = {
    "deploy": (DEPLOY, (), {}, 4, {"NOT_ALLOCATED", "ON"}),
    "undeploy": (Operation.UNDEPLOY, (DEPLOY,), {}, 4, {"ON", "NOT_ALLOCATED"}),
    "power off": (Operation.POWER_OFF, (DEPLOY,), {}, 2, {"ON", "OFF"}),
    "power on": (
        Operation.POWER_ON,
        (DEPLOY, Operation.POWER_OFF),
        {},
        2,
        {"ON", "OFF"},
    ),
    "reconfigure": (
        Operation.RECONFIGURE,
        (DEPLOY, Operation.POWER_OFF),
        {"cpu": 2},
        2,
        {"OFF"},
    ),
}


@pytest.mark.parametrize("name", STORIES)
async def test_a_host_that_falls_silent_at_any_call(store: Store, name: str) -> None:
    """Before and after each call: ended in time, nothing lost, and all is well afterwards."""
    operation, before, payload, points, ends = STORIES[name]
    await seed(store, hosts=3, vms=points)
    scene = Scene(store)
    async with scene.running() as rig:
        for point in range(1, points + 1):
            for each in before:
                await rig.run(point, each)
            scene.silence(point, "host-1", "host-2", "host-3")
            task = await scene.cancelled(rig, point, operation, **payload)
            assert task["result"] == "cancelled", task["error"]
            row = await vm_row(store, point)
            # Not begun: the VM is where it was, if it was anywhere; its host does not answer.
            assert row["state"] in ("UNKNOWN", "NOT_ALLOCATED"), (point, dict(row))
            assert len(await bookings(store, point)) == (row["state"] == "UNKNOWN"), point
            await books_balance(store)
            await scene.answer_again(point)
            assert (await scene.agrees(point))["state"] in ends, point


@pytest.mark.parametrize("point", [1, 2, 3, 4])
@pytest.mark.parametrize("hosts", [("host-1",), ("host-2",), ("host-1", "host-2")])
async def test_a_move_whose_hosts_fall_silent(
    store: Store, point: int, hosts: tuple[str, ...]
) -> None:
    """Both ends stay booked until both were looked at; the VM is at one of them."""
    await seed(store, hosts=2)
    scene = Scene(store)
    async with scene.running() as rig:
        await rig.run(1, DEPLOY)
        scene.silence(point, *hosts)
        accepted = await rig.submit(1, Operation.RELOCATE, host_id=2)
        waits = f"select state = 'done' or exists ({WAITS}) from task where id = $1"
        await until(store, waits, accepted.task)
        async with store.read() as c:
            over = await c.fetchval("select state = 'done' from task where id = $1", accepted.task)
        if not over:
            await ways_out.cancel(store, accepted.task, CALLER)
        task = await ended(store, accepted.task, within_s=WITHIN_S)
        row, booked = await vm_row(store, 1), await bookings(store)
        if task["left_open"]:
            assert booked == [1, 2]
            assert row["state"] in ("UNKNOWN", "ON")
            if row["state"] == "ON":
                with pytest.raises(ApiError, match="cleared up"):
                    await rig.submit(1, Operation.RELOCATE, host_id=2)
        else:
            assert len(booked) == 1
        await scene.answer_again(1)
        assert (await scene.agrees(1))["state"] == "ON"


async def test_a_frozen_host_ends_later_and_the_task_says_when(store: Store) -> None:
    """A call that hangs has no end yet; the task tells by when it has one, and ends so."""
    await seed(store, hosts=3)
    scene = Scene(store)
    async with scene.running() as rig:
        await rig.run(1, DEPLOY)
        scene.world.freeze("host-1")
        accepted = await rig.submit(1, Operation.POWER_OFF)
        await until(store, "select true from job where type = 'POWER_OFF' and state = 'STARTED'")
        await ways_out.cancel(store, accepted.task, CALLER)
        said = await until(
            store,
            """select case when error like 'Cancelled:%' then ends_by - cancel_at end
               from task where id = $1""",
            accepted.task,
        )
        assert said.total_seconds() >= LIMITS.settle_for_s
        scene.world.thaw("host-1")
        task = await ended(store, accepted.task, within_s=WITHIN_S)
        assert task["result"] == "cancelled"
        assert (await vm_row(store, 1))["state"] == "ON"
        assert len(scene.world.rows("select 1 from call where verb = 'power'")) == 1
