"""A story in which each operation happens, and at its end tasks are queued and in midst of calls.

It is told over HTTP with the real engine on simulated hosts, so that nothing in it depends on how
the product's modules are named.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from drivers.simulated.world import World
from gateway.store.capacity import checkpoints
from gateway.store.capacity.checkpoints import CheckpointPace
from gateway.store.db.pool import Store
from tests.api.ruleset_world import activate, drafted, load
from tests.api.test_holds import body as hold_body
from tests.api.test_plans import DRAIN, MACHINE
from tests.api.vm_client import Api, number
from tests.api.vm_world import ROOT
from tests.api.ways_house import House, failed, house
from tests.tasks.plan_rig import runners
from tests.tasks.waits import breath, until

DRIVER_CALLS = ("deploy", "power", "reset", "reconfigure", "relocate", "remove")
_POWER = ("OFF", "ON", "PAUSED", "ON")
_ROOMS = "admin/rules/machineLoadLevel"


class Held:
    """Calls of the driver that wait until the story is over: before their effect, or after it."""

    def __init__(self, driver: Any) -> None:
        self.over = asyncio.Event()
        self._reached: dict[str, asyncio.Event] = {}
        self._late: dict[str, tuple[str, bool]] = {}
        for name in DRIVER_CALLS:
            setattr(driver, name, self._wrapped(name, getattr(driver, name)))

    def hold(self, vm: str, call: str, *, late: bool) -> asyncio.Event:
        """Hold the next such call for a VM; the event tells that it waits."""
        self._late[vm] = (call, late)
        self._reached[vm] = asyncio.Event()
        return self._reached[vm]

    def _wrapped(self, name: str, inner: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        async def call(permit: Any, order: Any) -> None:
            vm = str(order.spec.vm if hasattr(order, "spec") else order.vm)
            held, late = self._late.get(vm, ("", False))
            if held != name:
                return await inner(permit, order)
            if late:
                await inner(permit, order)
            self._reached[vm].set()
            await self.over.wait()
            return None if late else await inner(permit, order)

        return call


@dataclass(frozen=True, slots=True)
class Told:
    """The story's end: `ends` has by VM (id) the state that its open task must lead to, and the
    task's result."""

    api: Api
    world: World
    ends: dict[str, str]


@asynccontextmanager
async def told(store: Store) -> AsyncIterator[Told]:
    """Tell the story on an empty store; while inside nothing moves any more."""
    async with house(store) as at, runners(at.rig):
        held = Held(at.rig.driver)
        try:
            await checkpoints.take(store, CheckpointPace(), at.rig.sequencer.flush)
            await _rules(at.api)
            await _life_of_a_vm(at)
            await _refusals(at)
            await _holds_and_plans(at)
            ends = await _in_midst(at, held)
            await at.api.sequence()
            yield Told(at.api, at.world, ends)
        finally:
            held.over.set()


async def _ok(api: Api, method: str, path: str, body: Any = None, **more: Any) -> Any:
    answer = await api.call(method, path, body, **more)
    assert answer.status < 300, (path, answer.body)
    return answer.body


async def _rules(api: Api) -> None:
    """Rules of each kind, edited and deleted again; a draft, activated."""
    rack = {"rel": "rack", "href": "http://gateway.test/api/admin/datacenters/1/racks/2"}
    made = await _ok(
        api, "POST", _ROOMS, {"cpuLoadPercentage": 90, "ramLoadPercentage": 90, "links": [rack]}
    )
    await _ok(api, "PUT", f"{_ROOMS}/{made['id']}", {"cpuLoadPercentage": 80})
    done = await activate(api, await drafted(api, load(85, 95, rack=1), comment="for the night"))
    assert done.status < 300, done.body
    await drafted(api, load(70, 70, rack=1))


