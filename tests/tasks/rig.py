"""A rig: the task engine on a real database and a simulated world, without the HTTP API."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from drivers.capabilities import HypervisorType
from drivers.contract import Driver, HostLink
from drivers.simulated.driver import SimulatedDriver
from drivers.simulated.options import SimulatedOptions
from drivers.simulated.world import World
from gateway.caller import Caller
from gateway.events.sequencer import Sequencer
from gateway.lifecycle import Operation
from gateway.placement.advice import Adviser, Ask
from gateway.placement.claim_batcher import ClaimBatcher
from gateway.placement.fleet_mirror import FleetMirror
from gateway.reconcile.observer import SurveyIntervals
from gateway.reconcile.watch import ObserverSet
from gateway.store.capacity import ledger
from gateway.store.db.pool import Store
from gateway.store.feed import feed
from gateway.tasks.executor_deps import ExecutorDeps
from gateway.tasks.fault_policy import Limits
from gateway.tasks.operations.reserve_step import Reserver
from gateway.tasks.submission import Accepted, Order, submit
from gateway.tasks.worker import Worker, WorkerTimings

CALLER = Caller(1, 1, "tester")
QUICK_PACE = WorkerTimings(lease_s=0.6, heartbeat_s=0.15, margin_s=0.1, drain_s=5)
QUICK_LIMITS = Limits(attempts_max=3, hosts_max=3, settle_for_s=2.0, poll_s=0.02)
QUICK_ROUNDS = SurveyIntervals(period_s=0.2, unknown_after_s=0.6, lease_s=0.6, spacing_s=0.05)
QUIET: Mapping[str, Any] = {
    "pace": WorkerTimings(lease_s=15, heartbeat_s=5, margin_s=2, drain_s=5),
    "rounds": SurveyIntervals(period_s=30, unknown_after_s=30, lease_s=15, spacing_s=0.05),
}
"""Nothing is committed by the clock: only what is done, and what was changed and is looked at."""
PATIENT: Mapping[str, Any] = {
    **QUIET,
    "limits": Limits(attempts_max=5, settle_for_s=30.0, poll_s=0.02),
}
"""For a vCenter or Azure beside other tests: others work there, who may get their turn late."""
DISK = 10 * 2**30


async def seed(store: Store, *, hosts: int = 4, vms: int = 4, cpus: int = 16) -> None:
    """One datacenter, one rack, `hosts` hosts with a shared and a local datastore, `vms` VMs of
    1 vCPU and 1024 MiB with one network interface."""
    async with store.transaction() as c:
        await c.execute(
            f"""
            insert into enterprise (name) values ('enterprise');
            insert into app_user (nick, enterprise_id, password_hash) values ('tester', 1, '');
            insert into datacenter (name) values ('datacenter');
            insert into rack (datacenter_id, name) values (1, 'rack');
            insert into host (rack_id, datacenter_id, hypervisor, name, type, address, networks)
              select 1, 1, 'sim', 'host-' || i, 'KVM', 'sim://x?cpus={cpus}&ram_mib=65536',
                '{{"default": "br0"}}' from generate_series(1, {hosts}) i;
            insert into datastore (datacenter_id, name, pool, shared, capacity_bytes, free_bytes)
              values (1, 'shared', 'shared', true, {2**43}, {2**43});
            insert into host_datastore select id, 1 from host;
            insert into template (datacenter_id, name, source, disk_format, disk_bytes, cpu,
              ram_mib, types) values (1, 't', 's', 'QCOW2_SPARSE', {DISK}, 1, 1024, '{{KVM}}');
            insert into virtualdatacenter (name, enterprise_id, datacenter_id, type)
              values ('v', 1, 1, 'KVM');
            insert into network (virtualdatacenter_id, name, tag, address)
              values (1, 'default', 'default', '10.0.0.0/16');
            insert into virtualappliance (virtualdatacenter_id, enterprise_id, name)
              values (1, 1, 'a');
            insert into vm (uuid, name, label, virtualappliance_id, virtualdatacenter_id,
              enterprise_id, datacenter_id, user_id, template_id, type, cpu, ram_mib, disk_bytes)
              select gen_random_uuid(), 'vm-' || i, '', 1, 1, 1, 1, 1, 1, 'KVM', 1, 1024, {DISK}
              from generate_series(1, {vms}) i;
            insert into nic (vm_id, network_id, address, mac)
              select id, 1, '10.0.0.0'::inet + id, '02:00:00:00:00:' || lpad(to_hex(id), 2, '0')
              from vm where id < 250;
            """
        )
        await ledger.refresh_limits(c)


@dataclass(slots=True)
class Rig:
    """One process's worth of engine."""

    store: Store
    driver: Any
    sequencer: Sequencer
    planner: FleetMirror
    worker: Worker
    watch: ObserverSet

    async def submit(self, vm: int, operation: Operation, **payload: Any) -> Accepted:
        """Accept an order and wake the worker."""
        accepted = await submit(self.store, Order(operation, vm, payload), CALLER)
        self.worker.poke()
        return accepted

    async def run(self, vm: int, operation: Operation, **payload: Any) -> dict[str, Any]:
        """Submit, and the task's row once it is done or stuck."""
        accepted = await self.submit(vm, operation, **payload)
        return await ended(self.store, accepted.task)


