"""The inventory as the store knows it, in the scheduler's own values."""

from collections.abc import Iterable, Sequence
from typing import Any

from gateway.store.db.pool import Connection
from scheduler.model.inventory import AggregateScope, Datastore, Host, HostState, Tier

_HOST = """
select h.id, h.name, h.datacenter_id as datacenter, h.rack_id as rack, r.name as rack_name,
  h.hypervisor, h.type, h.state, h.reachable, coalesce(h.cpus, 0) as cpus,
  coalesce(h.memory_mib, 0) as memory_mib, l.cpu_limit, l.cpu_used,
  l.ram_limit as ram_limit_mib, l.ram_used as ram_used_mib, l.cpu_rule, l.ram_rule, h.networks,
  (select coalesce(array_agg(d.datastore_id order by d.datastore_id), '{}')
   from host_datastore d where d.host_id = h.id and d.problem = '') as datastores,
  l.generation, l.character, h.cluster_id as cluster, coalesce(g.name, '') as cluster_name,
  h.reserved_for, l.enterprises, l.layers
from host h join rack r on r.id = h.rack_id
left join cluster g on g.id = h.cluster_id
join ledger l on l.kind = 'host' and l.id = h.id
where $1::bigint[] is null or h.id = any($1)
order by h.id
"""
_DATASTORE = """
select d.id, d.name, d.datacenter_id as datacenter, d.enabled, d.shared,
  coalesce(l.disk_limit, 0) as limit_bytes, l.disk_used as used_bytes, l.disk_rule as rule,
  l.generation, l.character, coalesce(d.capacity_bytes, 0) as capacity_bytes,
  t.id as tier_id, t.name as tier_name, t.enabled as tier_enabled, t.progressive,
  case when t.open_to_all then null else
    (select coalesce(array_agg(e.enterprise_id), '{}') from tier_enterprise e
     where e.tier_id = t.id) end as tier_enterprises
from datastore d join ledger l on l.kind = 'datastore' and l.id = d.id
left join tier t on t.id = d.tier_id
where $1::bigint[] is null or d.id = any($1)
order by d.id
"""
_SCOPE = """
select l.kind, l.id, coalesce(g.name, r.name, d.name, '') as name, l.cpu_limit, l.cpu_used,
  l.ram_limit, l.ram_used, l.disk_limit, l.disk_used, l.cpu_rule, l.generation, l.character
from ledger l
left join cluster g on l.kind = 'cluster' and g.id = l.id
left join rack r on l.kind = 'rack' and r.id = l.id
left join datacenter d on l.kind = 'datacenter' and d.id = l.id
where l.kind in ('cluster', 'rack', 'datacenter') and ($1::bigint[] is null or l.id = any($1))
order by l.kind, l.id
"""


async def hosts(c: Connection, ids: Sequence[int] | None = None) -> list[Host]:
    """The named hosts, or all."""
    return [_host(row.items()) for row in await c.fetch(_HOST, ids)]


async def datastores(c: Connection, ids: Sequence[int] | None = None) -> list[Datastore]:
    """The named datastores, or all."""
    return [_datastore(row.items()) for row in await c.fetch(_DATASTORE, ids)]


async def scopes(c: Connection, ids: Sequence[int] | None = None) -> list[AggregateScope]:
    """The aggregated elements with these ids (of whatever kind), or all."""
    return [AggregateScope(*row.values()) for row in await c.fetch(_SCOPE, ids)]


async def fetch(
    c: Connection, kind: str, ids: Sequence[int] | None = None
) -> Sequence[Host | Datastore | AggregateScope]:
    """Ledger rows of one kind as the scheduler's values."""
    match kind:
        case "host":
            return await hosts(c, ids)
        case "datastore":
            return await datastores(c, ids)
        case _:
            return [scope for scope in await scopes(c, ids) if scope.kind == kind]


def _host(row: Iterable[tuple[str, Any]]) -> Host:
    values = dict(row)
    sets = ("networks", "enterprises", "layers")
    return Host(
        **values
        | {name: frozenset(values[name]) for name in sets}
        | {"state": HostState(values["state"]), "datastores": tuple(values["datastores"])}
    )


def _datastore(row: Iterable[tuple[str, Any]]) -> Datastore:
    values = dict(row)
    id_, name = values.pop("tier_id"), values.pop("tier_name")
    enabled, progressive = values.pop("tier_enabled"), values.pop("progressive")
    open_to = values.pop("tier_enterprises")
    tier = None
    if id_ is not None:
        everybody = None if open_to is None else frozenset(open_to)
        tier = Tier(id_, name, enabled, progressive, everybody)
    return Datastore(**values, tier=tier)
