"""Who has more promised than a rule allows now: lowering a limit moves no VM, but it is told."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.store import outbox
from gateway.store.pool import Connection

_OVER = """
select 'host', h.id, h.name, 'CPU', 'vCPUs', l.cpu_used, l.cpu_limit, l.cpu_rule
from ledger l join host h on h.id = l.id
where l.kind = 'host' and l.cpu_used > l.cpu_limit and ($1::bigint[] is null or l.id = any($1))
union all
select 'host', h.id, h.name, 'RAM', 'MiB', l.ram_used, l.ram_limit, l.ram_rule
from ledger l join host h on h.id = l.id
where l.kind = 'host' and l.ram_used > l.ram_limit and ($1::bigint[] is null or l.id = any($1))
union all
select 'datastore', d.id, d.name, 'DATASTORE', 'bytes', l.disk_used, l.disk_limit, l.disk_rule
from ledger l join datastore d on d.id = l.id
where l.kind = 'datastore' and l.disk_used > l.disk_limit
  and ($2::bigint[] is null or l.id = any($2))
order by 1, 2, 4
"""


@dataclass(frozen=True, slots=True)
class Over:
    """One resource ("CPU", "RAM" or "DATASTORE") of a place with more promised than allowed."""

    kind: str
    id: int
    name: str
    resource: str
    unit: str
    used: int
    limit: int
    rule: str


async def find(
    c: Connection, hosts: Sequence[int] | None, datastores: Sequence[int] | None
) -> list[Over]:
    """What is over its limit among these hosts and datastores, None for all."""
    return [Over(*row.values()) for row in await c.fetch(_OVER, hosts, datastores)]


async def tell(c: Connection, before: Sequence[Over], after: Sequence[Over]) -> None:
    """An event for each that is over its limit and was not before."""
    known = {(one.kind, one.id, one.resource) for one in before}
    for one in after:
        if (one.kind, one.id, one.resource) in known:
            continue
        payload = {
            "type": "RULES",
            "action": f"LOADLEVEL_{one.resource}_EXCEEDED",
            "severity": "WARN",
            "message": f"{one.kind} {one.name} has {one.used} {one.unit} promised and may have"
            f" {one.limit}" + (f" by {one.rule}" if one.rule else ""),
            "enterprise_id": None,
            "user_id": None,
            "user": "",
            "entity_name": one.name,
            "task_id": "",
            "details": {
                "kind": one.kind,
                "id": one.id,
                "used": one.used,
                "limit": one.limit,
                "rule": one.rule,
            },
        }
        await outbox.put(c, outbox.Topic.EVENT, "RULES", one.id, payload)
