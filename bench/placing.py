"""VMs placed durably: as the gateway does it, without HTTP and without drivers.

Shared by the bench of durable placement and by the test with many processes: tasks that wait for
their SCHEDULE step, and what runs that step.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.events.sequencer import Sequencer
from gateway.placement.claim_batcher import ClaimBatcher
from gateway.placement.fleet_mirror import FleetMirror
from gateway.store import vm_record
from gateway.store.capacity import ledger
from gateway.store.db.pool import Connection, Store
from gateway.store.tasks import tasks
from gateway.tasks.operations.reserve_step import Reserver
from gateway.tasks.step_actions import StepContext

_SEEN = """update host set cpus = $1, memory_mib = $2, reachable = true, version = '1.0',
  product = 'simulated KVM', observed_at = clock_timestamp()"""
_TASKS = """
insert into task (id, kind, vm_id, vm_name, user_id, enterprise_id)
  select gen_random_uuid(), 'DEPLOY', id, name, 1, 1 from vm order by id
"""
_JOBS = """
insert into job (task_id, n, uuid, type, description)
  select id, 0, gen_random_uuid(), 'SCHEDULE', '' from task
"""


@dataclass(frozen=True, slots=True)
class Placer:
    """One process's means to place: its planner and its groups of claims."""

    store: Store
    planner: FleetMirror
    reserver: Reserver

    @staticmethod
    async def of(store: Store) -> "Placer":
        """A placer that knows the whole inventory."""
        planner = FleetMirror(store, Sequencer(store))
        await planner.load()
        return Placer(store, planner, Reserver(store, planner, ClaimBatcher(store)))

    async def take(self, name: str, limit: int, lease_s: float = 3600.0) -> list[StepContext]:
        """Claim up to `limit` waiting tasks, with their VMs."""
        async with self.store.transaction() as c:
            claimed = await tasks.claim(c, name, lease_s, limit, lapsed=True)
            return [StepContext(each, await vm_record.load(c, each.vm_id), ()) for each in claimed]

    async def place(self, at: StepContext) -> None:
        """Run the SCHEDULE step: decide, and commit the booking with its decision."""
        await self.reserver.reserve(at, "reserve", moving=False)


async def make_ready(c: Connection, cpus: int, ram_mib: int) -> None:
    """Every host was seen with that size, and every VM waits to be placed."""
    await c.execute(_SEEN, cpus, ram_mib)
    await c.execute(_TASKS)
    await c.execute(_JOBS)
    await ledger.refresh_limits(c)
    await c.execute("analyze")  # as a server does by itself within a minute


async def booked(c: Connection) -> Sequence[tuple[int, int, int]]:
    """(booked VMs, decisions on record, hosts over their limit)."""
    row = await c.fetchrow(
        """select (select count(distinct vm_id) from booking) booked,
             (select count(*) from decision where outcome = 'placed') decided,
             (select count(*) from ledger where cpu_used > cpu_limit or ram_used > ram_limit
                or disk_used > disk_limit) over_limit"""
    )
    assert row is not None
    return [(row["booked"], row["decided"], row["over_limit"])]
