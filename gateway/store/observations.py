"""What observers read before a survey and write after it, fenced by their lease's epoch."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from drivers.facts import HostFacts
from gateway.lifecycle import VmState
from gateway.store.db.pool import Connection

REASON_MAX = 500


@dataclass(frozen=True, slots=True)
class RecordedVm:
    """A VM as it was recorded before the look. `last_task` is the newest of its tasks then,
    `seen_on` where it was when it was seen on several hosts at once, `pool` what its host calls
    the datastore of its disk, `protected_cause` why it is protected, None for one that is not."""

    id: int
    uuid: UUID
    name: str
    enterprise_id: int
    host: str
    state: VmState
    known_state: VmState
    version: int
    deallocated: bool
    host_id: int
    last_task: int
    seen_on: tuple[str, ...] = ()
    reason: str = ""
    pool: str = ""

    protected_cause: str | None = None

    @property
    def observed(self) -> "ObservedVm":
        """The state on record."""
        return ObservedVm(self.state, self.deallocated, self.reason)


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
    mover: str = ""


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


_BELIEVED = """
select v.id, v.uuid, v.name, v.enterprise_id, h.name host, v.state, v.known_state, v.version,
  v.deallocated, v.host_id, v.state_reason reason, coalesce(d.pool, '') pool,
  case when v.protected then v.protected_cause end protected_cause,
  coalesce((select max(t.n) from task t where t.vm_id = v.id), 0) last_task,
  case when v.state = 'UNKNOWN' then coalesce(v.seen->'hosts', '[]') else '[]' end seen_on
from vm v join host h on h.id = v.host_id left join datastore d on d.id = v.datastore_id
where h.hypervisor = $1 and {which} and not exists (
  select from task t where t.vm_id = v.id and t.state in ('queued', 'running', 'stuck'))
"""


async def believed(c: Connection, hypervisor: str, hosts: Sequence[str]) -> list[RecordedVm]:
    """The VMs recorded on these hosts that no task holds."""
    query = _BELIEVED.format(which="h.name = any($2)")
    return [_believed(row) for row in await c.fetch(query, hypervisor, list(hosts))]


async def believed_elsewhere(
    c: Connection, hypervisor: str, vms: Sequence[UUID], hosts: Sequence[str]
) -> list[RecordedVm]:
    """Those of the VMs that are recorded on other hosts than these, and that no task holds."""
    query = _BELIEVED.format(which="v.uuid = any($2) and h.name <> all($3)")
    return [_believed(row) for row in await c.fetch(query, hypervisor, list(vms), list(hosts))]


def _believed(row: Any) -> RecordedVm:
    values = dict(row)
    values["state"] = VmState(values["state"])
    values["known_state"] = VmState(values["known_state"])
    values["seen_on"] = tuple(values["seen_on"])
    return RecordedVm(**values)


async def lock(c: Connection, vms: Iterable[RecordedVm]) -> set[int]:
    """Lock VMs in the order of their ids; those that are recorded as they were, and that no task
    took since.

    Whoever submits a task holds the VM's row, so what is asked after the lock stays true.
    """
    wanted = {vm.id: vm for vm in vms}
    ids = sorted(wanted)
    rows = await c.fetch(
        "select id, version from vm where id = any($1) order by id for no key update", ids
    )
    tasks = await c.fetch(
        """select vm_id, max(n) n, bool_or(state in ('queued', 'running', 'stuck')) open
           from task where vm_id = any($1) group by vm_id""",
        ids,
    )
    moved_on = {
        row["vm_id"] for row in tasks if row["open"] or row["n"] > wanted[row["vm_id"]].last_task
    }
    return {
        row["id"]
        for row in rows
        if row["version"] == wanted[row["id"]].version and row["id"] not in moved_on
    }


@dataclass(frozen=True, slots=True)
class ObservedVm:
    """A VM's state as it goes into the record, with why the hypervisor has it in that state."""

    state: VmState
    deallocated: bool = False
    reason: str = ""


async def write_state(
    c: Connection, vm: RecordedVm, observed: ObservedVm, seen: Mapping[str, Any]
) -> None:
    """Record a state; the caller has locked the VM and seen that its record is as it was."""
    await c.execute(
        """update vm set state = $2, version = version + 1, seen = $3, deallocated = $4,
             state_reason = $5,
             known_state = case when $2 = 'UNKNOWN' then known_state else $2 end,
             synchronized_at = case when $2 = 'UNKNOWN' then synchronized_at
                               else clock_timestamp() end
           where id = $1""",
        vm.id,
        observed.state.value,
        dict(seen),
        observed.deallocated,
        observed.reason,
    )


