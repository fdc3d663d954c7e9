"""The ledger says what may be and what is promised of each place; limits follow the rules.

Whoever promises or gives back holds `rule_set` for share, whoever edits rules or places holds
it for update: a claim never sees half an edit, and an edit recounts with no claim in flight.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.store import outbox
from gateway.store.pool import Connection

_HOSTS = """
insert into ledger as l (kind, id, cpu_limit, cpu_used, ram_limit, ram_used, cpu_rule, ram_rule,
                         attributes)
select 'host', h.id, coalesce(h.cpus, 0)::bigint * coalesce(r.cpu_percent, 100) / 100,
  coalesce(b.cpu, 0) + h.foreign_cpu,
  coalesce(h.memory_mib, 0) * coalesce(r.ram_percent, 100) / 100,
  coalesce(b.ram, 0) + h.foreign_ram_mib,
  coalesce(r.name, ''), coalesce(r.name, ''),
  md5(concat_ws('|', h.name, h.state, h.reachable, h.networks, h.type, h.hypervisor, h.cpus,
      h.memory_mib, (select string_agg(d.datastore_id::text, ',' order by d.datastore_id)
                     from host_datastore d where d.host_id = h.id)))
from host h
left join lateral (
  select cpu_percent, ram_percent, 'machineLoadLevel ' || id || ' (' || level || ', CPU '
    || cpu_percent || ' %, RAM ' || ram_percent || ' %)' as name
  from rule where kind = 'machine_load' and not aggregated and (level, element_id) in (
    ('machine', h.id), ('rack', h.rack_id), ('datacenter', h.datacenter_id))
  order by case level when 'machine' then 0 when 'rack' then 1 else 2 end limit 1) r on true
left join (select host_id, sum(cpu) cpu, sum(ram_mib) ram from booking group by host_id) b
  on b.host_id = h.id
where $1::bigint[] is null or h.id = any($1)
order by h.id
"""
_DATASTORES = """
insert into ledger as l (kind, id, disk_limit, disk_used, disk_rule, attributes)
select 'datastore', d.id, coalesce(d.capacity_bytes, 0) * coalesce(r.storage_percent, 100) / 100,
  greatest(coalesce(b.disk, 0), coalesce(d.capacity_bytes - d.free_bytes, 0)),
  coalesce(r.name, ''), md5(concat_ws('|', d.name, d.enabled, d.shared, d.tier))
from datastore d
left join lateral (
  select storage_percent, 'datastoreloadlevel ' || rule.id || ' (' || level || ', '
    || storage_percent || ' %)' as name
  from rule where kind = 'datastore_load' and (level, element_id) in (
    ('datastore', d.id), ('datacenter', d.datacenter_id))
  order by case level when 'datastore' then 0 else 2 end limit 1) r on true
left join (select datastore_id, sum(disk_bytes) disk from booking group by datastore_id) b
  on b.datastore_id = d.id
where $1::bigint[] is null or d.id = any($1)
order by d.id
"""
# One VM counts once in its rack and datacenter, also while a relocation books it twice.
_SCOPES = """
insert into ledger as l (kind, id, cpu_limit, cpu_used, ram_limit, ram_used, cpu_rule, ram_rule)
select r.level, r.element_id, p.cpus * r.cpu_percent / 100, u.cpu,
  p.memory * r.ram_percent / 100, u.ram, r.name, r.name
from (select *, 'machineLoadLevel ' || id || ' (' || level || ' in all, CPU '
    || cpu_percent || ' %, RAM ' || ram_percent || ' %)' as name from rule) r,
lateral (select coalesce(sum(cpus), 0)::bigint cpus, coalesce(sum(memory_mib), 0)::bigint memory,
    coalesce(sum(foreign_cpu), 0)::bigint fcpu, coalesce(sum(foreign_ram_mib), 0)::bigint fram
  from host h where case r.level when 'rack' then h.rack_id else h.datacenter_id end
    = r.element_id) p,
lateral (select p.fcpu + coalesce(sum(cpu), 0)::bigint cpu,
    p.fram + coalesce(sum(ram), 0)::bigint ram
  from (select max(b.cpu) cpu, max(b.ram_mib) ram from booking b join host h on h.id = b.host_id
        where case r.level when 'rack' then h.rack_id else h.datacenter_id end = r.element_id
        group by b.vm_id) v) u
where r.kind = 'machine_load' and r.aggregated and r.level in ('rack', 'datacenter')
order by r.level, r.element_id
"""
_MERGE = """
on conflict (kind, id) do update set
  cpu_limit = excluded.cpu_limit, cpu_used = excluded.cpu_used,
  ram_limit = excluded.ram_limit, ram_used = excluded.ram_used,
  disk_limit = excluded.disk_limit, disk_used = excluded.disk_used,
  cpu_rule = excluded.cpu_rule, ram_rule = excluded.ram_rule, disk_rule = excluded.disk_rule,
  attributes = excluded.attributes, generation = l.generation + 1,
  character = l.character + case when
    (l.cpu_limit, l.ram_limit, l.disk_limit, l.attributes) is distinct from
    (excluded.cpu_limit, excluded.ram_limit, excluded.disk_limit, excluded.attributes)
    then 1 else 0 end
