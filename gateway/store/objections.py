"""What stands against moving or removing VMs, as their hosts were last seen to say."""

from collections.abc import Sequence

from drivers.facts import Sighting
from gateway.lifecycle import Operation
from gateway.store.db.pool import Connection

_WRITE = """
with seen as (
  select v.id, s.* from unnest($2::uuid[], $3::text[], $4::text[], $5::text[])
    as s(uuid, host, moving, removing) join vm v on v.uuid = s.uuid
  join host h on h.id = v.host_id where h.hypervisor = $1),
gone as (
  delete from vm_objection o using seen s where o.vm_id = s.id and s.moving = '' and s.removing = ''
  returning o.vm_id),
made as (
  insert into vm_objection as o (vm_id, host, moving, removing)
  select id, host, moving, removing from seen where moving <> '' or removing <> ''
  on conflict (vm_id) do update set
    host = excluded.host, moving = excluded.moving, removing = excluded.removing
  where (o.host, o.moving, o.removing)
    is distinct from (excluded.host, excluded.moving, excluded.removing)
  returning vm_id)
select (select count(*) from gone) + (select count(*) from made)
"""
_COLUMNS = {Operation.RELOCATE: "moving", Operation.UNDEPLOY: "removing"}


async def write(c: Connection, hypervisor: str, seen: Sequence[Sighting]) -> bool:
    """Record what a complete listing says of its VMs; whether anything is, or was, on record. VMs
    that nothing is said of have no row."""
    known = await c.fetch("select v.uuid from vm_objection o join vm v on v.id = o.vm_id")
    told = {row["uuid"] for row in known}
    rows = [
        (each.vm, each.host, "; ".join(each.fixed), "; ".join(each.kept))
        for each in seen
        if each.fixed or each.kept or each.vm in told
    ]
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        await c.fetchval(_WRITE, hypervisor, *columns)
    return bool(rows or told)


async def against(c: Connection, vm_id: int, operation: Operation) -> str:
    """What stands against an operation on the VM where it is; empty when nothing is known to."""
    column = _COLUMNS.get(operation)
    if column is None:
        return ""
    said = await c.fetchval(
        f"""select o.{column} from vm_objection o join vm v on v.id = o.vm_id
            join host h on h.id = v.host_id and h.name = o.host where o.vm_id = $1""",
        vm_id,
    )
    return said or ""
