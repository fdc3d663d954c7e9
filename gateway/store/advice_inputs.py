"""Who occupies hosts, and the load rules: what advice on a refusal may change, in one read."""

from collections.abc import Iterable

from gateway.store.db.pool import Connection
from scheduler.model.limits import Level, LoadKind, LoadRule
from scheduler.snapshot.snapshot import SnapshotHold, SnapshotVm

# Only what lives there in peace may be moved by whoever follows advice: a VM with an open task, one
# whose state is not known, or one that its hypervisor cannot move counts as protected.
_RESIDENTS = """
select v.uuid as vm, v.name, b.host_id as host, b.datastore_id as datastore, b.cpu, b.ram_mib,
  b.disk_bytes, v.enterprise_id as enterprise, v.layer_id as layer, v.type,
  (select n.tag from nic join network n on n.id = nic.network_id
   where nic.vm_id = v.id order by nic.n limit 1) as network,
  v.tier_id as tier,
  v.protected or v.type = any($2::text[]) or b.host_id is distinct from v.host_id
    or v.state not in ('ON', 'OFF', 'PAUSED', 'CONFIGURED')
    or exists (select from task t
               where t.vm_id = v.id and t.state in ('queued', 'running', 'stuck')) as protected,
  v.known_state = 'ON' as on
from booking b join vm v on v.id = b.vm_id
where b.host_id = any($1::bigint[])
order by v.id, b.host_id
"""
# The end in whole seconds, none too early.
_HOLDS = """
select h.id, s.host_id as host, s.datastore_id as datastore, s.cpu, s.ram_mib, s.disk_bytes,
  h.enterprise_id as enterprise, s.layer_id as layer,
  to_char((h.expires_at + interval '1 second') at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
    as until
from hold_booking s join hold h on h.id = s.hold_id
where s.vm_id is null and s.host_id = any($1::bigint[])
order by s.id
"""
_LOADS = """
select id, kind, level, element_id, cpu_percent, ram_percent, storage_percent, aggregated
from rule where kind in ('machine_load', 'datastore_load') order by id
"""


async def of_hosts(
    c: Connection, hosts: Iterable[int], fixed: Iterable[str] = ()
) -> tuple[SnapshotVm, ...]:
    """The VMs that are booked on these hosts; those of the types `fixed` can never be moved."""
    rows = await c.fetch(_RESIDENTS, list(hosts), list(fixed))
    return tuple([SnapshotVm(**dict(row)) for row in rows])


async def holds(c: Connection, hosts: Iterable[int]) -> tuple[SnapshotHold, ...]:
    """The places on these hosts that are held, each with the hold's end."""
    return tuple([SnapshotHold(**dict(row)) for row in await c.fetch(_HOLDS, list(hosts))])


async def loads(c: Connection) -> tuple[LoadRule, ...]:
    """Every load rule."""
    return tuple(
        [
            LoadRule(
                row["id"],
                LoadKind(row["kind"]),
                Level(row["level"]),
                row["element_id"],
                row["cpu_percent"],
                row["ram_percent"],
                row["storage_percent"],
                row["aggregated"],
            )
            for row in await c.fetch(_LOADS)
        ]
    )
