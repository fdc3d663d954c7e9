"""A running VM on host-1 of two, in the simulated world, that somebody else may move or copy."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from drivers.capabilities import HypervisorType
from drivers.simulated.driver import SimulatedDriver
from drivers.simulated.options import SimulatedOptions
from drivers.simulated.world import World
from gateway.lifecycle import Operation
from gateway.reconcile.observer import ObservedEndpoint, Observer
from gateway.store.db.pool import Store
from tests.reconcile.test_observer import ROUNDS, Surveyed
from tests.tasks.rig import attach, running, seed, vm_row


@dataclass(slots=True)
class Scene:
    """VM 1 runs on host-1 of two; observers of both, of one manager or each on its own."""

    store: Store
    world: World
    driver: Surveyed
    uuid: str
    whole: bool

    def observer(self, endpoint: str = "host-1", owner: str = "tests") -> Observer:
        """Of one endpoint; of a manager there is one only."""
        at = ObservedEndpoint("sim", "manager" if self.whole else endpoint, owner)
        return Observer(self.store, self.driver, at, ROUNDS, lambda: None)  # type: ignore[arg-type]

    async def rounds(self) -> None:
        """Everything is looked at once."""
        for endpoint in self.driver.endpoints():
            await self.observer(endpoint).round()

    def move(self, to: str) -> None:
        """Somebody else moves the VM."""
        self.world.rows("update vm set host = ? where vm = ?", to, self.uuid)

    def copy(self, to: str) -> None:
        """It is on another host as well, which must never be."""
        self.world.rows(
            """insert into vm (vm, host, name, cpu, ram_mib, state, task, volume)
               select vm, ?, name, cpu, ram_mib, state, task, volume from vm where vm = ?""",
            to,
            self.uuid,
        )

    async def at(self) -> tuple[str, str]:
        """The VM's state and host on record."""
        async with self.store.read() as c:
            row = await c.fetchrow(
                "select v.state, h.name from vm v join host h on h.id = v.host_id where v.id = 1"
            )
        assert row is not None
        return row["state"], row["name"]

    async def used(self) -> list[int]:
        """vCPUs that the ledger has in use, host by host."""
        async with self.store.read() as c:
            rows = await c.fetch("select cpu_used from ledger where kind = 'host' order by id")
        return [row["cpu_used"] for row in rows]

    async def events(self, action: str) -> list[dict[str, Any]]:
        """What was told of that action."""
        async with self.store.read() as c:
            rows = await c.fetch(
                """select payload from feed where topic = 'event' and payload->>'action' = $1
                   union all
                   select payload from outbox where topic = 'event' and payload->>'action' = $1""",
                action,
            )
        return [row["payload"] for row in rows]


@asynccontextmanager
async def scene(store: Store, *, whole: bool, hosts: int = 2) -> AsyncIterator[Scene]:
    world = World("")
    await seed(store, hosts=hosts, vms=2)
    async with running(store, world) as rig:
        await rig.run(1, Operation.DEPLOY)
        if (await vm_row(store, 1))["host_id"] != 1:
            await rig.run(1, Operation.RELOCATE, host_id=1)
    async with store.transaction() as c:
        await c.execute("delete from observer")
    driver = SimulatedDriver("sim", HypervisorType.KVM, SimulatedOptions(), world)
    await attach(store, driver)
    surveyed = Surveyed(driver)
    if whole:
        surveyed.covers = {"manager": tuple(f"host-{n + 1}" for n in range(hosts))}
    yield Scene(store, world, surveyed, str((await vm_row(store, 1))["uuid"]), whole)
    await driver.aclose()


both = pytest.mark.parametrize("whole", [True, False], ids=["one manager", "each host"])
