"""The VMs that live somewhere, in one read: what each holds there and whether it may be moved."""

from dataclasses import dataclass
from uuid import UUID

from drivers.facts import AT_POWER_ON
from gateway.store.db.pool import Connection

_SELECT = """
select v.id, v.uuid, v.name, v.type, b.cpu, b.ram_mib, v.disk_bytes, v.datacenter_id,
  (select n.tag from nic i join network n on n.id = i.network_id where i.vm_id = v.id
   order by i.n limit 1),
  v.enterprise_id, v.layer_id, v.tier_id, v.host_id, v.datastore_id, v.protected,
  v.known_state, v.state, v.state in ('ON', 'OFF', 'PAUSED', 'CONFIGURED'), exists (
    select from task t where t.vm_id = v.id and t.state in ('queued', 'running', 'stuck')),
  coalesce($1 > 0 and exists (
    select from task t where t.vm_id = v.id and t.kind = 'RELOCATE' and t.result = 'success'
      and t.updated_at > clock_timestamp() - make_interval(secs => $1)), false),
  coalesce((select o.moving from vm_objection o where o.vm_id = v.id and o.host = (
    select h.name from host h where h.id = v.host_id)), '')
from vm v join booking b on b.vm_id = v.id and b.host_id = v.host_id
where v.datastore_id is not null and ($2::bigint is null or v.id = $2)
order by v.id
"""


@dataclass(frozen=True, slots=True)
class ResidentRow:
    """A VM where it lives; `clear` says that its state allows a move, `locked` that a task has
    it now, `shown` is its state on record, `state` the last one that was seen,
    `fixed` what stands against moving it."""

    id: int
    uuid: UUID
    name: str
    type: str
    cpu: int
    ram_mib: int
    disk_bytes: int
    datacenter_id: int
    network: str | None
    enterprise_id: int
    layer_id: int | None
    tier_id: int | None
    host_id: int
    datastore_id: int
    protected: bool
    state: str
    shown: str
    clear: bool
    locked: bool
    just_moved: bool
    fixed: str

    @property
    def movable(self) -> bool:
        """Whether it could be moved now."""
        return self.clear and not self.locked


async def all_of(c: Connection, rest_s: float) -> list[ResidentRow]:
    """Every VM that lives somewhere; `just_moved` within `rest_s` seconds or not."""
    return [ResidentRow(*row) for row in await c.fetch(_SELECT, rest_s, None)]


async def movers(c: Connection) -> dict[int, str]:
    """Who else moves VMs of hosts while they run, by host; of all others nobody does."""
    rows = await c.fetch("select id, mover from host where mover <> '' order by id")
    return {row["id"]: row["mover"] for row in rows if not row["mover"].endswith(AT_POWER_ON)}


async def one(c: Connection, vm_id: int) -> ResidentRow | None:
    """One VM as it lives now; None when it lives nowhere."""
    row = await c.fetchrow(_SELECT, 0.0, vm_id)
    return None if row is None else ResidentRow(*row)