where (l.cpu_limit, l.cpu_used, l.ram_limit, l.ram_used, l.disk_limit, l.disk_used,
       l.cpu_rule, l.ram_rule, l.disk_rule, l.attributes) is distinct from
  (excluded.cpu_limit, excluded.cpu_used, excluded.ram_limit, excluded.ram_used,
   excluded.disk_limit, excluded.disk_used, excluded.cpu_rule, excluded.ram_rule,
   excluded.disk_rule, excluded.attributes)
returning kind, id
"""
_GONE = """
delete from ledger l where
  (kind = 'host' and not exists (select from host where host.id = l.id)) or
  (kind = 'datastore' and not exists (select from datastore where datastore.id = l.id))
returning kind, id
"""
# A rule may come back, so its row stays, without limits, to keep the generations growing.
_LIFTED = """
update ledger l set cpu_limit = null, ram_limit = null, disk_limit = null, cpu_rule = '',
  ram_rule = '', generation = generation + 1, character = character + 1
where kind in ('rack', 'datacenter') and (cpu_limit is not null or ram_limit is not null)
  and not exists (select from rule r where r.kind = 'machine_load' and r.aggregated
    and r.level = l.kind and r.element_id = l.id)
returning kind, id
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A ledger row as a claim sees it under lock; a None limit is no limit."""

    kind: str
    id: int
    cpu_limit: int | None
    cpu_used: int
    ram_limit: int | None
    ram_used: int
    disk_limit: int | None
    disk_used: int
    generation: int
    character: int

    def payload(self) -> dict[str, Any]:
        """The row as the feed tells it: absolute values under a generation."""
        return {
            "cpu_used": self.cpu_used,
            "ram_used": self.ram_used,
            "disk_used": self.disk_used,
            "generation": self.generation,
            "character": self.character,
        }


_COLUMNS = """l.kind, l.id, cpu_limit, cpu_used, ram_limit, ram_used, disk_limit, disk_used,
  generation, character"""


@dataclass(frozen=True, slots=True)
class Delta:
    """What is added to (or, negative, taken from) one ledger row: vCPUs, MiB, bytes."""

    kind: str
    id: int
    cpu: int = 0
    ram_mib: int = 0
    disk_bytes: int = 0


async def refresh_limits(
    c: Connection, *, hosts: Sequence[int] | None = None, datastores: Sequence[int] | None = None
) -> None:
    """Recount limits and use from rules, sizes and bookings, in the caller's transaction.

    All rows when neither is given; else those of the named hosts and datastores, and every
    aggregated element. What changed goes to the feed, by id: readers fetch the row.
    """
    await c.execute("select version from rule_set for update")
    everything = hosts is None and datastores is None
    wanted_hosts = None if everything else list(hosts or ())
    wanted_datastores = None if everything else list(datastores or ())
    changed = [
        *await c.fetch(_HOSTS + _MERGE, wanted_hosts),
        *await c.fetch(_DATASTORES + _MERGE, wanted_datastores),
        *await c.fetch(_SCOPES + _MERGE),
        *await c.fetch(_LIFTED),
    ]
    for kind in sorted({row["kind"] for row in changed}):
        told: list[tuple[str, Mapping[str, Any]]] = [
            (str(row["id"]), {"changed": True}) for row in changed if row["kind"] == kind
        ]
        await outbox.put_many(c, outbox.Topic.INVENTORY, kind, told)
    if everything:
        for row in await c.fetch(_GONE):
            await outbox.put(c, outbox.Topic.INVENTORY, row["kind"], row["id"], {"gone": True})
        await outbox.put(c, outbox.Topic.INVENTORY, "policy", 0, {"changed": True})


async def lock(c: Connection, keys: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Row]:
    """Lock ledger rows in (kind, id) order, after the rule set for share."""
    await c.execute("select version from rule_set for share")
    ordered = sorted(set(keys))
    rows = await c.fetch(
        f"""select {_COLUMNS} from ledger l
            join unnest($1::text[], $2::bigint[]) as k(kind, id) on l.kind = k.kind and l.id = k.id
            order by l.kind, l.id for update of l""",
        [kind for kind, _ in ordered],
        [id_ for _, id_ in ordered],
    )
    return {(row["kind"], row["id"]): Row(*row.values()) for row in rows}


async def add(c: Connection, deltas: Iterable[Delta]) -> None:
    """Add to locked rows, summed per row, in one statement, and tell the feed."""
    total: dict[tuple[str, int], list[int]] = {}
    for delta in deltas:
        cell = total.setdefault((delta.kind, delta.id), [0, 0, 0])
        for n, amount in enumerate((delta.cpu, delta.ram_mib, delta.disk_bytes)):
            cell[n] += amount
    changes: Mapping[tuple[str, int], list[int]] = {k: v for k, v in total.items() if any(v)}
    if not changes:
        return
    rows = await c.fetch(
        f"""update ledger l set cpu_used = cpu_used + d.cpu, ram_used = ram_used + d.ram,
              disk_used = disk_used + d.disk, generation = generation + 1
            from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
              as d(kind, id, cpu, ram, disk)
            where l.kind = d.kind and l.id = d.id
            returning {_COLUMNS}""",
        [kind for kind, _ in changes],
        [id_ for _, id_ in changes],
        *([cell[n] for cell in changes.values()] for n in range(3)),
    )
    found = [Row(*row.values()) for row in rows]
    for kind in {row.kind for row in found}:
        told: list[tuple[str, Mapping[str, Any]]] = [
            (str(row.id), row.payload()) for row in found if row.kind == kind
        ]
        await outbox.put_many(c, outbox.Topic.INVENTORY, kind, told)
