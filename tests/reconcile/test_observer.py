"""I4, I5: a survey records what was seen, unless the record moved on; silence is UNKNOWN."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from drivers.contract import HypervisorType
from drivers.facts import Facts
from drivers.faults import Unreachable
from drivers.simulated.driver import SimulatedDriver
from drivers.simulated.options import SimulatedOptions
from drivers.simulated.world import World
from gateway.lifecycle import Operation
from gateway.reconcile.observer import Endpoint, Observer, Rounds
from gateway.store.pool import Store
from tests.tasks.rig import attach, running, seed, vm_row

ROUNDS = Rounds(period_s=60, unknown_after_s=0.05, lease_s=60, spacing_s=0)
Meanwhile = Callable[[], Awaitable[None]]


class Surveyed:
    """A driver whose survey can be disturbed after it was taken, before it is recorded."""

    def __init__(self, driver: SimulatedDriver) -> None:
        self._driver = driver
        self.meanwhile: Meanwhile | None = None
        self.silent = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    async def survey(self, endpoint: str) -> Facts:
        if self.silent:
            raise Unreachable("nobody answers")
        facts = await self._driver.survey(endpoint)
        if self.meanwhile is not None:
            await self.meanwhile()
        return facts


@asynccontextmanager
async def observing(store: Store) -> AsyncIterator[tuple[Observer, Surveyed, World, str]]:
    """VM 1 runs on host-1, whose observer is ours alone; its uuid last."""
    world = World("")
    await seed(store, hosts=1, vms=1)
    async with running(store, world) as rig:
        await rig.run(1, Operation.DEPLOY)
    async with store.transaction() as c:
        await c.execute("delete from observer")
    driver = SimulatedDriver("sim", HypervisorType.KVM, SimulatedOptions(), world)
    await attach(store, driver)
    surveyed = Surveyed(driver)
    told: list[int] = []
    at = Endpoint("sim", "host-1", "tests")
    uuid = str((await vm_row(store, 1))["uuid"])
    observer = Observer(store, surveyed, at, ROUNDS, lambda: told.append(1))  # type: ignore[arg-type]
    yield observer, surveyed, world, uuid
    await driver.aclose()


async def test_what_is_seen_is_recorded_with_who_saw_it_and_when(store: Store) -> None:
    async with observing(store) as (observer, _, world, uuid):
        world.set_state(uuid, "PAUSED")
        await observer.round()
        vm = await vm_row(store, 1)
        assert (vm["state"], vm["known_state"]) == ("PAUSED", "PAUSED")
        assert vm["seen"]["by"] == "tests"
        assert vm["synchronized_at"] is not None


async def test_a_survey_never_overwrites_what_is_newer(store: Store) -> None:
    """The record changed after the look began: what was seen is old by now."""
    async with observing(store) as (observer, surveyed, world, uuid):
        world.set_state(uuid, "PAUSED")

        async def newer() -> None:
            async with store.transaction() as c:
                await c.execute(
                    "update vm set state = 'OFF', known_state = 'OFF', version = version + 1"
                )

        surveyed.meanwhile = newer
        await observer.round()
        assert (await vm_row(store, 1))["state"] == "OFF"


async def test_a_vm_that_a_task_holds_is_left_to_the_task(store: Store) -> None:
    async with observing(store) as (observer, surveyed, world, uuid):
        world.set_state(uuid, "OFF")

        async def taken() -> None:
            async with store.transaction() as c:
                await c.execute(
                    """insert into task (id, kind, vm_id, vm_name, user_id, enterprise_id)
                       select gen_random_uuid(), 'RESET', id, name, 1, 1 from vm"""
                )

        surveyed.meanwhile = taken
        await observer.round()
        assert (await vm_row(store, 1))["state"] == "ON"


async def test_an_observer_that_lost_its_lease_records_nothing(store: Store) -> None:
    async with observing(store) as (observer, surveyed, world, uuid):
        world.set_state(uuid, "OFF")

        async def taken_over() -> None:
            async with store.transaction() as c:
                await c.execute("update observer set owner = 'other', epoch = epoch + 1")

        surveyed.meanwhile = taken_over
        await observer.round()
        assert (await vm_row(store, 1))["state"] == "ON"


@pytest.mark.parametrize("how", ["silence", "not listed"])
async def test_absence_of_evidence_is_unknown(store: Store, how: str) -> None:
    """Never OFF, never gone: the last known state, the place and the booking are kept."""
    async with observing(store) as (observer, surveyed, world, uuid):
        if how == "silence":
            surveyed.silent = True
        else:
            world.rows("delete from vm where vm = ?", uuid)
        before = await vm_row(store, 1)
        while (await vm_row(store, 1))["state"] == "ON":
            await observer.round()
        after = await vm_row(store, 1)
        assert (after["state"], after["known_state"]) == ("UNKNOWN", "ON")
        assert (after["host_id"], after["volume"]) == (before["host_id"], before["volume"])
        async with store.read() as c:
            assert await c.fetchval("select count(*) from booking") == 1
            events = await c.fetch("select payload from outbox where topic = 'event'")
            feed = await c.fetch("select payload from feed where topic = 'event'")
        assert any("UNKNOWN" in str(row["payload"]) for row in [*events, *feed])
        if how == "silence":
            surveyed.silent = False
            await observer.round()
            assert (await vm_row(store, 1))["state"] == "ON"
