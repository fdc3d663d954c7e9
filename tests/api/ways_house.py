"""A VM in any state and a task in any phase, over HTTP, with the real engine on simulated hosts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from drivers.simulated.options import SimulatedOptions
from drivers.simulated.world import World
from gateway.reconcile.observer import SurveyIntervals
from gateway.store.db.pool import Store
from gateway.tasks.fault_policy import Limits
from gateway.tasks.worker import WorkerTimings
from tests.api.vm_client import Api, number, serving
from tests.tasks.rig import Rig, running
from tests.tasks.waits import breath, until

LIMITS = Limits(attempts_max=2, settle_for_s=1.0, poll_s=0.02, failures_max=2, cancel_s=1.0)
PACE = WorkerTimings(lease_s=15, heartbeat_s=1, margin_s=2, drain_s=5)
ROUNDS = SurveyIntervals(period_s=0.3, unknown_after_s=0.8, lease_s=10, spacing_s=0.05)
WAITS_S = 60.0
"""A way out that is not gone by then is none."""
FINAL = ("FINISHED_SUCCESSFULLY", "FINISHED_UNSUCCESSFULLY", "ACK_ERROR", "CANCELLED")


class House:
    """The API with its engine, and what the ways begin with."""

    def __init__(self, api: Api, rig: Rig, world: World) -> None:
        self.api, self.rig, self.world = api, rig, world
        self.vm = ""
        self.task = ""

    async def post(self, path: str, body: Any = None) -> None:
        """An accepted request; its task is the one we follow."""
        answer = await self.api.call("POST" if "/state" not in path else "PUT", path, body)
        assert answer.status in (202, 204), answer.body
        if answer.status == 202:
            self.task = answer.body["links"][0]["href"].split("/api/")[1]

    async def act(self, action: str, body: Any = None) -> None:
        """An action on the task we follow."""
        answer = await self.api.call("POST", f"{self.task}/action/{action}", body)
        assert answer.status == 204, answer.body

    async def reads(self, path: str, field: str, *wanted: object) -> Any:
        """Read until the field is one of these."""
        while True:
            body = (await self.api.call("GET", path)).body
            if body[field] in wanted:
                return body
            await breath()

    async def ended(self) -> Any:
        return await self.reads(self.task, "state", *FINAL)

    async def state(self, *wanted: str) -> None:
        await self.reads(self.vm, "state", *wanted)

    async def make(self, state: str) -> None:
        """A VM in that state."""
        self.vm = await self.api.make()
        if state == "NOT_ALLOCATED":
            return
        await self.post(f"{self.vm}/action/deploy")
        made = await self.ended()
        assert made["state"] == "FINISHED_SUCCESSFULLY", made["error"]
        if state in ("OFF", "PAUSED"):
            await self.post(f"{self.vm}/state", {"state": state})
            await self.ended()
        elif state == "LOCKED":
            await self.waits()
        elif state == "UNKNOWN":
            self.silence()
            await self.state("UNKNOWN")
        elif state in ("CONFIGURED", "ALLOCATED"):
            await self.never_powered_on(state)

    async def never_powered_on(self, state: str) -> None:
        """As a task leaves it that was cancelled between two steps on a host that was silent."""
        uuid = await self.api.row("select uuid from vm where id = $1", number(self.vm))
        self.world.rows("update vm set state = 'OFF' where vm = ?", str(uuid))
        if state == "ALLOCATED":
            self.world.rows("delete from vm where vm = ?", str(uuid))
            self.world.rows("delete from volume where name like ?", f"{uuid}%")
        async with self.api.store.transaction() as c:
            await c.execute(
                "update vm set state = $2, known_state = $2, version = version + 1 where id = $1",
                number(self.vm),
                state,
            )

    def silence(self) -> None:
        self.world.rows("update host set reachable = 0")

    async def answers(self) -> None:
        self.world.rows("update host set reachable = 1")

    async def waits(self) -> None:
        """An undeploy that waits for a host."""
        self.silence()
        await self.post(f"{self.vm}/action/undeploy")
        await self.waits_for_a_host()

    async def waits_for_a_host(self) -> None:
        while not (await self.api.call("GET", self.task)).body["waitingFor"]:
            await breath()

    async def stuck(self) -> None:
        """A deploy that was refused and cannot be taken back: a VM that is off is left."""
        self.world.rows("delete from fault")
        for verb in ("power", "remove"):
            for host in ("h1", "h2", "h3"):
                self.world.plan(host, verb, "Rejected", times=99)
        self.vm = await self.api.make()
        await self.post(f"{self.vm}/action/deploy")
        body = await self.reads(self.task, "stuck", True)
        assert body["state"] == "STARTED"
        self.world.rows("delete from fault")


@asynccontextmanager
async def house(store: Store, **options: Any) -> AsyncIterator[House]:
    """Opened on an empty store."""
    world = World("")
    async with (
        asyncio.timeout(WAITS_S),
        serving(store) as api,
        running(
            store,
            world,
            limits=LIMITS,
            pace=PACE,
            rounds=ROUNDS,
            options=SimulatedOptions(**options),
        ) as rig,
    ):
        yield House(api, rig, world)


async def not_begun(at: House) -> None:
    await at.rig.worker.drain()
    at.vm = await at.api.make()
    await at.post(f"{at.vm}/action/deploy")


async def a_call_runs(at: House) -> None:
    await at.make("ON")
    at.world.rows("update host set frozen = 1")
    await at.post(f"{at.vm}/state", {"state": "OFF"})
    await until(at.api.store, "select true from job where type = 'POWER_OFF' and state = 'STARTED'")


async def it_waits(at: House) -> None:
    await at.make("ON")
    await at.waits()


async def it_turns_back(at: House) -> None:
    for host in ("h1", "h2", "h3"):
        at.world.plan(host, "power", "Rejected", times=9)
        at.world.plan(host, "remove", "Busy", times=4)
    at.vm = await at.api.make()
    await at.post(f"{at.vm}/action/deploy")
    await until(at.api.store, "select true from job where rollback_state = 'STARTED'")


async def past_return(at: House) -> None:
    """The removal of an undeploy has begun, and its host does not answer."""
    await at.make("OFF")
    for host in ("h1", "h2", "h3"):
        at.world.plan(host, "remove", "Indeterminate", times=1)
    inner = at.rig.driver.remove

    async def silent(permit: Any, order: Any) -> None:
        try:
            await inner(permit, order)
        finally:
            at.silence()

    at.rig.driver.remove = silent
    await at.post(f"{at.vm}/action/undeploy")
    await at.waits_for_a_host()
    at.rig.driver.remove = inner


async def cancelled_not_over(at: House) -> None:
    await it_waits(at)
    await at.act("cancel")


async def stuck(at: House) -> None:
    await at.stuck()


async def failed(at: House) -> None:
    for host in ("h1", "h2", "h3"):
        at.world.plan(host, "deploy", "Rejected", times=1)
    at.vm = await at.api.make()
    await at.post(f"{at.vm}/action/deploy")
    assert (await at.ended())["state"] == "FINISHED_UNSUCCESSFULLY"


async def acknowledged(at: House) -> None:
    await failed(at)
    await at.act("ack")


async def cancelled(at: House) -> None:
    await cancelled_not_over(at)
    assert (await at.ended())["leftOpen"]


async def done(at: House) -> None:
    await at.make("ON")


PHASES: dict[str, Callable[[House], Awaitable[None]]] = {
    "not begun": not_begun,
    "a call runs": a_call_runs,
    "it waits": it_waits,
    "it turns back": it_turns_back,
    "past the point of no return": past_return,
    "cancelled, not over": cancelled_not_over,
    "stuck": stuck,
    "over, failed": failed,
    "over, failure acknowledged": acknowledged,
    "over, cancelled": cancelled,
    "over, done": done,
}
