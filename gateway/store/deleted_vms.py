"""VMs that were deleted while UNKNOWN: one that a survey lists again is ours, and has a name."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from gateway.store.db.pool import Connection

_SEEN = """
with seen as (select * from unnest($2::uuid[], $3::text[]) as s(uuid, host)),
gone as (
  update deleted_vm d set seen_hypervisor = '', seen_host = '' where d.seen_hypervisor = $1
    and d.seen_host = any($4) and not exists (select from seen s where s.uuid = d.uuid))
update deleted_vm d set seen_hypervisor = $1, seen_host = s.host, seen_at = clock_timestamp()
from seen s where d.uuid = s.uuid and (d.seen_hypervisor, d.seen_host) is distinct from ($1, s.host)
returning d.uuid, d.vm_id, d.name, d.label, d.enterprise_id, d.deleted_at::text deleted_at, s.host
"""


@dataclass(frozen=True, slots=True)
class Reappeared:
    """A deleted VM that was seen again, with its number and names on record."""

    uuid: UUID
    vm_id: int
    name: str
    label: str
    enterprise_id: int
    deleted_at: str
    host: str


async def seen(
    c: Connection, hypervisor: str, found: Sequence[tuple[UUID, str]], hosts: Sequence[str]
) -> list[Reappeared]:
    """Record on which host each deleted VM is; return those that were not known to be there.

    `found` has all VMs with our mark that a complete listing of `hosts` has, as (VM, host). One
    that is listed no longer is forgotten there, so it is reported again when it comes back.
    """
    vms, where = [vm for vm, _ in found], [host for _, host in found]
    rows = await c.fetch(_SEEN, hypervisor, vms, where, list(hosts))
    return [Reappeared(**row) for row in rows]