@asynccontextmanager
async def running(
    store: Store,
    world: World,
    *,
    options: SimulatedOptions | None = None,
    pace: WorkerTimings = QUICK_PACE,
    limits: Limits = QUICK_LIMITS,
    rounds: SurveyIntervals = QUICK_ROUNDS,
    wrap: Any = None,
    ask: Ask | None = None,
    driver: Driver | None = None,
) -> AsyncIterator[Rig]:
    """An engine that runs while inside; `wrap` may replace the driver the tasks use, `ask` finds
    advice, `driver` takes the place of the simulated one."""
    if driver is None:
        driver = SimulatedDriver("sim", HypervisorType.KVM, options or SimulatedOptions(), world)
    await attach(store, driver)
    sequencer = Sequencer(store)
    planner = FleetMirror(store, sequencer)
    used = driver if wrap is None else wrap(driver)
    adviser = None if ask is None else Adviser(store, planner, ask)
    reserver = Reserver(store, planner, ClaimBatcher(store), adviser)
    tools = ExecutorDeps({"sim": used}, reserver, limits, sequencer.poke)
    worker = Worker(store, tools, pace)
    watch = ObserverSet(store, "sim", driver, rounds, worker.name)
    watch.committed = sequencer.poke
    await seen_once(store, watch, driver)
    await sequencer.flush()
    await planner.load()
    async with asyncio.TaskGroup() as group:
        loops = [group.create_task(each.run()) for each in (sequencer, planner, worker, watch)]
        try:
            yield Rig(store, driver, sequencer, planner, worker, watch)
        finally:
            await worker.drain()
            for loop in loops:
                loop.cancel()
    await driver.aclose()


async def attach(store: Store, driver: Driver) -> None:
    """Tell the driver of the hosts in the record, and of the shared datastore they all have."""
    async with store.read() as c:
        rows = await c.fetch("select name, address, networks from host order by id")
        pool = await c.fetchval("select pool from datastore where shared")
    for row in rows:
        driver.attach(HostLink(row["name"], row["address"], row["networks"], (pool,)))


async def seen_once(store: Store, watch: ObserverSet, driver: Driver) -> None:
    """Survey every host once, so that placing can begin."""
    for endpoint in driver.endpoints():
        await watch.observer(endpoint).round()


async def ended(store: Store, task: UUID, *, within_s: float = 90.0) -> dict[str, Any]:
    """The task's row once it is done or stuck; waits on the feed, not on time."""
    async with asyncio.timeout(within_s), aclosing(store.listen(feed.FEED_CHANNEL)) as woken:
        async for _ in woken:
            async with store.read() as c:
                row = await c.fetchrow("select * from task where id = $1", task)
            if row is not None and row["state"] in ("done", "stuck"):
                return dict(row)
    raise AssertionError("the feed ended")


async def seen_again(store: Store) -> None:
    """Wait until every host was seen once more from now on."""
    async with store.read() as c:
        now = await c.fetchval("select clock_timestamp()")
    async with asyncio.timeout(30):
        missing = True
        while missing:
            async with store.read() as c:
                missing = await c.fetchval(
                    "select exists (select from host where observed_at <= $1)", now
                )


