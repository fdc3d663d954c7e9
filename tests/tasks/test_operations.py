"""Every operation on a simulated host, from the order to the record and the world (M-110...)."""

import pytest

from drivers.simulated.options import SimulatedOptions
from drivers.simulated.world import World
from gateway.denial import ApiError
from gateway.lifecycle import Operation
from tests.tasks.rig import Rig, books_balance, running, seed, vm_row


@pytest.fixture
async def rig(store):
    await seed(store)
    async with running(store, World()) as made:
        yield made


async def state(rig: Rig, vm: int = 1) -> str:
    return str((await vm_row(rig.store, vm))["state"])


async def test_deploy_places_creates_and_starts(rig):
    task = await rig.run(1, Operation.DEPLOY)
    assert task["result"] == "success"
    row = await vm_row(rig.store, 1)
    assert row["state"] == "ON"
    (vm,) = rig.driver.world.rows("select * from vm")
    assert (vm["vm"], vm["state"], vm["volume"]) == (str(row["uuid"]), "ON", row["volume"])
    await books_balance(rig.store)


async def test_the_powers(rig):
    """M-110 to M-117."""
    await rig.run(1, Operation.DEPLOY)
    for operation, after in (
        (Operation.PAUSE, "PAUSED"),
        (Operation.RESUME, "ON"),
        (Operation.SHUTDOWN, "OFF"),
        (Operation.POWER_ON, "ON"),
        (Operation.RESET, "ON"),
        (Operation.POWER_OFF, "OFF"),
    ):
        task = await rig.run(1, operation)
        assert (task["result"], await state(rig)) == ("success", after), operation


async def test_what_is_deleted_is_taken_off_its_host_first(rig):
    """C1: the host has neither VM nor disk, and the record is gone with its booking."""
    await rig.run(1, Operation.DEPLOY)
    task = await rig.run(1, Operation.UNDEPLOY, delete=True)
    assert task["result"] == "success"
    assert rig.driver.world.rows("select * from vm") == []
    async with rig.store.read() as c:
        assert await c.fetchval("select count(*) from vm where id = 1") == 0
    await books_balance(rig.store)


async def test_a_vm_that_cannot_be_taken_off_is_not_deleted(rig):
    """C1: the task fails, and the record stays with its booking."""
    await rig.run(1, Operation.DEPLOY)
    host = (await vm_row(rig.store, 1))["host_id"]
    rig.driver.world.plan(f"host-{host}", "remove", "Rejected")
    task = await rig.run(1, Operation.UNDEPLOY, delete=True)
    assert task["result"] == "failure"
    assert (await vm_row(rig.store, 1))["host_id"] == host
    await books_balance(rig.store)


async def test_a_reset_boots_once(rig):
    await rig.run(1, Operation.DEPLOY)
    await rig.run(1, Operation.RESET)
    assert rig.driver.world.row("select boots from vm")["boots"] == 2


async def test_a_guest_that_does_not_listen_stays_on_and_the_task_says_so(rig):
    """M-112."""
    await rig.run(1, Operation.DEPLOY)
    rig.driver.world.deafen(rig.driver.world.row("select vm from vm")["vm"])
    task = await rig.run(1, Operation.SHUTDOWN, grace_s=0.05)
    assert (task["result"], await state(rig)) == ("failure", "ON")
    assert "did not shut down" in task["error"]
    forced = await rig.run(1, Operation.SHUTDOWN, grace_s=0.05, force=True)
    assert (forced["result"], await state(rig)) == ("success", "OFF")


async def test_reconfigure_while_off(rig):
    await rig.run(1, Operation.DEPLOY)
    await rig.run(1, Operation.POWER_OFF)
    task = await rig.run(1, Operation.RECONFIGURE, cpu=3, ram_mib=512)
    assert task["result"] == "success"
    vm = rig.driver.world.row("select cpu, ram_mib from vm")
    assert (vm["cpu"], vm["ram_mib"]) == (3, 512)
    await books_balance(rig.store)


async def test_a_reconfigure_without_room_is_explained_and_changes_nothing(rig):
    """M-047, M-058."""
    await rig.run(1, Operation.DEPLOY)
    await rig.run(1, Operation.POWER_OFF)
    task = await rig.run(1, Operation.RECONFIGURE, cpu=17)
    assert task["result"] == "failure"
    assert "need 16 more CPU and has 15 to spare" in task["error"]
    await books_balance(rig.store)