async def _life_of_a_vm(at: House) -> None:
    await at.make("ON")
    for state in _POWER:
        await at.post(f"{at.vm}/state", {"state": state})
        assert (await at.ended())["state"] == "FINISHED_SUCCESSFULLY"
    for action in ("reset", "relocate"):
        await at.post(f"{at.vm}/action/{action}", await _body(at, action))
        assert (await at.ended())["state"] == "FINISHED_SUCCESSFULLY"
    await at.post(f"{at.vm}/state", {"state": "OFF"})
    await at.ended()
    shown = (await at.api.call("GET", at.vm)).body
    answer = await at.api.call("PUT", at.vm, {**shown, "cpu": 3})
    assert answer.status == 202, answer.body
    at.task = answer.body["links"][0]["href"].split("/api/")[1]
    assert (await at.ended())["state"] == "FINISHED_SUCCESSFULLY"
    await at.post(f"{at.vm}/action/undeploy")
    assert (await at.ended())["state"] == "FINISHED_SUCCESSFULLY"


async def _body(at: House, action: str) -> Any:
    """A relocation goes to the other host of the first rack."""
    if action != "relocate":
        return None
    host = await at.api.row(
        """select other.id from host other, vm where vm.id = $1 and other.id in (1, 2)
             and other.id <> vm.host_id and other.state = 'MANAGED'""",
        number(at.vm),
    )
    href = f"{ROOT}admin/datacenters/1/racks/1/machines/{host}"
    return {"links": [{"rel": "machine", "href": href}]}


async def _refusals(at: House) -> None:
    """Refused by placement, failed on hosts, cancelled, and stuck."""
    at.vm = await at.api.make(cpu=900)
    await at.post(f"{at.vm}/action/deploy")
    assert (await at.ended())["state"] == "FINISHED_UNSUCCESSFULLY"
    await failed(at)
    await at.act("ack")
    await at.make("ON")
    await at.waits()
    await at.act("cancel")
    await at.ended()
    await at.answers()
    await at.state("ON")
    await at.stuck()


async def _holds_and_plans(at: House) -> None:
    await _ok(at.api, "POST", "admin/holds", hold_body({"count": 2}, ttl=86400, name="for friday"))
    host = await at.api.row("select host_id from vm where host_id is not null limit 1")
    machine = {**MACHINE, "href": MACHINE["href"].rpartition("/")[0] + f"/{host}"}
    made = await _ok(at.api, "POST", "admin/plans", {**DRAIN, "links": [machine]})
    await _ok(at.api, "POST", f"admin/plans/{made['id']}/action/approve")
    await until(at.api.store, "select true from plan where state in ('DONE', 'STOPPED')")
    path = machine["href"].removeprefix(ROOT)
    shown = await _ok(at.api, "GET", path)
    await _ok(at.api, "PUT", path, {**shown, "state": "MANAGED"})  # the plan closed it
    await _ok(at.api, "POST", "admin/plans", {**DRAIN, "links": [machine]})


# A reset leaves no trace: nobody can tell whether it happened, and it is not sent twice.
MIDST: dict[str, tuple[str, str, str, Any, str]] = {
    # name: state before, driver call, path below the VM, body, state after and result of the task
    "deploy": ("NOT_ALLOCATED", "deploy", "action/deploy", None, "ON success"),
    "start": ("OFF", "power", "state", {"state": "ON"}, "ON success"),
    "stop": ("ON", "power", "state", {"state": "OFF"}, "OFF success"),
    "reset": ("ON", "reset", "action/reset", None, "ON failure"),
    "relocate": ("ON", "relocate", "action/relocate", None, "ON success"),
    "undeploy": ("OFF", "remove", "action/undeploy", None, "NOT_ALLOCATED success"),
}


async def _in_midst(at: House, held: Held) -> dict[str, str]:
    """Each operation, waiting before its call's effect and after it; then some only queued.

    Returns by VM the state that its task must lead to, and the task's result.
    """
    ends: dict[str, str] = {}
    for late in (False, True):
        for name, (before, call, path, body, after) in MIDST.items():
            await at.make(before)
            vm = str(await at.api.row("select uuid from vm where id = $1", number(at.vm)))
            reached = held.hold(vm, call, late=late)
            await at.post(f"{at.vm}/{path}", await _body(at, name) or body)
            await reached.wait()
            ends[str(number(at.vm))] = after
    await at.make("OFF")
    draining = asyncio.create_task(at.rig.worker.drain())  # no task is claimed from now on
    await breath()
    await at.post(f"{at.vm}/state", {"state": "ON"})
    other = await at.api.make()
    await at.post(f"{other}/action/deploy")
    draining.cancel()
    return {**ends, str(number(at.vm)): "ON success", str(number(other)): "ON success"}
