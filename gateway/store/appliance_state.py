"""An appliance's state follows from its VMs'; whoever moves the feed finds those that changed."""

from dataclasses import dataclass

from gateway.store.db.pool import Connection

_CHANGED = """
with heard as (
  select entity_id::bigint vm_id, payload from feed
  where position > $1 and topic = 'event' and entity = 'VIRTUAL_MACHINE'),
touched as (
  select v.virtualappliance_id id from heard join vm v on v.id = vm_id
  union select (payload -> 'details' ->> 'virtualappliance_id')::bigint from heard),
counted as (
  select a.id, count(v.id) vms, count(t.id) locked,
    count(v.id) filter (where v.state = 'UNKNOWN' and t.id is null) lost,
    count(v.id) filter (where v.state in ('NOT_ALLOCATED', 'ALLOCATED') and t.id is null) away
  from touched join virtualappliance a using (id)
  left join vm v on v.virtualappliance_id = a.id
  left join task t on t.vm_id = v.id and t.state in ('queued', 'running', 'stuck')
  group by a.id),
now as (
  select c.id, a.told_state before, case when vms = 0 then 'EMPTY' when lost > 0 then 'UNKNOWN'
    when locked > 0 then 'LOCKED' when away = vms then 'NOT_DEPLOYED'
    when away = 0 then 'DEPLOYED' else 'NEEDS_SYNC' end state
  from counted c join virtualappliance a using (id))
update virtualappliance a set told_state = now.state from now
where a.id = now.id and a.told_state <> now.state
returning a.id, a.name, a.enterprise_id, now.before, now.state
"""


@dataclass(frozen=True, slots=True)
class ApplianceChange:
    """An appliance whose state is another than was last told."""

    id: int
    name: str
    enterprise_id: int
    before: str
    state: str


async def changed(c: Connection, position: int) -> list[ApplianceChange]:
    """Those touched by events of VMs past `position` of the feed; they count as told now."""
    rows = await c.fetch(_CHANGED, position)
    return sorted((ApplianceChange(*row.values()) for row in rows), key=lambda one: one.id)
