"""The inventory as the store knows it, in the scheduler's own values."""

from collections.abc import Sequence

from gateway.store.pool import Connection
from scheduler.inventory import Datastore, Host, HostState, Scope

_HOST = """
select h.id, h.name, h.datacenter_id, h.rack_id, r.name rack_name, h.hypervisor, h.type, h.state,
  h.reachable, coalesce(h.cpus, 0) cpus, coalesce(h.memory_mib, 0) memory_mib,
  l.cpu_limit, l.cpu_used, l.ram_limit, l.ram_used, l.cpu_rule, l.ram_rule, h.networks,
  (select coalesce(array_agg(d.datastore_id order by d.datastore_id), '{}')
   from host_datastore d where d.host_id = h.id) datastores,
  l.generation, l.character
from host h join rack r on r.id = h.rack_id
join ledger l on l.kind = 'host' and l.id = h.id
where $1::bigint[] is null or h.id = any($1)
"""
_DATASTORE = """
select d.id, d.name, d.datacenter_id, d.enabled, d.shared, coalesce(l.disk_limit, 0),
  l.disk_used, l.disk_rule, l.generation, l.character
from datastore d join ledger l on l.kind = 'datastore' and l.id = d.id
where $1::bigint[] is null or d.id = any($1)
"""
_SCOPE = """
select l.kind, l.id, coalesce(r.name, d.name, '') as name, l.cpu_limit, l.cpu_used, l.ram_limit,
  l.ram_used, l.disk_limit, l.disk_used, l.cpu_rule, l.generation, l.character
from ledger l
left join rack r on l.kind = 'rack' and r.id = l.id
left join datacenter d on l.kind = 'datacenter' and d.id = l.id
where l.kind in ('rack', 'datacenter') and ($1::bigint[] is null or l.id = any($1))
"""


async def hosts(c: Connection, ids: Sequence[int] | None = None) -> list[Host]:
    """The named hosts, or all."""
    return [
        Host(
            id=row["id"],
            name=row["name"],
            datacenter=row["datacenter_id"],
            rack=row["rack_id"],
            rack_name=row["rack_name"],
            hypervisor=row["hypervisor"],
            type=row["type"],
            state=HostState(row["state"]),
            reachable=row["reachable"],
            cpus=row["cpus"],
            memory_mib=row["memory_mib"],
            cpu_limit=row["cpu_limit"],
            cpu_used=row["cpu_used"],
            ram_limit_mib=row["ram_limit"],
            ram_used_mib=row["ram_used"],
            cpu_rule=row["cpu_rule"],
            ram_rule=row["ram_rule"],
            networks=frozenset(row["networks"]),
            datastores=tuple(row["datastores"]),
            generation=row["generation"],
            character=row["character"],
        )
        for row in await c.fetch(_HOST, ids)
    ]


async def datastores(c: Connection, ids: Sequence[int] | None = None) -> list[Datastore]:
    """The named datastores, or all."""
    return [Datastore(*row.values()) for row in await c.fetch(_DATASTORE, ids)]


async def scopes(c: Connection, ids: Sequence[int] | None = None) -> list[Scope]:
    """The aggregated elements with these ids (racks and datacenters alike), or all."""
    return [Scope(*row.values()) for row in await c.fetch(_SCOPE, ids)]


async def fetch(
    c: Connection, kind: str, ids: Sequence[int] | None = None
) -> list[Host] | list[Datastore] | list[Scope]:
    """Ledger rows of one kind as the scheduler's values."""
    match kind:
        case "host":
            return await hosts(c, ids)
        case "datastore":
            return await datastores(c, ids)
        case _:
            return [scope for scope in await scopes(c, ids) if scope.kind == kind]


async def unsequenced(c: Connection) -> list[tuple[str, int]]:
    """The rows of which the feed has yet to tell a change that this moment sees."""
    rows = await c.fetch("select distinct entity, entity_id from outbox where topic = 'inventory'")
    return [(row["entity"], int(row["entity_id"])) for row in rows]