async def leases_run_out(store: Store) -> None:
    """As if time had passed for whoever holds something: who is dead renews nothing meanwhile."""
    async with store.transaction() as c:
        await c.execute(
            """update task set lease_until = clock_timestamp() where state = 'running';
               update observer set lease_until = clock_timestamp()"""
        )


async def vm_row(store: Store, vm: int) -> dict[str, Any]:
    """The record of a VM."""
    async with store.read() as c:
        row = await c.fetchrow("select * from vm where id = $1", vm)
    assert row is not None
    return dict(row)


async def books_balance(store: Store, *, disks_measured: bool = False) -> None:
    """I2, I3: what the ledger says is promised is exactly what is booked or held, within the
    limits, and who it says lives on a host is who does.

    Where `disks_measured`, a datastore's use is what its host measures, when that is more.
    """
    async with store.read() as c:
        wrong = await c.fetch(
            """select l.kind, l.id, l.cpu_used, b.cpu from ledger l
               left join (select host_id, sum(cpu) cpu, sum(ram_mib) ram from promised
                          group by 1) b on b.host_id = l.id
               where l.kind = 'host' and (l.cpu_used <> coalesce(b.cpu, 0)
                 or l.ram_used <> coalesce(b.ram, 0) or l.cpu_used > l.cpu_limit
                 or l.ram_used > l.ram_limit)"""
        )
        disks = await c.fetch(
            """select l.id from ledger l
               left join (select datastore_id, sum(disk_bytes) disk from promised group by 1) b
                 on b.datastore_id = l.id
               where l.kind = 'datastore' and (l.disk_used <> coalesce(b.disk, 0)
                 or l.disk_used > l.disk_limit)"""
        )
        homeless = await c.fetch(
            """select v.id from vm v full join booking b on b.vm_id = v.id
               where (v.host_id is null) <> (b.vm_id is null)
                 or (b.host_id is distinct from v.host_id and not exists (
                   select from task t where t.vm_id = v.id and t.state <> 'done'))"""
        )
        neighbours = await c.fetch(
            """select l.id from ledger l left join (
                 select host_id, array_remove(array_agg(distinct enterprise_id), null) enterprises,
                   array_remove(array_agg(distinct layer_id), null) layers
                 from promised group by 1) b on b.host_id = l.id
               where l.kind = 'host' and (l.enterprises <> coalesce(b.enterprises, '{}')
                 or l.layers <> coalesce(b.layers, '{}'))"""
        )
        sums = await c.fetch(
            """select l.kind, l.id, l.cpu_used, s.cpu from ledger l, lateral (
                 select coalesce(sum(cpu), 0) cpu, coalesce(sum(ram), 0) ram from (
                   select max(b.cpu) cpu, max(b.ram_mib) ram from promised b
                   join host h on h.id = b.host_id where l.id = case l.kind
                     when 'cluster' then h.cluster_id when 'rack' then h.rack_id
                     else h.datacenter_id end
                   group by b.vm_id) v) s
               where l.kind in ('cluster', 'rack', 'datacenter')
                 and (l.cpu_used <> s.cpu or l.ram_used <> s.ram)"""
        )
    assert not wrong, wrong
    assert not neighbours
    assert not sums
    assert disks_measured or not disks
    assert not homeless


async def records_balance(store: Store) -> None:
    """I13: what was granted and what was refused are on record, and nothing else is."""
    async with store.read() as c:
        wrong = await c.fetch(
            """with said as (
                 select j.task_id, (j.detail->>'decision')::uuid id,
                   case j.entry when 'DONE' then 'placed' else 'refused' end outcome
                 from journal j where j.detail ? 'decision')
               select * from said full join decision d using (id)
               where said.task_id is distinct from d.task_id or said.outcome <> d.outcome"""
        )
        unsaid = await c.fetch(
            """select task_id from journal where step = 'reserve' and entry in ('DONE', 'FAILED')
                 and not detail ? 'decision' and not detail ? 'cancelled'"""
        )
        strange = await c.fetch(
            """select v.id from vm v left join decision d on d.id = v.decision_id
               where v.host_id is not null and d.host_id is distinct from v.host_id
                 and (d.id is not null or not exists (  -- no decision led to where it was followed
                   select payload from feed where payload->>'action' = 'VSM_MOVED' union all
                   select payload from outbox where payload->>'action' = 'VSM_MOVED'))"""
        )
    assert not wrong
    assert not unsaid
    assert not strange
