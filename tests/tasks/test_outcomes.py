"""After any error of the last phase of a move, whatever its name, early or late: the VM ends on
record where it runs, with one booking, and its task ends (faults L2, L3, L4; I1, I4, I6, I10)."""

import pytest

from drivers.simulated.world import World
from gateway.lifecycle import Operation
from tests.tasks.outcomes import KINDS, LASTING, LATE, MOVES, Truth, kept, places, told
from tests.tasks.rig import Rig, books_balance, running, seed, seen_again, vm_row

HOSTS = {"source": "host-1", "target": "host-2", "third": "host-3"}


@pytest.fixture
async def rig(store):
    await seed(store, hosts=4, vms=len(KINDS))
    async with running(store, World()) as made:
        yield made


def ending(truth: Truth) -> str:
    """The truth in the words of the simulated world."""
    words: list[str] = []
    where = [(HOSTS[each], getattr(truth, each)) for each in HOSTS]
    for host, state in sorted(where, key=lambda one: one[1] != "on"):
        if state:
            words.append(f"{('also' if state == 'off' else 'twice') if words else state}:{host}")
    return ",".join(words) or "nowhere"


def in_world(rig: Rig, uuid: str) -> dict[str, str]:
    """Where the VM is, by host."""
    rows = rig.driver.world.rows("select host, state from vm where vm = ?", uuid)
    return {row["host"]: row["state"] for row in rows}


@pytest.mark.parametrize("late", LATE, ids=["early", "late"])
@pytest.mark.parametrize("name", MOVES)
async def test_a_move_that_ends_in_any_error(rig, name, late):
    truth = MOVES[name]
    for vm, kind in enumerate(KINDS, 1):
        assert (await rig.run(vm, Operation.DEPLOY, host_id=1))["result"] == "success"
        uuid = str((await vm_row(rig.store, vm))["uuid"])
        rig.driver.world.plan("host-1", "relocate", kind, late=late)
        rig.driver.world.plan_ending(uuid, ending(truth))
        task = await rig.run(vm, Operation.RELOCATE, host_id=2)
        for _ in range(2):  # a look that began while the task held the VM tells nothing of it
            await seen_again(rig.store)
        await ended_where_it_is(rig, vm, truth, kind, task)
    if kept(truth):  # what runs and is booked elsewhere counts as somebody's use until it is gone
        rig.driver.world.rows("delete from vm where host = 'host-2'")
        for _ in range(2):
            await seen_again(rig.store)
        for vm, _ in enumerate(KINDS, 1):
            assert (await places(rig.store, vm))["state"] == "ON"
    await books_balance(rig.store)


async def ended_where_it_is(rig: Rig, vm: int, truth: Truth, kind: str, task) -> None:
    uuid = str((await vm_row(rig.store, vm))["uuid"])
    record, world = await places(rig.store, vm), in_world(rig, uuid)
    assert (task["state"], record["open"]) == ("done", 0), (kind, task)
    moves = rig.driver.world.rows("select 1 from call where verb = 'relocate' and vm = ? ", uuid)
    if not truth.lives:
        assert task["result"] == "failure", kind
        assert record["state"] == "UNKNOWN", kind
        assert record["booked"] == [record["host"]] == ["host-1"], kind
        assert sorted(world) == sorted(HOSTS[each] for each in kept(truth)), kind
        assert len(moves) <= 1, kind
        return
    lives = HOSTS[truth.lives]
    if truth.moved is None and kind not in LASTING and task["result"] == "success":
        lives = HOSTS["target"]  # it was seen not to have begun, and was sent again
    else:
        assert task["result"] == ("success" if truth.moved else "failure"), (kind, task["error"])
        assert len(moves) <= 1, kind
    assert list(world) == [lives], kind
    assert record["booked"] == [record["host"]] == [lives], kind
    assert record["state"] == world[lives], kind
    if task["result"] == "failure":
        assert "planned by the test" in task["error"] or kind == "Bug", (kind, task["error"])


async def test_one_that_is_on_two_hosts_is_true_again_once_it_is_on_one(rig):
    """UNKNOWN is no dead end: whoever takes the wrong copy away need not tell us."""
    await rig.run(1, Operation.DEPLOY, host_id=1)
    uuid = str((await vm_row(rig.store, 1))["uuid"])
    rig.driver.world.plan("host-1", "relocate", "Rejected", late=True)
    rig.driver.world.plan_ending(uuid, "on:host-1,twice:host-2")
    task = await rig.run(1, Operation.RELOCATE, host_id=2)
    assert "runs on host-1 and on host-2" in task["error"]
    refused = await rig.run(1, Operation.UNDEPLOY)
    assert refused["result"] == "failure"
    assert "runs on host-1 and on host-2" in refused["error"]
    assert in_world(rig, uuid) == {"host-1": "ON", "host-2": "ON"}
    rig.driver.world.rows("delete from vm where host = 'host-1'")
    await seen_again(rig.store)
    await seen_again(rig.store)
    record = await places(rig.store, 1)
    assert (record["state"], record["host"], record["booked"]) == ("ON", "host-2", ["host-2"])
    assert (await rig.run(1, Operation.UNDEPLOY))["result"] == "success"
    await books_balance(rig.store)


async def test_what_is_followed_is_told(rig):
    await rig.run(1, Operation.DEPLOY, host_id=1)
    uuid = str((await vm_row(rig.store, 1))["uuid"])
    rig.driver.world.plan("host-1", "relocate", "Missing")
    rig.driver.world.plan_ending(uuid, "on:host-3")
    task = await rig.run(1, Operation.RELOCATE, host_id=2)
    assert task["error"] == "planned by the test; it is on host-3 now"
    (event,) = await told(rig.store, "VSM_MOVED")
    assert event["severity"] == "WARN"
    assert event["details"] == {"from": "host-1", "to": "host-3"}
    assert "host" not in event["told"]
