"""Who has more promised than a rule allows now: lowering a limit moves no VM, but it is told."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.store.db.pool import Connection
from gateway.store.feed import outbox

OVER = (
    "((l.cpu_used > l.cpu_limit or l.ram_used > l.ram_limit or l.disk_used > l.disk_limit) is true)"
)
"""Whether the ledger's row `l` has more promised than the rules allow now: the only place that
says so. No limit is never passed."""
_FIND = f"""
select l.kind, l.id, coalesce(h.name, d.name, g.name, k.name, c.name, '') name,
  l.cpu_used, l.cpu_limit, l.cpu_rule, l.ram_used, l.ram_limit, l.ram_rule,
  l.disk_used, l.disk_limit, l.disk_rule
from ledger l
left join host h on l.kind = 'host' and h.id = l.id
left join datastore d on l.kind = 'datastore' and d.id = l.id
left join cluster g on l.kind = 'cluster' and g.id = l.id
left join rack k on l.kind = 'rack' and k.id = l.id
left join datacenter c on l.kind = 'datacenter' and c.id = l.id
where {OVER} and case l.kind when 'host' then $1::bigint[] is null or l.id = any($1)
  when 'datastore' then $2::bigint[] is null or l.id = any($2) else true end
order by l.kind, l.id
"""
_RESOURCES = (("CPU", "vCPUs", "cpu"), ("RAM", "MiB", "ram"), ("DATASTORE", "bytes", "disk"))


@dataclass(frozen=True, slots=True)
class OverLimitRow:
    """One resource ("CPU", "RAM" or "DATASTORE") of a ledger row with more promised than allowed:
    of a host or a datastore, or of all hosts of a cluster, a rack or a datacenter."""

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
) -> list[OverLimitRow]:
    """What is over its limit among these hosts and datastores, None for all, and every sum."""
    return [
        OverLimitRow(
            *(row["kind"], row["id"], row["name"], resource, unit),
            *(row[f"{column}_used"], row[f"{column}_limit"], row[f"{column}_rule"]),
        )
        for row in await c.fetch(_FIND, hosts, datastores)
        for resource, unit, column in _RESOURCES
        if row[f"{column}_limit"] is not None and row[f"{column}_used"] > row[f"{column}_limit"]
    ]


async def tell(
    c: Connection, before: Sequence[OverLimitRow], after: Sequence[OverLimitRow]
) -> None:
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
