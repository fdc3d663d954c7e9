"""Probes on a listener of their own: alive, ready, and metrics, whatever the hypervisors do."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.api.http.reply_headers import set_reply_headers
from gateway.placement.claim_batcher import BatchCounts
from gateway.service.connections import ConnectionMetrics
from gateway.store.db.pool import Store, StoreError

LAG_EACH_S = 0.1
READY_WITHIN_S = 2.0
_LAG_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


@dataclass(frozen=True, slots=True, eq=False)
class _Claims(Collector):
    """This process's claims, as counted at the moment they are asked for."""

    tally: BatchCounts

    def collect(self) -> Iterable[Metric]:
        """Both counters."""
        yield CounterMetricFamily(
            "vmgate_claims_granted", "Places booked for VMs", value=self.tally.granted
        )
        yield CounterMetricFamily(
            "vmgate_claims_conflicts",
            "Proposed places that had changed before they were booked",
            value=self.tally.conflicts,
        )


@dataclass(slots=True)
class Health:
    """What the probes tell of. `started` turns true once everything runs; `draining` ends it."""

    store: Store
    held: Callable[[], int]
    claims: BatchCounts
    started: bool = False
    draining: bool = False
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    connections: ConnectionMetrics = field(default_factory=ConnectionMetrics)
    lag: Histogram = field(init=False)
    tasks: Gauge = field(init=False)
    hosts: Gauge = field(init=False)
    held_now: Gauge = field(init=False)
    store_up: Gauge = field(init=False)
    _looks: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.lag = Histogram(
            "vmgate_loop_lag_seconds",
            "How late the event loop woke from a short sleep",
            buckets=_LAG_BUCKETS,
            registry=self.registry,
        )
        self.tasks = Gauge(
            "vmgate_tasks", "Tasks that are not done", ["state"], registry=self.registry
        )
        self.hosts = Gauge("vmgate_hosts", "Hosts", ["reachable"], registry=self.registry)
        self.held_now = Gauge(
            "vmgate_worker_tasks", "Tasks this process runs now", registry=self.registry
        )
        self.store_up = Gauge(
            "vmgate_store_up", "Whether the store answers and can write", registry=self.registry
        )
        self.registry.register(_Claims(self.claims))
        self.registry.register(self.connections)

    async def measure_lag(self) -> None:
        """Until cancelled."""
        while True:
            began = time.perf_counter()
            await asyncio.sleep(LAG_EACH_S)
            self.lag.observe(max(0.0, time.perf_counter() - began - LAG_EACH_S))

    async def store_trouble(self) -> str:
        """Why the store cannot be used now; empty when it can."""
        return await self._within("probe", self.store.probe)

    async def count(self) -> None:
        """Bring the metrics up to date; what the store alone knows is left out while it is away."""
        self.held_now.set(self.held())
        trouble = await self._within("count", self._count) or await self.store_trouble()
        self.store_up.set(0 if trouble else 1)
        if trouble:
            self.tasks.clear()
            self.hosts.clear()

    async def _within(self, name: str, look: Callable[[], Coroutine[Any, Any, None]]) -> str:
        """Look, with one look of each name at a time: a frozen server also holds up the end of
        what is cancelled. What went wrong within the time of a probe, empty for nothing."""
        running = self._looks.get(name)
        if running is None or running.done():  # what an old one found may be past
            running = self._looks[name] = asyncio.create_task(look())
            running.add_done_callback(lambda one: one.cancelled() or one.exception())
        done, _ = await asyncio.wait({running}, timeout=READY_WITHIN_S)
        if not done:
            return "the store does not answer"
        trouble = running.exception()
        if trouble is None:
            return ""
        if not isinstance(trouble, StoreError | TimeoutError):
            raise trouble
        return f"the store does not answer as it should: {trouble}"

    async def _count(self) -> None:
        async with self.store.read() as c:
            rows = await c.fetch(
                "select state, count(*) from task where state <> 'done' group by 1"
            )
            seen = await c.fetch("select reachable, count(*) from host group by 1")
        states = dict(map(tuple, rows))
        hosts = dict(map(tuple, seen))
        for state in ("queued", "running", "stuck"):
            self.tasks.labels(state).set(states.get(state, 0))
        for reachable in (True, False):
            self.hosts.labels(str(reachable).lower()).set(hosts.get(reachable, 0))


HEALTH = web.AppKey("health", Health)


def build_probes(health: Health) -> web.Application:
    """The application of the probe listener."""
    app = web.Application()
    app.on_response_prepare.append(set_reply_headers)
    app[HEALTH] = health
    app.router.add_get("/livez", _live)
    app.router.add_get("/readyz", _ready)
    app.router.add_get("/metrics", _metrics)
    return app


async def _live(request: web.Request) -> web.Response:
    """The event loop turns: that is all this says."""
    return web.json_response({"status": "alive"})


async def _ready(request: web.Request) -> web.Response:
    """Started, not draining, and the store answers in time and can write."""
    health = request.app[HEALTH]
    reason = ""
    if not health.started:
        reason = "starting"
    elif health.draining:
        reason = "draining"
    else:
        reason = await health.store_trouble()
    if reason:
        return web.json_response({"status": "not ready", "reason": reason}, status=503)
    return web.json_response({"status": "ready"})


async def _metrics(request: web.Request) -> web.Response:
    """Prometheus text; counts of the store are absent while it is away."""
    health = request.app[HEALTH]
    await health.count()
    return web.Response(
        body=generate_latest(health.registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
    )
