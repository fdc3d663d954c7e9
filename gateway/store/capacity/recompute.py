"""What may be and what is promised of each place, counted anew from rules, sizes and bookings.

One rule decides for a host: its cluster's, else its own, its rack's, its datacenter's; for a
datastore its own, its tier's, its datacenter's. Without a rule it is all there is. Aggregated
rules bound the sum over all hosts of an element, besides, and never stand in for a host's rule.
"""

from collections.abc import Sequence

from gateway.store.db.pool import Connection
from scheduler.model.inventory import Tombstone

_HOSTS = """
insert into ledger as l (kind, id, cpu_limit, cpu_used, ram_limit, ram_used, cpu_rule, ram_rule,
                         enterprises, layers, attributes)
select 'host', h.id, div(coalesce(h.cpus, 0)::numeric * coalesce(r.cpu_percent, 100), 100)::bigint,
  coalesce(b.cpu, 0) + h.foreign_cpu,
  div(coalesce(h.memory_mib, 0)::numeric * coalesce(r.ram_percent, 100), 100)::bigint,
  coalesce(b.ram, 0) + h.foreign_ram_mib,
  coalesce(r.name, ''), coalesce(r.name, ''),
  coalesce(b.enterprises, '{}'), coalesce(b.layers, '{}'),
  md5(jsonb_build_array(h.name, h.state, h.reachable, h.networks, h.type, h.hypervisor, h.cpus,
      h.memory_mib, h.datacenter_id, h.rack_id, k.name, h.cluster_id, g.name, h.reserved_for,
      (select jsonb_agg(d.datastore_id order by d.datastore_id)
       from host_datastore d where d.host_id = h.id and d.problem = ''))::text || h.mover)
from host h
join rack k on k.id = h.rack_id
left join cluster g on g.id = h.cluster_id
left join lateral (
  select cpu_percent, ram_percent, 'machineLoadLevel ' || id || ' (' || level || ', CPU '
    || coalesce(cpu_percent, 100) || ' %, RAM ' || coalesce(ram_percent, 100) || ' %)' as name
  from rule where kind = 'machine_load' and not aggregated and (level, element_id) in (
    ('cluster', h.cluster_id), ('machine', h.id), ('rack', h.rack_id),
    ('datacenter', h.datacenter_id))
  order by array_position(array['cluster', 'machine', 'rack', 'datacenter'], level)
  limit 1) r on true
left join (
  select b.host_id, sum(b.cpu) cpu, sum(b.ram_mib) ram,
    array_remove(array_agg(distinct b.enterprise_id), null) enterprises,
    array_remove(array_agg(distinct b.layer_id), null) layers
  from promised b
  where $1::bigint[] is null or b.host_id = any($1) group by b.host_id) b on b.host_id = h.id
where $1::bigint[] is null or h.id = any($1)
order by h.id
"""
_DATASTORES = """
insert into ledger as l (kind, id, disk_limit, disk_used, disk_rule, attributes)
select 'datastore', d.id,
  div(coalesce(d.capacity_bytes, 0)::numeric * coalesce(r.storage_percent, 100), 100)::bigint,
  greatest(coalesce(b.disk, 0), coalesce(d.capacity_bytes - d.free_bytes, 0)),
  coalesce(r.name, ''),
  md5(jsonb_build_array(d.name, d.enabled, d.shared, d.datacenter_id, d.capacity_bytes, t.id,
      t.name, t.enabled, t.progressive, t.open_to_all,
      (select jsonb_agg(e.enterprise_id order by e.enterprise_id)
       from tier_enterprise e where e.tier_id = t.id))::text)
from datastore d
left join tier t on t.id = d.tier_id
left join lateral (
  select storage_percent, 'datastoreloadlevel ' || rule.id || ' (' || level || ', '
    || coalesce(storage_percent, 100) || ' %)' as name
  from rule where kind = 'datastore_load' and (level, element_id) in (
    ('datastore', d.id), ('datastoretier', d.tier_id), ('datacenter', d.datacenter_id))
  order by array_position(array['datastore', 'datastoretier', 'datacenter'], level)
  limit 1) r on true
left join (select datastore_id, sum(disk_bytes) disk from promised group by datastore_id) b
  on b.datastore_id = d.id
where $1::bigint[] is null or d.id = any($1)
order by d.id
"""
# An element that once had an aggregated rule stays, so that its generations keep growing. One VM
# counts once in it, also while a relocation books it twice. The rule says nothing of disks.
_SCOPES = """
insert into ledger as l (kind, id, cpu_limit, cpu_used, ram_limit, ram_used, cpu_rule, ram_rule,
                         attributes)
with told as (
  select level as kind, element_id as id from rule
    where kind = 'machine_load' and aggregated and level in ('cluster', 'rack', 'datacenter')
  union select kind, id from ledger where kind in ('cluster', 'rack', 'datacenter')),
element as (
  select told.kind, told.id, coalesce(g.name, k.name, d.name) name,
    case when r.id is not null then coalesce(r.cpu_percent, 100) end cpu_percent,
    case when r.id is not null then coalesce(r.ram_percent, 100) end ram_percent,
    coalesce('machineLoadLevel ' || r.id || ' (' || r.level || ' in all, CPU '
      || coalesce(r.cpu_percent, 100) || ' %, RAM ' || coalesce(r.ram_percent, 100) || ' %)', '')
      as rule
  from told
  left join rule r on r.kind = 'machine_load' and r.aggregated and r.level = told.kind
    and r.element_id = told.id
  left join cluster g on told.kind = 'cluster' and g.id = told.id
  left join rack k on told.kind = 'rack' and k.id = told.id
  left join datacenter d on told.kind = 'datacenter' and d.id = told.id
  where coalesce(g.id, k.id, d.id) is not null),
member as (
  select e.kind, e.id, h.id host_id from element e join host h on h.cluster_id = e.id
    where e.kind = 'cluster'
  union all select e.kind, e.id, h.id from element e join host h on h.rack_id = e.id
    where e.kind = 'rack'
  union all select e.kind, e.id, h.id from element e join host h on h.datacenter_id = e.id
    where e.kind = 'datacenter'),
sized as (
  select m.kind, m.id, sum(h.cpus) cpus, sum(h.memory_mib) memory, sum(h.foreign_cpu) cpu,
    sum(h.foreign_ram_mib) ram
  from member m join host h on h.id = m.host_id group by m.kind, m.id),
living as (
  select m.kind, m.id, max(b.cpu) cpu, max(b.ram_mib) ram
  from member m join promised b on b.host_id = m.host_id group by m.kind, m.id, b.vm_id),
used as (select kind, id, sum(cpu) cpu, sum(ram) ram from living group by kind, id)
select e.kind, e.id, div(coalesce(s.cpus, 0)::numeric * e.cpu_percent, 100)::bigint,
  coalesce(s.cpu, 0) + coalesce(u.cpu, 0),
  div(coalesce(s.memory, 0) * e.ram_percent, 100)::bigint,
  coalesce(s.ram, 0) + coalesce(u.ram, 0), e.rule, e.rule, md5(e.name)
from element e
left join sized s on s.kind = e.kind and s.id = e.id
left join used u on u.kind = e.kind and u.id = e.id
order by e.kind, e.id
"""
_MERGE = """
on conflict (kind, id) do update set
  cpu_limit = excluded.cpu_limit, cpu_used = excluded.cpu_used,
  ram_limit = excluded.ram_limit, ram_used = excluded.ram_used,
  disk_limit = excluded.disk_limit, disk_used = excluded.disk_used,
  cpu_rule = excluded.cpu_rule, ram_rule = excluded.ram_rule, disk_rule = excluded.disk_rule,
  enterprises = excluded.enterprises, layers = excluded.layers,
  attributes = excluded.attributes, generation = l.generation + 1,
  character = l.character + case when
    (l.cpu_limit, l.ram_limit, l.disk_limit, l.attributes) is distinct from
    (excluded.cpu_limit, excluded.ram_limit, excluded.disk_limit, excluded.attributes)
    then 1 else 0 end
where (l.cpu_limit, l.cpu_used, l.ram_limit, l.ram_used, l.disk_limit, l.disk_used,
       l.cpu_rule, l.ram_rule, l.disk_rule, l.enterprises, l.layers, l.attributes)
  is distinct from
  (excluded.cpu_limit, excluded.cpu_used, excluded.ram_limit, excluded.ram_used,
   excluded.disk_limit, excluded.disk_used, excluded.cpu_rule, excluded.ram_rule,
   excluded.disk_rule, excluded.enterprises, excluded.layers, excluded.attributes)
returning kind, id
"""
_GONE = """
delete from ledger l where
  (kind = 'host' and not exists (select from host e where e.id = l.id)) or
  (kind = 'datastore' and not exists (select from datastore e where e.id = l.id)) or
  (kind = 'cluster' and not exists (select from cluster e where e.id = l.id)) or
  (kind = 'rack' and not exists (select from rack e where e.id = l.id)) or
  (kind = 'datacenter' and not exists (select from datacenter e where e.id = l.id))
returning kind, id, generation + 1
"""


async def recount(
    c: Connection, hosts: Sequence[int] | None, datastores: Sequence[int] | None
) -> dict[str, list[int]]:
    """Count these hosts and datastores (None for all), and every element, anew.

    The ids of the ledger rows that changed, by kind. The caller holds the rule set for update.
    """
    changed: dict[str, list[int]] = {}
    for row in [
        *await c.fetch(_HOSTS + _MERGE, hosts),
        *await c.fetch(_DATASTORES + _MERGE, datastores),
        *await c.fetch(_SCOPES + _MERGE),
    ]:
        changed.setdefault(row["kind"], []).append(row["id"])
    return changed


async def vanished(c: Connection) -> list[Tombstone]:
    """Drop the ledger rows of what exists no more, and say so."""
    return [Tombstone(*row.values()) for row in await c.fetch(_GONE)]
