"""A group of grants is written in one statement: whatever a claim changes, and what tells of it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct, structs

from gateway.store.capacity import decisions, ledger
from gateway.store.capacity.decisions import NewDecision
from gateway.store.capacity.ledger import CountedUse
from gateway.store.db.pool import Connection
from gateway.store.feed import outbox
from gateway.store.feed.outbox import OutboxChange

_WRITE = f"""
with granted as materialized (
  select * from unnest($1::new_grant[]) with ordinality as g(task_id, epoch, step, detail, vm_id,
    host_id, datastore_id, cpu, ram_mib, disk_bytes, moving, decision_id, nth)),
booked as (
  insert into booking (vm_id, host_id, datastore_id, task_id, cpu, ram_mib, disk_bytes)
  select vm_id, host_id, datastore_id, task_id, cpu, ram_mib, disk_bytes from granted),
journalled as (
  insert into journal (task_id, n, step, entry, epoch, detail)
  select task_id, (select count(*) from journal j where j.task_id = g.task_id)
    + row_number() over (partition by task_id order by nth) - 1, step, 'DONE', epoch, detail
  from granted g),
placed as (
  update vm set host_id = g.host_id, datastore_id = g.datastore_id,
    volume = vm.uuid || '-' || g.task_id, state = 'ALLOCATED', known_state = 'ALLOCATED',
    version = version + 1, decision_id = g.decision_id
  from granted g where vm.id = g.vm_id and not g.moving),
worked as (
  update job set state = 'DONE', progress = 100, updated_at = clock_timestamp()
  from granted g where job.task_id = g.task_id and job.n = 0),
decided as ({decisions.insert("$2")}),
counted as ({ledger.update("$3")})
{outbox.insert("$4")}
"""


class Grant(Struct, frozen=True):
    """A booking to write, the line of the journal that says so, and the decision behind it.

    The VM's own place becomes this one unless it is `moving`.
    """

    task_id: UUID
    epoch: int
    step: str
    detail: dict[str, Any]
    vm_id: int
    host_id: int
    datastore_id: int
    cpu: int
    ram_mib: int
    disk_bytes: int
    moving: bool
    decision_id: UUID | None


async def write(
    c: Connection,
    granted: Sequence[Grant],
    made: Sequence[NewDecision],
    counted: Sequence[CountedUse],
    told: Sequence[OutboxChange],
) -> None:
    """Write it all; the caller holds the tasks, the VMs, the rule set and the ledger's rows."""
    await c.execute(
        _WRITE,
        list(map(structs.astuple, granted)),
        decisions.rows(made),
        list(map(structs.astuple, counted)),
        outbox.rows(told),
    )
