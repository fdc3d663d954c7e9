"""Cancel at every step of every saga, before, during and after the hypervisor's call (faults L7,
L8; I1, I2, I4): the task ends within 10 s in a legal state, with one booking or none, and nothing
is left on either host. The simulated driver, the real store.
"""

from dataclasses import dataclass, field
from typing import Any

import pytest

from drivers.simulated.options import SimulatedOptions
from drivers.simulated.world import World
from gateway.lifecycle import Operation
from gateway.store.db.pool import Store
from gateway.tasks.ending import ways_out
from gateway.tasks.fault_policy import Limits
from tests.tasks.cancelling import CancellingDriver, CancellingStore, CancelPoint
from tests.tasks.rig import (
    CALLER,
    QUIET,
    Rig,
    books_balance,
    ended,
    records_balance,
    running,
    seed,
    vm_row,
)

DEPLOY, OFF, ON = Operation.DEPLOY, Operation.POWER_OFF, Operation.POWER_ON
LIMITS = Limits(attempts_max=3, hosts_max=3, settle_for_s=2.0, poll_s=0.02, cancel_s=1.0)
WITHIN_S = 10.0


@dataclass(frozen=True)
class Story:
    """An operation, the states before and after it, and what has happened before it."""

    operation: Operation
    was: str
    becomes: str
    before: tuple[Operation, ...] = (DEPLOY,)
    payload: dict[str, Any] = field(default_factory=dict)
    options: SimulatedOptions = field(default_factory=SimulatedOptions)
    faults: tuple[tuple[str, str, str], ...] = ()


CLOUD = SimulatedOptions(cloud=True)
STORIES = {
    "deploy": Story(DEPLOY, "NOT_ALLOCATED", "ON", before=()),
    "deploy, first host full": Story(
        DEPLOY, "NOT_ALLOCATED", "ON", before=(), faults=(("host-1", "power", "NoCapacity"),)
    ),
    "deploy, refused": Story(
        DEPLOY,
        "NOT_ALLOCATED",
        "NOT_ALLOCATED",
        before=(),
        faults=(("host-1", "power", "Rejected"),),
    ),
    "undeploy": Story(Operation.UNDEPLOY, "ON", "NOT_ALLOCATED"),
    "undeploy of one that is off": Story(
        Operation.UNDEPLOY, "OFF", "NOT_ALLOCATED", before=(DEPLOY, OFF)
    ),
    "power off": Story(OFF, "ON", "OFF"),
    "deallocate": Story(OFF, "ON", "OFF", payload={"release": True}, options=CLOUD),
    "power on": Story(ON, "OFF", "ON", before=(DEPLOY, OFF)),
    "shutdown": Story(Operation.SHUTDOWN, "ON", "OFF"),
    "pause": Story(Operation.PAUSE, "ON", "PAUSED"),
    "resume": Story(Operation.RESUME, "PAUSED", "ON", before=(DEPLOY, Operation.PAUSE)),
    "reset": Story(Operation.RESET, "ON", "ON"),
    "redeploy": Story(Operation.REDEPLOY, "ON", "ON", options=CLOUD),
    "reconfigure": Story(
        Operation.RECONFIGURE,
        "OFF",
        "OFF",
        before=(DEPLOY, OFF),
        payload={"cpu": 2, "ram_mib": 2048},
    ),
    "relocate": Story(Operation.RELOCATE, "ON", "ON", payload={"host_id": None}),
    "relocate, refused": Story(
        Operation.RELOCATE,
        "ON",
        "ON",
        payload={"host_id": None},
        faults=(("host-1", "relocate", "Indeterminate"),),
    ),
}


def test_each_operation_has_a_story() -> None:
    assert {story.operation for story in STORIES.values()} == set(Operation)


@pytest.mark.parametrize("name", STORIES)
async def test_cancelled_at_any_point_it_ends_in_a_legal_state(store: Store, name: str) -> None:
    """Each point on a VM of its own, so that one engine does for all."""
    story = STORIES[name]
    await seed(store, hosts=3, vms=40, cpus=64)
    world = World("")
    point = CancelPoint(store, 0)
    engine: Any = CancellingStore(store, point)
    seen = []
    async with running(
        engine,
        world,
        options=story.options,
        wrap=lambda driver: CancellingDriver(driver, point),
        limits=LIMITS,
        **QUIET,
    ) as rig:
        point.worker = rig.worker
        for vm in range(1, 40):
            await lived_through(rig, story, vm)
            lived_on = (await vm_row(store, vm))["host_id"]
            point.task, point.chosen, point.passed, point.refused = None, vm, 0, ""
            accepted = await rig.submit(vm, story.operation, **story.payload)
            point.task = accepted.task
            task = await ended(store, accepted.task, within_s=WITHIN_S + 20)
            if not point.reached:
                break
            seen.append((point.at, task["result"]))
            await is_legal(rig, story, vm, task, point)
            if story.operation is Operation.RELOCATE and task["result"] == "cancelled":
                assert (await vm_row(store, vm))["host_id"] == lived_on, point
        else:
            raise AssertionError("a saga has fewer points than that")
    assert len(seen) >= 3, seen
    if not (story.faults and story.becomes == "NOT_ALLOCATED"):
        assert {"cancelled", "success"} >= {result for _, result in seen}
    assert any(result == "cancelled" for _, result in seen), seen