async def test_relocate_moves_without_a_boot(rig):
    """M-020: live, and the guest has not restarted."""
    await rig.run(1, Operation.DEPLOY)
    before = (await vm_row(rig.store, 1))["host_id"]
    task = await rig.run(1, Operation.RELOCATE, host_id=None)
    after = await vm_row(rig.store, 1)
    assert (task["result"], after["state"]) == ("success", "ON")
    assert after["host_id"] != before
    (vm,) = rig.driver.world.rows("select * from vm")
    assert vm["boots"] == 1
    candidates = await rig.planner.candidates(1)
    assert before in candidates.fitting
    await books_balance(rig.store)


async def test_undeploy_leaves_nothing(rig):
    await rig.run(1, Operation.DEPLOY)
    task = await rig.run(1, Operation.UNDEPLOY)
    assert (task["result"], await state(rig)) == ("success", "NOT_ALLOCATED")
    assert rig.driver.world.rows("select * from vm") == []
    assert rig.driver.world.rows("select * from volume") == []
    await books_balance(rig.store)


async def test_a_failed_start_is_rolled_back_to_nothing(rig):
    rig.driver.world.plan("host-1", "power", "Rejected")
    task = await rig.run(1, Operation.DEPLOY)
    assert (task["result"], task["error"]) == ("failure", "planned by the test")
    assert await state(rig) == "NOT_ALLOCATED"
    assert rig.driver.world.rows("select * from vm") == []
    await books_balance(rig.store)


@pytest.mark.parametrize("verb", ["deploy", "power"])
@pytest.mark.parametrize("late", [False, True])
async def test_a_call_nobody_knows_the_end_of_is_looked_at_not_repeated(rig, verb, late):
    """I1: Indeterminate looks first."""
    rig.driver.world.plan("host-1", verb, "Indeterminate", late=late)
    task = await rig.run(1, Operation.DEPLOY)
    assert (task["result"], await state(rig)) == ("success", "ON")
    calls = [row["verb"] for row in rig.driver.world.rows("select verb from call order by n")]
    assert calls == ["deploy", "power"]


async def test_a_reset_nobody_knows_the_end_of_says_so(rig):
    await rig.run(1, Operation.DEPLOY)
    rig.driver.world.plan("host-1", "reset", "Indeterminate", late=True)
    task = await rig.run(1, Operation.RESET)
    assert task["result"] == "failure"
    assert task["error"].startswith("Indeterminate")
    assert len(rig.driver.world.rows("select 1 from call where verb = 'reset'")) == 1


async def test_what_nobody_answers_is_tried_again(rig):
    rig.driver.world.plan("host-1", "deploy", "Unreachable", times=2)
    task = await rig.run(1, Operation.DEPLOY)
    assert task["result"] == "success"


async def test_what_nobody_answers_for_long_is_given_up_and_given_back(rig):
    rig.driver.world.plan("host-1", "deploy", "Unreachable", times=99)
    task = await rig.run(1, Operation.DEPLOY)
    assert (task["result"], await state(rig)) == ("failure", "NOT_ALLOCATED")
    await books_balance(rig.store)


async def test_a_move_that_fails_leaves_the_vm_where_it_was(rig):
    await rig.run(1, Operation.DEPLOY)
    before = (await vm_row(rig.store, 1))["host_id"]
    rig.driver.world.plan("host-1", "relocate", "Rejected")
    task = await rig.run(1, Operation.RELOCATE, host_id=None)
    after = await vm_row(rig.store, 1)
    assert (task["result"], after["host_id"], after["state"]) == ("failure", before, "ON")
    await books_balance(rig.store)


async def test_one_operation_at_a_time_on_a_vm(store):
    """M-119, I3: the second is refused with the running one."""
    await seed(store)
    async with running(store, World(), options=SimulatedOptions(delay_s=0.3)) as rig:
        first = await rig.submit(1, Operation.DEPLOY)
        with pytest.raises(ApiError) as refused:
            await rig.submit(1, Operation.UNDEPLOY)
        assert (refused.value.code, refused.value.task) == ("VM-2", str(first.task))


async def test_too_much_is_refused_with_the_nearest_hosts_and_numbers(rig):
    """M-052."""
    async with rig.store.transaction() as c:
        await c.execute("update vm set cpu = 17 where id = 1")
    task = await rig.run(1, Operation.DEPLOY)
    assert task["result"] == "failure"
    async with rig.store.read() as c:
        event = await c.fetchval("select payload from feed where payload->>'action' = 'SCHEDULE'")
    rows = event["details"]["nearest"]
    assert event["details"]["counts"] == {"CPU": 4}
    assert [row["name"] for row in rows] == ["host-1", "host-2", "host-3", "host-4"]
    assert {(row["reasons"][0]["wanted"], row["reasons"][0]["spare"]) for row in rows} == {(17, 16)}
    assert event["severity"] == "ERROR"
