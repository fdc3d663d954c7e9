"""A worker claims tasks, keeps their leases alive with one heartbeat, and runs an executor each.

It claims no lapsed task for one lease after the store was away: then nobody could renew, and
the first to come back would take everything.
"""

import asyncio
import logging
import os
import socket
from contextlib import aclosing, suppress
from dataclasses import dataclass
from uuid import UUID, uuid4

from structlog.contextvars import bind_contextvars

from drivers.contract import LeaseLost
from gateway.store.db.pool import Store, StoreError
from gateway.store.tasks import cancels, tasks
from gateway.store.tasks.tasks import Claimed
from gateway.tasks.ending import unforeseen
from gateway.tasks.ending.cancel_signal import CancelSignal
from gateway.tasks.ending.take_up import take_up
from gateway.tasks.executor import Executor
from gateway.tasks.executor_deps import ExecutorDeps
from gateway.tasks.lease import Lease, now_s
from gateway.tasks.task_journal import TaskRecord

_log = logging.getLogger(__name__)
TICK_S = 0.5
TAKE_UP_EACH_S = 1.0


@dataclass(frozen=True, slots=True)
class WorkerTimings:
    """How a worker keeps its leases. Times in seconds; `room` is tasks at once."""

    lease_s: float = 15.0
    heartbeat_s: float = 5.0
    margin_s: float = 2.0
    drain_s: float = 20.0
    room: int = 64


@dataclass(slots=True)
class _Held:
    claimed: Claimed
    lease: Lease
    run: asyncio.Task[None]
    cancel: CancelSignal


class Worker:
    """Runs until `drain` is called or it is cancelled."""

    def __init__(self, store: Store, tools: ExecutorDeps, pace: WorkerTimings) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self._store = store
        self._tools = tools
        self._pace = pace
        self._held: dict[UUID, _Held] = {}
        self._poked = asyncio.Event()
        self._draining = False
        self._claims = asyncio.Lock()
        self._away_until_s = 0.0

    def poke(self) -> None:
        """A task was queued, or a place became free."""
        self._poked.set()

    @property
    def running(self) -> int:
        """How many tasks this worker holds now."""
        return len(self._held)

    async def run(self) -> None:
        """Claim and execute until drained; a store that is away is waited for."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._heartbeat())
            group.create_task(self._listen())
            group.create_task(self._cancelling())
            group.create_task(self._taking_up())
            group.create_task(self._claiming())

    async def drain(self) -> None:
        """Claim no more and let what runs come to an end, for at most `drain_s`."""
        self._draining = True
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pace.drain_s):
                async with self._claims:  # what is being claimed right now is ours to end, too
                    runs = [held.run for held in self._held.values()]
                if runs:
                    await asyncio.wait(runs)

    async def _claiming(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._poked.wait()
            self._poked.clear()
            try:
                while await self._claim():
                    pass
            except StoreError as away:
                self._store_was_away(away)
                await asyncio.sleep(TICK_S)

    async def _claim(self) -> bool:
        """Claim once; whether there may be more."""
        async with self._claims:
            return not self._draining and await self._claim_some()

    async def _claim_some(self) -> bool:
        room = self._pace.room - len(self._held)
        if room <= 0:
            return False
        sent_at_s = now_s()
        async with self._store.transaction() as c:
            claimed = await tasks.claim(
                c, self.name, self._pace.lease_s, room, lapsed=sent_at_s >= self._away_until_s
            )
        for task in claimed:
            lease = Lease(sent_at_s, self._pace.lease_s, self._pace.margin_s)
            cancel = CancelSignal(task.cancel, self._tools.limits.cancel_s)
            record = TaskRecord(self._store, task, self.name, [], cancel, task.waiting)
            run = asyncio.create_task(self._execute(Executor(record, lease, self._tools)))
            self._held[task.id] = _Held(task, lease, run, record.cancel)
        return bool(claimed)

    async def _execute(self, executor: Executor) -> None:
        task = executor.record.task
        bind_contextvars(task=str(task.id), vm=task.vm_id)
        try:
            await executor.run()
        except Exception as bug:
            # A bug of ours: the journal holds, another try comes later, though not for ever.
            _log.exception("task %s failed in an unforeseen way", task.id)
            await self._count(executor, bug)
        finally:
            held = self._held.get(task.id)
            if held is not None and held.claimed.epoch == task.epoch:
                del self._held[task.id]
            self._poked.set()

    async def _count(self, executor: Executor, bug: Exception) -> None:
        """When it cannot be counted now, the lease lapses and another try comes then."""
        try:
            await unforeseen.count(executor.record, self._tools.limits, bug)
            self._tools.committed()
        except LeaseLost as lost:
            _log.warning("task %s: %s", executor.record.task.id, lost)
        except Exception:
            _log.exception("a failure of task %s was not counted", executor.record.task.id)
            await asyncio.sleep(self._pace.heartbeat_s)

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(self._pace.heartbeat_s)
            held = {id_: one for id_, one in self._held.items() if not one.lease.lost}
            if not held:
                continue
            sent_at_s = now_s()
            try:
                async with asyncio.timeout(self._pace.lease_s), self._store.transaction() as c:
                    ours = await tasks.renew(
                        c,
                        [(one.claimed.id, one.claimed.epoch) for one in held.values()],
                        self._pace.lease_s,
                    )
            except (StoreError, TimeoutError) as away:
                self._store_was_away(away)
                continue
            for id_, one in held.items():
                if id_ in ours:
                    one.lease.renewed(sent_at_s, self._pace.lease_s)
                elif not one.run.done() and self._held.get(id_) is one:
                    self._lost(one)
            with suppress(StoreError):
                await self._learn()

    def _lost(self, one: _Held) -> None:
        """The store has it under another epoch, or it just ended; a running call is past
        stopping here, and its permit ends with the lease."""
        one.lease.lose()

    async def _listen(self) -> None:
        async with aclosing(self._store.listen(tasks.WORK_CHANNEL)) as woken:
            async for _ in woken:
                self._poked.set()

    async def _cancelling(self) -> None:
        """Tell a running task that it is to be cancelled, at once; its next heartbeat makes up for
        a notification that was lost."""
        async with aclosing(self._store.listen(cancels.CANCEL_CHANNEL)) as woken:
            async for _ in woken:
                self._poked.set()
                try:
                    await self._learn()
                except StoreError as away:
                    self._store_was_away(away)

    async def _taking_up(self) -> None:
        """Take up, when their hosts answer, what cancelled tasks left open."""
        while True:
            await asyncio.sleep(TAKE_UP_EACH_S)
            try:
                if not self._draining and await take_up(self._store):
                    self._poked.set()
            except StoreError as away:
                _log.warning("nothing is taken up while the store is away: %s", away)
            except Exception:
                _log.exception("taking up what was left open failed in an unforeseen way")

    async def _learn(self) -> None:
        held = [(one.claimed.id, one.claimed.epoch) for one in self._held.values()]
        if not held:
            return
        async with self._store.read() as c:
            found = await tasks.cancelled(c, held)
        for id_, known in found.items():
            if id_ in self._held:
                self._held[id_].cancel.learn(known)

    def _store_was_away(self, away: Exception) -> None:
        _log.warning("the worker waits for the store: %s", away)
        self._away_until_s = now_s() + self._pace.lease_s
