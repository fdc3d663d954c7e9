"""The engine: what every process runs behind its listeners, by its role."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress

from drivers.contract import Driver
from gateway.config import Config
from gateway.events.sequencer import Sequencer
from gateway.placement.advice import Adviser
from gateway.placement.claim_batcher import ClaimBatcher
from gateway.placement.fleet_mirror import FleetMirror
from gateway.placement.holds import HoldExpirer, HoldService
from gateway.placement.host_partitions import PartitionKeeper
from gateway.plans.runner import PlanRunner
from gateway.reconcile.guarded import Guarded
from gateway.reconcile.observer import TURNS, SurveyIntervals
from gateway.reconcile.watch import ObserverSet
from gateway.service.advice_process import AdviceProcess
from gateway.service.analysis_process import AnalysisPool
from gateway.service.checkpointer import Checkpointer
from gateway.service.host_sync import Attaching
from gateway.store import places
from gateway.store.db.pool import Store, StoreError
from gateway.tasks.executor_deps import ExecutorDeps
from gateway.tasks.fault_policy import Limits
from gateway.tasks.operations.reserve_step import Reserver
from gateway.tasks.worker import Worker, WorkerTimings
from scheduler.plan.move_schedule import Capacities

_log = logging.getLogger(__name__)
FIRST_LOOK_S = 5.0
_LOOK_EACH_S = 0.02


class Engine:
    """Sequencer and planner always; the worker and the watches when it `works`."""

    def __init__(
        self, store: Store, drivers: Mapping[str, Driver], config: Config, *, works: bool
    ) -> None:
        self.store = store
        self.drivers = drivers
        self.attaching = Attaching(store, drivers)
        self.sequencer = Sequencer(store)
        self.planner = FleetMirror(store, self.sequencer)
        self.thinker = AnalysisPool()
        self._keeper = Checkpointer(store, config.decisions, self.thinker)
        self.sweeper = HoldExpirer(HoldService(store, self.planner), self.sequencer.poke)
        self.capacities = _capacities(config)
        self.plan_runner = PlanRunner(store, self.planner, self.capacities, self.wake)
        self._looks: set[asyncio.Task[None]] = set()
        self._advisory = AdviceProcess()
        self.adviser = Adviser(store, self.planner, self._advisory.ask, _fixed(drivers))
        granter = ClaimBatcher(store)
        self.claims = granter.tally
        reserver = Reserver(store, self.planner, granter, self.adviser)
        limits = _limits(config)
        tools = ExecutorDeps(drivers, reserver, limits, self.sequencer.poke, self._look_at)
        self._worker = Worker(store, tools, _pace(config)) if works else None
        self._sharing = self._share(config) if works else None
        self._watches = self._watching(config) if works else {}

    def _share(self, config: Config) -> PartitionKeeper:
        assert self._worker is not None
        lease_s = config.tasks.lease_s
        return PartitionKeeper(self.store, self._worker.name, lease_s, self.planner.take_share)

    def _watching(self, config: Config) -> dict[str, ObserverSet]:
        assert self._worker is not None
        rounds = SurveyIntervals(
            config.observers.period_s,
            config.observers.unknown_after_s,
            config.observers.lease_s,
            config.observers.spacing_s,
        )
        found = {}
        turns = asyncio.Semaphore(TURNS)
        for name, driver in self.drivers.items():
            guarded = Guarded(driver, self.attaching.refused[name])
            watch = ObserverSet(self.store, name, guarded, rounds, self._worker.name)
            watch.committed = self.sequencer.poke
            watch.turns = turns
            found[name] = watch
        return found

    @property
    def held(self) -> int:
        """How many tasks this process runs now."""
        return self._worker.running if self._worker else 0

    def wake(self) -> None:
        """Something was committed: a task, an event, or a change of places."""
        self.sequencer.poke()
        if self._worker is not None:
            self._worker.poke()

    async def load(self) -> None:
        """What must be known before the first request: hosts and inventory."""
        await self.attaching.sync()
        await self.sequencer.flush()
        await self._keeper.begin(self.sequencer)
        await self.planner.load()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for each in (
                *(self.sequencer, self.planner, self.attaching, self._keeper, self._advisory),
                *(self.sweeper, self.plan_runner),
            ):
                group.create_task(each.run())
            for watch in self._watches.values():
                group.create_task(watch.run())
            if self._worker is not None:
                group.create_task(self._worker.run())
            if self._sharing is not None:
                group.create_task(self._sharing.run())

    async def first_look(self) -> None:
        """Wait, not for long, until hosts nobody ever saw were looked at: a request that comes
        first must not be refused for want of hosts."""
        if not self._watches:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_LOOK_S):
                while await self._unseen():  # noqa: ASYNC110
                    await asyncio.sleep(_LOOK_EACH_S)
        await self.sequencer.flush()
        await self.planner.catch_up()

    async def _unseen(self) -> int:
        async with self.store.read() as c:
            return await places.unseen(c, list(self._watches))

    async def drain(self) -> None:
        """Claim no more, and let what runs come to an end."""
        if self._worker is not None:
            await self._worker.drain()

    def _look_at(self, vm_id: int) -> None:
        """An executor wants a VM observed anew."""
        look = asyncio.get_running_loop().create_task(self._poke(vm_id))
        self._looks.add(look)
        look.add_done_callback(self._looks.discard)

    async def _poke(self, vm_id: int) -> None:
        with suppress(StoreError):
            async with self.store.read() as c:
                at = await places.host_of_vm(c, vm_id)
            if at is not None and at[0] in self._watches:
                self._watches[at[0]].poke_host(at[1])


def _capacities(config: Config) -> Capacities:
    section = config.plans
    return Capacities(section.host_units, section.datastore_units, section.network_units)


def _fixed(drivers: Mapping[str, Driver]) -> frozenset[str]:
    able = [driver.capabilities for driver in drivers.values()]
    return frozenset(each.type.value for each in able if not each.relocation)


def _limits(config: Config) -> Limits:
    tasks = config.tasks
    return Limits(
        tasks.attempts_max,
        tasks.hosts_max,
        tasks.settle_for_s,
        tasks.poll_s,
        tasks.failures_max,
        tasks.cancel_s,
    )


def _pace(config: Config) -> WorkerTimings:
    section = config.tasks
    return WorkerTimings(
        lease_s=section.lease_s,
        heartbeat_s=section.heartbeat_s,
        margin_s=section.margin_s,
        drain_s=section.drain_s,
        room=section.workers,
    )