async def lived_through(rig: Rig, story: Story, vm: int) -> None:
    """What comes before, with the faults that are planned for what comes now."""
    for operation in story.before:
        done = await rig.run(vm, operation)
        assert done["result"] == "success", done
    for host, verb, kind in story.faults:
        rig.driver.world.plan(host, verb, kind)


async def is_legal(
    rig: Rig, story: Story, vm: int, task: dict[str, Any], point: CancelPoint
) -> None:
    """What is recorded is what is there, once, and all that was given is given back."""
    about = (point, task["result"], task["error"])
    assert task["state"] == "done", about
    took = (task["updated_at"] - (task["cancel_at"] or task["updated_at"])).total_seconds()
    assert took <= WITHIN_S, about
    row = await vm_row(rig.store, vm)
    there = rig.driver.world.rows("select * from vm where vm = ?", str(row["uuid"]))
    volumes = rig.driver.world.rows("select * from volume where name like ?", f"{row['uuid']}%")
    assert len(there) == len(volumes) == (row["host_id"] is not None), about
    if story.faults and task["result"] == "failure":
        assert row["state"] == story.becomes, about
    elif task["result"] == "cancelled":
        assert row["state"] == story.was, about
    else:
        assert (task["result"], row["state"]) == ("success", story.becomes), about
    if point.refused:
        assert task["result"] != "cancelled", about
    if there:
        (seen,) = there
        state = "OFF" if seen["state"] == "DEALLOCATED" else seen["state"]
        assert (state, seen["arriving"]) == (row["state"], 0), about
        assert (seen["cpu"], seen["ram_mib"]) == (row["cpu"], row["ram_mib"]), about
        async with rig.store.read() as c:
            host = await c.fetchval("select name from host where id = $1", row["host_id"])
            booked = await c.fetch("select host_id, cpu from booking where vm_id = $1", vm)
        assert seen["host"] == host, about
        assert [tuple(one) for one in booked] == [(row["host_id"], row["cpu"])], about
    await books_balance(rig.store)
    await records_balance(rig.store)


async def test_an_hours_move_is_cancelled_at_once(store: Store) -> None:
    """L8: the hypervisor is asked to stop it, and the VM stays where it runs."""
    await seed(store, hosts=3)
    async with running(
        store, World(""), options=SimulatedOptions(relocation_s=3600), limits=LIMITS
    ) as rig:
        await rig.run(1, DEPLOY)
        accepted = await rig.submit(1, Operation.RELOCATE, host_id=3)
        await job_started(store, "RELOCATE")
        await ways_out.cancel(store, accepted.task, CALLER)
        task = await ended(store, accepted.task, within_s=WITHIN_S)
        assert (task["result"], task["error"][:19]) == ("cancelled", "cancelled by tester")
        row = await vm_row(store, 1)
        assert (row["state"], row["host_id"]) == ("ON", 1)
        assert [one["host"] for one in rig.driver.world.rows("select host from vm")] == ["host-1"]
        await books_balance(store)
        async with store.read() as c:
            jobs = await c.fetch("select type, rollback_state from job order by task_id, n")
        assert ("RELOCATE", "DONE") in [tuple(job) for job in jobs]


async def job_started(store: Store, type_: str) -> None:
    """Wait until a job of that type runs."""
    from tests.tasks.waits import until

    await until(store, "select true from job where type = $1 and state = 'STARTED'", type_)


async def test_nobody_waits_for_a_guest_any_more_nor_pulls_the_plug(store: Store) -> None:
    """L8: a guest that was asked to shut down, with a plug that is to be pulled later."""
    await seed(store)
    async with running(
        store, World(""), options=SimulatedOptions(shutdown_s=3600), limits=LIMITS
    ) as rig:
        await rig.run(1, DEPLOY)
        accepted = await rig.submit(1, Operation.SHUTDOWN, grace_s=3600, force=True)
        await job_started(store, "SHUTDOWN")
        await ways_out.cancel(store, accepted.task, CALLER)
        task = await ended(store, accepted.task, within_s=WITHIN_S)
        assert task["result"] == "cancelled"
        assert (await vm_row(store, 1))["state"] == "ON"
        assert rig.driver.world.row("select state from vm")["state"] == "ON"


async def test_another_process_hears_of_it(store: Store) -> None:
    """The one that runs the call is woken, whoever took the request."""
    await seed(store, hosts=3)
    world = World("")
    async with running(
        store, world, options=SimulatedOptions(delay_s=0), limits=LIMITS, **QUIET
    ) as rig:
        await rig.run(1, DEPLOY)
        world.freeze("host-1")
        accepted = await rig.submit(1, OFF)
        await job_started(store, "POWER_OFF")
        async with Store.open(store._settings) as other:
            await ways_out.cancel(other, accepted.task, CALLER)
        await rig.worker._held[accepted.task].cancel.wait()
        world.thaw("host-1")
        task = await ended(store, accepted.task, within_s=WITHIN_S)
        assert task["result"] == "cancelled"
        assert (await vm_row(store, 1))["state"] == "ON"
        assert [row["verb"] for row in world.rows("select verb from call")] == ["deploy", "power"]
