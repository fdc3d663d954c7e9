"""I4, I5: a survey records what was seen, unless the record moved on; silence is UNKNOWN."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from drivers.capabilities import HypervisorType
from drivers.facts import Facts, HostLoad, Sighting
from drivers.faults import Unreachable
from drivers.simulated.driver import SimulatedDriver
from drivers.simulated.options import SimulatedOptions
from drivers.simulated.world import World
from gateway.lifecycle import Operation
from gateway.reconcile.observer import ObservedEndpoint, Observer, SurveyIntervals
from gateway.store.db.pool import Store
from tests.tasks.rig import attach, running, seed, vm_row

ROUNDS = SurveyIntervals(period_s=60, unknown_after_s=0.05, lease_s=60, spacing_s=0)
Meanwhile = Callable[[], Awaitable[None]]


class Surveyed:
    """A driver whose survey can be disturbed after it was taken, before it is recorded."""

    def __init__(self, driver: SimulatedDriver) -> None:
        self._driver = driver
        self.meanwhile: Meanwhile | None = None
        self.silent = False
        self.accepting = True
        self.load: HostLoad | None = None
        self.unseen: set[str] = set()
        self.covers: dict[str, tuple[str, ...]] | None = None
        self.datastores: tuple[str, ...] = ()
        self.looked: Meanwhile | None = None

    def endpoints(self) -> Mapping[str, tuple[str, ...]]:
        return self.covers or self._driver.endpoints()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    async def survey(self, endpoint: str) -> Facts:
        if self.silent:
            raise Unreachable("nobody answers")
        if self.covers is not None:
            facts = await self._whole(endpoint)
            await self._after_a_look()
            vms = tuple(replace(vm, datastores=self.datastores) for vm in facts.vms)
            return replace(facts, vms=vms)
        facts = await self._driver.survey(endpoint)
        if self.meanwhile is not None:
            await self.meanwhile()
        hosts = tuple(
            replace(host, accepting=self.accepting, load=self.load) for host in facts.hosts
        )
        return replace(facts, hosts=hosts)

    async def look(self, vm: UUID, host: str) -> Sighting | None:
        found: Sighting | None = await self._driver.look(vm, host)
        await self._after_a_look()
        return found

    async def _after_a_look(self) -> None:
        if self.looked is not None:
            looked, self.looked = self.looked, None
            await looked()

    async def _whole(self, endpoint: str) -> Facts:
        """One survey of several hosts, as of a vCenter, less those that it does not see."""
        names = [name for name in self.endpoints()[endpoint] if name not in self.unseen]
        each = [await self._driver.survey(name) for name in names]
        hosts = tuple(host for facts in each for host in facts.hosts)
        vms = tuple(vm for facts in each for vm in facts.vms)
        return Facts(endpoint, datetime.now(UTC), hosts, vms)


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
    at = ObservedEndpoint("sim", "host-1", "tests")
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


async def test_a_host_that_its_endpoint_does_not_see_is_silent_alone(store: Store) -> None:
    """A vCenter lists all its hosts at once, less those it has lost: their VMs become UNKNOWN
    after the window, others are recorded, and what comes back is seen again."""
    world = World("")
    await seed(store, hosts=2, vms=2)
    async with running(store, world) as rig:
        await rig.run(1, Operation.DEPLOY)
        await rig.run(2, Operation.DEPLOY)
    async with store.transaction() as c:
        await c.execute("delete from observer")
        await c.execute(
            "update vm set host_id = (select id from host where name = 'host-2') where id = 2"
        )
    driver = SimulatedDriver("sim", HypervisorType.KVM, SimulatedOptions(), world)
    await attach(store, driver)
    uuid = str((await vm_row(store, 2))["uuid"])
    world.rows("update vm set host = 'host-2' where vm = ?", uuid)
    surveyed = Surveyed(driver)
    surveyed.covers = {"vcenter": ("host-1", "host-2")}
    at = ObservedEndpoint("sim", "vcenter", "tests")
    observer = Observer(store, surveyed, at, ROUNDS, lambda: None)  # type: ignore[arg-type]
    await observer.round()
    assert [(await vm_row(store, vm))["state"] for vm in (1, 2)] == ["ON", "ON"]
    surveyed.unseen = {"host-2"}
    world.set_state(str((await vm_row(store, 1))["uuid"]), "OFF")
    await observer.round()
    assert [(await vm_row(store, vm))["state"] for vm in (1, 2)] == ["OFF", "ON"]
    while (await vm_row(store, 2))["state"] == "ON":
        await observer.round()
    assert [(await vm_row(store, vm))["state"] for vm in (1, 2)] == ["OFF", "UNKNOWN"]
    surveyed.unseen = set()
    await observer.round()
    assert [(await vm_row(store, vm))["state"] for vm in (1, 2)] == ["OFF", "ON"]
    await driver.aclose()


async def test_a_host_that_takes_no_vms_is_seen_and_not_chosen(store: Store) -> None:
    """In maintenance, say: its VMs are recorded as they are; afterwards it is chosen again."""
    async with observing(store) as (observer, surveyed, world, uuid):

        async def reachable() -> bool:
            await observer.round()
            async with store.read() as c:
                found: bool = await c.fetchval("select reachable from host where name = 'host-1'")
            return found

        assert await reachable()
        surveyed.accepting = False
        world.set_state(uuid, "PAUSED")
        assert not await reachable()
        assert (await vm_row(store, 1))["state"] == "PAUSED"
        surveyed.accepting = True
        assert await reachable()


async def test_a_deallocation_from_outside_is_seen_in_one_round(store: Store) -> None:
    """M-078: with an event that names it; and while nobody knows, it is not called so (I5)."""
    async with observing(store) as (observer, surveyed, world, uuid):
        for state, expected in (
            ("OFF", ("OFF", False)),
            ("DEALLOCATED", ("OFF", True)),
            ("OFF", ("OFF", False)),
            ("DEALLOCATED", ("OFF", True)),
            ("ON", ("ON", False)),
            ("DEALLOCATED", ("OFF", True)),
        ):
            world.set_state(uuid, state)
            await observer.round()
            vm = await vm_row(store, 1)
            assert (vm["state"], vm["deallocated"]) == expected
        async with store.read() as c:
            events = await c.fetch("select payload from outbox where topic = 'event'")
        told = [row["payload"]["message"] for row in events]
        assert f"{vm['name']} is OFF and deallocated (was OFF)" in told
        assert f"{vm['name']} is ON (was OFF and deallocated)" in told
        surveyed.silent = True
        while (await vm_row(store, 1))["state"] != "UNKNOWN":
            await observer.round()
        assert (await vm_row(store, 1))["deallocated"] is False


async def test_the_measured_load_is_recorded_and_is_no_news(store: Store) -> None:
    """It stands beside what is promised, changes nothing of that, and is told to nobody; where
    nothing is measured any more the old figure is not kept."""
    async with observing(store) as (observer, surveyed, _, _):
        await observer.round()
        rows = []
        for load in (HostLoad(1200, 4096), HostLoad(1300, 4097), None):
            surveyed.load = load
            await observer.round()
            async with store.read() as c:
                row = await c.fetchrow(
                    """select measured_cpu_mhz mhz, measured_memory_mib mib,
                         (select count(*) from outbox) told,
                         (select cpu_used from ledger where kind = 'host') used from host"""
                )
            rows.append(dict(row))
    assert [(row["mhz"], row["mib"]) for row in rows] == [(1200, 4096), (1300, 4097), (None, None)]
    assert len({(row["told"], row["used"]) for row in rows}) == 1


async def test_a_change_from_outside_says_that_the_vm_is_protected(store: Store) -> None:
    """I13: somebody powers it off at the hypervisor; one that is not protected says nothing."""
    async with observing(store) as (observer, _, world, uuid):
        for cause, state in (("", "OFF"), ("audit", "ON")):
            async with store.transaction() as c:
                await c.execute(
                    "update vm set protected = $1 <> '', protected_cause = $1 where id = 1", cause
                )
            world.set_state(uuid, state)
            await observer.round()
            async with store.read() as c:
                told = await c.fetchval(
                    """select payload from outbox where payload->>'action' = 'VSM_CHANGE_STATE'
                       order by id desc limit 1"""
                )
            assert ("protected: audit" in told["message"]) is bool(cause)
            assert told["details"].get("protected_cause", "") == cause
