"""A VM of a cloud is deallocated when it was seen so, not when it was asked to be."""

from uuid import uuid4

import pytest

from drivers.contract import Outcome, Verdict
from drivers.facts import PowerState, Sighting
from drivers.simulated.options import SimulatedOptions
from drivers.simulated.world import World
from gateway.lifecycle import Operation
from gateway.store import vm_record
from gateway.store.db.pool import Store
from gateway.store.tasks.tasks import Claimed
from gateway.tasks.operations.power import POWER
from gateway.tasks.step_actions import CallStep, StepContext
from tests.tasks.rig import books_balance, running, seed, vm_row

CLOUD = SimulatedOptions(cloud=True)


@pytest.fixture
def world() -> World:
    """An empty world in memory."""
    return World("")


async def states(store: Store) -> tuple[str, bool]:
    """The VM's state, and whether it is deallocated."""
    row = await vm_row(store, 1)
    return row["state"], row["deallocated"]


@pytest.mark.parametrize(
    ("operation", "release"),
    [
        (Operation.POWER_OFF, True),
        (Operation.POWER_OFF, False),
        (Operation.SHUTDOWN, True),
        (Operation.SHUTDOWN, False),
    ],
)
async def test_off_is_deallocated_only_where_that_was_asked_for(
    store: Store, world: World, operation: Operation, release: bool
) -> None:
    """M-076, M-077: and its place stays booked, since the quota still counts it (M-075)."""
    await seed(store)
    async with running(store, world, options=CLOUD) as rig:
        await rig.run(1, Operation.DEPLOY)
        ended = await rig.run(1, operation, release=release)
        assert ended["result"] == "success"
        assert await states(store) == ("OFF", release)
        await books_balance(store)
        await rig.run(1, Operation.POWER_ON)
        assert await states(store) == ("ON", False)


async def test_one_that_is_off_can_be_deallocated_later(store: Store, world: World) -> None:
    """M-080: what was shut down and is still charged need not be started for that."""
    await seed(store)
    async with running(store, world, options=CLOUD) as rig:
        await rig.run(1, Operation.DEPLOY)
        await rig.run(1, Operation.SHUTDOWN)
        await rig.run(1, Operation.POWER_OFF, release=True)
        assert await states(store) == ("OFF", True)
    assert [row["boots"] for row in world.rows("select boots from vm")] == [1]


async def test_what_a_resize_gave_back_is_recorded(store: Store, world: World) -> None:
    """M-077: as by whatever else it was seen."""
    await seed(store)
    async with running(store, world, options=CLOUD) as rig:
        await rig.run(1, Operation.DEPLOY)
        await rig.run(1, Operation.SHUTDOWN)
        task = await rig.run(1, Operation.RECONFIGURE, cpu=2, ram_mib=2048)
        assert task["result"] == "success"
        assert await states(store) == ("OFF", True)


@pytest.mark.parametrize("seen", [True, False])
async def test_what_was_not_seen_deallocated_is_not_called_so(store: Store, seen: bool) -> None:
    """M-077: whatever was asked for, the record is what the settled call showed."""
    await seed(store)
    power = POWER["power"]
    assert isinstance(power, CallStep)
    async with store.transaction() as c:
        vm = await vm_record.load(c, 1)
        task = Claimed(
            uuid4(), Operation.POWER_OFF, 1, vm.name, 1, 1, {"release": not seen}, 1, 0, True
        )
        sighting = Sighting(vm.uuid, "host-1", PowerState.OFF, vm.name, 1, 1024, deallocated=seen)
        await power.effect(c, StepContext(task, vm, ()), Outcome(Verdict.DONE, sighting))
    assert await states(store) == ("OFF", seen)
