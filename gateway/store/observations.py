"""What observers read before a survey and write after it, fenced by their lease's epoch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from gateway.lifecycle import VmState
from gateway.store.pool import Connection


@dataclass(frozen=True, slots=True)
class Believed:
    """A VM recorded on a host of the endpoint, as it was before the survey."""

    id: int
    uuid: UUID
    name: str
    enterprise_id: int
    host: str
    state: VmState
    known_state: VmState
    version: int
    deallocated: bool = False


@dataclass(frozen=True, slots=True)
class HostSeen:
    """A host's facts as they go into the record: logical CPUs and MiB.

    One that is not `accepting` is recorded as not reachable: it was seen, and takes no VMs.
    The measured load (MHz, MiB) changes always, so it is no change that counts.
    """

    name: str
    cpus: int
    memory_mib: int
    product: str
    version: str
    foreign_cpu: int
    foreign_ram_mib: int
    accepting: bool = True
    load: tuple[int, int] | None = None


async def hold(
    c: Connection, hypervisor: str, endpoint: str, owner: str, lease_s: float
) -> int | None:
    """Take or keep the right to observe an endpoint; its epoch, or None while another has it."""
    epoch: int | None = await c.fetchval(
        """insert into observer as o (hypervisor, endpoint, owner, lease_until)
           values ($1, $2, $3, clock_timestamp() + make_interval(secs => $4))
           on conflict (hypervisor, endpoint) do update set
             owner = excluded.owner, lease_until = excluded.lease_until,
             epoch = o.epoch + case when o.owner = excluded.owner then 0 else 1 end
           where o.owner = excluded.owner or o.lease_until < clock_timestamp()
           returning epoch""",
        hypervisor,
        endpoint,
        owner,
        lease_s,
    )
    return epoch


async def let_go(c: Connection, owner: str) -> None:
    """Let another process observe at once what `owner` observed."""
    await c.execute("update observer set lease_until = clock_timestamp() where owner = $1", owner)


async def fence(c: Connection, hypervisor: str, endpoint: str, epoch: int) -> bool:
    """Whether the right is still held under `epoch`; holds it until the transaction ends."""
    held = await c.fetchval(
        """select true from observer where hypervisor = $1 and endpoint = $2 and epoch = $3
           for share""",
        hypervisor,
        endpoint,
        epoch,
    )
    return bool(held)


async def believed(c: Connection, hypervisor: str, hosts: Sequence[str]) -> list[Believed]:
    """The VMs recorded on these hosts that no task holds."""
    rows = await c.fetch(
        """select v.id, v.uuid, v.name, v.enterprise_id, h.name host, v.state, v.known_state,
             v.version, v.deallocated
           from vm v join host h on h.id = v.host_id
           where h.hypervisor = $1 and h.name = any($2) and not exists (
             select from task t where t.vm_id = v.id and t.state in ('queued', 'running', 'stuck'))
        """,
        hypervisor,
        list(hosts),
    )
    return [
        Believed(
            row["id"],
            row["uuid"],
            row["name"],
            row["enterprise_id"],
            row["host"],
            VmState(row["state"]),
            VmState(row["known_state"]),
            row["version"],
            row["deallocated"],
        )
        for row in rows
    ]


async def write_state(
    c: Connection, vm: Believed, state: VmState, deallocated: bool, seen: Mapping[str, Any]
) -> bool:
    """Record a state, unless the record moved on or a task took the VM since it was read."""
    written = await c.fetchval(
        """update vm set state = $3, version = version + 1, seen = $4, deallocated = $5,
             known_state = case when $3 = 'UNKNOWN' then known_state else $3 end,
             synchronized_at = case when $3 = 'UNKNOWN' then synchronized_at
                               else clock_timestamp() end
           where id = $1 and version = $2 and not exists (
             select from task t where t.vm_id = $1 and t.state in ('queued', 'running', 'stuck'))
           returning true""",
        vm.id,
        vm.version,
        state.value,
        dict(seen),
        deallocated,
    )
    return bool(written)


async def booked_on(c: Connection, hypervisor: str, hosts: Sequence[str]) -> set[tuple[str, UUID]]:
    """The VMs booked on these hosts, as (host name, VM)."""
    rows = await c.fetch(
        """select h.name, v.uuid from booking b join host h on h.id = b.host_id
           join vm v on v.id = b.vm_id where h.hypervisor = $1 and h.name = any($2)""",
        hypervisor,
        list(hosts),
    )
    return {(row["name"], row["uuid"]) for row in rows}


async def write_host(c: Connection, hypervisor: str, seen: HostSeen) -> int | None:
    """Record a host's facts and that it was reached; its id when anything changed that counts."""
    changed: int | None = await c.fetchval(
        """update host set cpus = $3, memory_mib = $4, product = $5, version = $6,
             foreign_cpu = $7, foreign_ram_mib = $8, reachable = $9, unreachable_since = null
           where hypervisor = $1 and name = $2 and (cpus, memory_mib, product, version,
             foreign_cpu, foreign_ram_mib, reachable) is distinct from
             ($3, $4, $5, $6, $7, $8, $9)
           returning id""",
        hypervisor,
        seen.name,
        seen.cpus,
        seen.memory_mib,
        seen.product,
        seen.version,
        seen.foreign_cpu,
        seen.foreign_ram_mib,
        seen.accepting,
    )
    await c.execute(
        """update host set observed_at = clock_timestamp(), unreachable_since = null,
             measured_cpu_mhz = $3, measured_memory_mib = $4
           where hypervisor = $1 and name = $2""",
        hypervisor,
        seen.name,
        *(seen.load or (None, None)),
    )
    return changed


async def write_unreachable(
    c: Connection, hypervisor: str, hosts: Sequence[str]
) -> list[tuple[int, str]]:
    """Record that hosts cannot be reached; those, as (id, name), that were thought reachable."""
    rows = await c.fetch(
        """update host h set reachable = false,
             unreachable_since = coalesce(h.unreachable_since, clock_timestamp())
           from host was
           where h.hypervisor = $1 and h.name = any($2) and was.id = h.id and
             (h.reachable or h.unreachable_since is null)
           returning h.id, h.name""",
        hypervisor,
        list(hosts),
    )
    return [(row["id"], row["name"]) for row in rows]


async def write_datastore(
    c: Connection, hypervisor: str, host: str, pool: str, seen: tuple[int, int, str]
) -> int | None:
    """Record a datastore's (capacity, free, path) as a host sees it, in bytes; its id when they
    matter.

    Free space moves all the time: only a change of more than a hundredth is worth a recount.
    """
    changed: int | None = await c.fetchval(
        """update datastore d set capacity_bytes = $4, free_bytes = $5, path = $6
           from host_datastore hd join host h on h.id = hd.host_id
           where hd.datastore_id = d.id and h.hypervisor = $1 and h.name = $2 and d.pool = $3
             and (d.capacity_bytes is distinct from $4 or d.free_bytes is null
                  or abs(d.free_bytes - $5) > $4 / 100)
           returning d.id""",
        hypervisor,
        host,
        pool,
        *seen,
    )
    return changed
