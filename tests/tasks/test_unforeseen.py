"""A bug of our own inside a step, wherever it is, ends as a stuck task that says what type of
exception it was, and `resolve` goes on from there (faults L1)."""

from collections.abc import Callable
from typing import Any

import pytest

from drivers.simulated.world import World
from gateway.lifecycle import Operation
from gateway.store import vm_record
from gateway.store.db.pool import Store
from gateway.store.tasks import journal
from gateway.tasks import executor, task_journal
from gateway.tasks.ending import ways_out
from gateway.tasks.fault_policy import Limits
from gateway.tasks.operations import deploy, saga_table
from gateway.tasks.step_actions import CallStep
from scheduler.model.values import replace
from tests.tasks.rig import CALLER, books_balance, ended, running, seed, vm_row

LIMITS = Limits(attempts_max=3, hosts_max=3, settle_for_s=2.0, poll_s=0.02, failures_max=3)
SECRET = "password=hunter2"


class Unheard(Exception):
    """An exception that nothing foresees."""


def _fail(*_: Any, **__: Any) -> Any:
    raise Unheard(SECRET)


def _in_effect(patch: pytest.MonkeyPatch) -> None:
    broken = CallStep(deploy._create, _fail, undo=deploy._remove)
    patch.setitem(saga_table.BEHAVIOURS[Operation.DEPLOY], "create", broken)  # type: ignore[arg-type]


def _in_order(patch: pytest.MonkeyPatch) -> None:
    whole = saga_table.BEHAVIOURS[Operation.DEPLOY]["power"]
    assert isinstance(whole, CallStep)
    patch.setitem(saga_table.BEHAVIOURS[Operation.DEPLOY], "power", replace(whole, order=_fail))  # type: ignore[arg-type]


PLACES: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "an effect": _in_effect,
    "the order of a step": _in_order,
    "the saga": lambda patch: patch.setattr(executor, "next_action", _fail),
    "the journal": lambda patch: patch.setattr(journal, "read", _fail),
    "the store of VMs": lambda patch: patch.setattr(vm_record, "record_state", _fail),
    "the end": lambda patch: patch.setattr(task_journal.TaskTransaction, "finish", _fail),
}


@pytest.mark.parametrize("place", PLACES)
async def test_a_bug_is_counted_and_ends_as_a_stuck_task(
    store: Store, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    await seed(store)
    async with running(store, World(""), limits=LIMITS) as rig:
        with monkeypatch.context() as patch:
            PLACES[place](patch)
            task = await rig.run(1, Operation.DEPLOY)
        assert task["state"] == "stuck"
        assert task["failures"] == 3
        assert task["error"] == "unforeseen failure: Unheard (3 times)"
        async with store.read() as c:
            told = await c.fetch("select payload->>'message' m, payload->>'action' a from feed")
        assert [row["a"] for row in told if "Unheard" in (row["m"] or "")] == ["TASK_STUCK"]
        assert not any(SECRET in (row["m"] or "") for row in told)
        await ways_out.resolve(store, task["id"], CALLER)
        rig.worker.poke()
        task = await ended(store, task["id"])
        assert (task["result"], task["failures"]) == ("success", 0)
        assert (await vm_row(store, 1))["state"] == "ON"
        calls = [row["verb"] for row in rig.driver.world.rows("select verb from call order by n")]
        assert calls == ["deploy", "power"]
        await books_balance(store)


async def test_even_a_bug_in_telling_of_it_ends(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The count and the end need nothing but the task's row."""
    await seed(store)
    async with running(store, World(""), limits=LIMITS) as rig:
        monkeypatch.setattr(journal, "read", _fail)
        monkeypatch.setattr(task_journal, "emit", _fail)
        accepted = await rig.submit(1, Operation.DEPLOY)
        from tests.tasks.waits import until

        await until(store, "select true from task where id = $1 and state = 'stuck'", accepted.task)


async def test_the_count_outlives_the_process(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the task's row; a process that dies over the task counts, too, though later."""
    await seed(store)
    async with running(store, World(""), limits=replace(LIMITS, failures_max=2)) as rig:
        async with store.transaction() as c:
            await c.execute(
                "alter table task alter column failures set default 1"  # as of a process before
            )
        monkeypatch.setattr(journal, "read", _fail)
        task = await rig.run(1, Operation.DEPLOY)
    assert (task["state"], task["failures"]) == ("stuck", 2)


async def test_a_task_over_which_processes_die_is_stuck(store: Store) -> None:
    await seed(store)
    async with store.transaction() as c:
        await c.execute("alter table task alter column lapses set default 21")
    async with running(store, World("")) as rig:
        task = await rig.run(1, Operation.DEPLOY)
        assert (task["state"], task["error"]) == ("stuck", "21 processes ended while they ran it")
        await ways_out.resolve(store, task["id"], CALLER)
        rig.worker.poke()
        assert (await ended(store, task["id"]))["result"] == "success"


async def test_a_lapsed_lease_is_counted(store: Store) -> None:
    """Taken over from a dead process: once; back from the queue: not."""
    from gateway.store.tasks import tasks

    await seed(store)
    async with running(store, World("")) as rig:
        await rig.worker.drain()
        await rig.submit(1, Operation.DEPLOY)
        for lapses in (0, 1, 2):
            async with store.transaction() as c:
                (claimed,) = await tasks.claim(c, "dead", 0.0, 9, lapsed=True)
            assert claimed.lapses == lapses