async def booked_on(c: Connection, hypervisor: str, hosts: Sequence[str]) -> set[tuple[str, UUID]]:
    """The VMs booked on these hosts, as (host name, VM)."""
    rows = await c.fetch(
        """select h.name, v.uuid from booking b join host h on h.id = b.host_id
           join vm v on v.id = b.vm_id where h.hypervisor = $1 and h.name = any($2)""",
        hypervisor,
        list(hosts),
    )
    return {(row["name"], row["uuid"]) for row in rows}


async def recorded_on(c: Connection, vms: Sequence[int]) -> set[tuple[str, UUID]]:
    """These VMs where the record has them, as (host name, VM)."""
    rows = await c.fetch(
        "select h.name, v.uuid from vm v join host h on h.id = v.host_id where v.id = any($1)",
        list(vms),
    )
    return {(row["name"], row["uuid"]) for row in rows}


@dataclass(frozen=True, slots=True)
class HostChange:
    """A host whose facts changed; `facts` are the changed ones: name, before, now."""

    id: int
    facts: tuple[tuple[str, Any, Any], ...]


_FACTS = {
    "cpus": "CPUs",
    "memory_mib": "memory in MiB",
    "product": "product",
    "version": "version",
    "foreign_cpu": "vCPUs of VMs that vmgate did not book",
    "foreign_ram_mib": "MiB of VMs that vmgate did not book",
    "reachable": "usable",
    "mover": "moved by",
}
_WRITE_HOST = """
with old as (select * from host where hypervisor = $1 and name = $2 for no key update)
update host set cpus = $3, memory_mib = $4, product = $5, version = $6, foreign_cpu = $7,
  foreign_ram_mib = $8, reachable = $9, mover = $10, unreachable_since = null
from old
where host.id = old.id and (old.cpus, old.memory_mib, old.product, old.version, old.foreign_cpu,
  old.foreign_ram_mib, old.reachable, old.mover) is distinct from ($3, $4, $5, $6, $7, $8, $9, $10)
returning old.*
"""


async def write_host(c: Connection, hypervisor: str, seen: HostSeen) -> HostChange | None:
    """Record a host's facts and that it was reached; return what changed, None for nothing."""
    now = (
        *(seen.cpus, seen.memory_mib, seen.product, seen.version),
        *(seen.foreign_cpu, seen.foreign_ram_mib, seen.accepting, seen.mover),
    )
    old = await c.fetchrow(_WRITE_HOST, hypervisor, seen.name, *now)
    await c.execute(
        """update host set observed_at = clock_timestamp(), unreachable_since = null,
             measured_cpu_mhz = $3, measured_memory_mib = $4, reason = ''
           where hypervisor = $1 and name = $2""",
        hypervisor,
        seen.name,
        *(seen.load or (None, None)),
    )
    if old is None:
        return None
    pairs = zip(_FACTS.items(), now, strict=True)
    facts = [(label, old[key], value) for (key, label), value in pairs if old[key] != value]
    return HostChange(old["id"], tuple(facts))


async def write_unreachable(
    c: Connection, hypervisor: str, hosts: Sequence[str], reason: str = ""
) -> list[tuple[int, str]]:
    """Record that hosts cannot be reached; those, as (id, name), that were thought reachable."""
    await c.execute(
        """update host set reason = $3
           where hypervisor = $1 and name = any($2) and reason <> $3""",
        hypervisor,
        list(hosts),
        reason[:REASON_MAX],
    )
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


@dataclass(frozen=True, slots=True)
class AttachedHost:
    """A host and a datastore that it is to see; `problem` is why it cannot use it, else empty."""

    host_id: int
    host: str
    datastore: str
    problem: str


_WRITE_LINKS = """
with seen as (select * from unnest($3::text[], $4::text[], $5::text[]) as s(host, pool, problem)),
present as (
  select l.host_id, l.datastore_id, h.name host, d.name datastore,
    coalesce(s.problem, 'the host does not list it') problem
  from host h join host_datastore l on l.host_id = h.id join datastore d on d.id = l.datastore_id
  left join seen s on s.host = h.name and s.pool = d.pool
  where h.hypervisor = $1 and h.name = any($2))
update host_datastore l set problem = p.problem from present p
where l.host_id = p.host_id and l.datastore_id = p.datastore_id and l.problem <> p.problem
returning p.host_id, p.host, p.datastore, p.problem
"""


async def write_links(
    c: Connection, hypervisor: str, hosts: Sequence[HostFacts]
) -> list[AttachedHost]:
    """Record which of their datastores these hosts can use; return the links that changed.

    A listing of a host is complete, so a datastore that it leaves out is positively not there.
    """
    seen = [
        (host.name, store.name, "" if store.usable else store.reason or "it is not accessible")
        for host in hosts
        for store in host.datastores
    ]
    names, pools, problems = zip(*seen, strict=True) if seen else ((), (), ())
    asked = [host.name for host in hosts]
    rows = await c.fetch(_WRITE_LINKS, hypervisor, asked, list(names), list(pools), list(problems))
    return [AttachedHost(*row.values()) for row in rows]
