"""What a group of claims locks and reads, in two statements: whose they are, then where they go.

A statement reads what it does not lock as it was when it began. Nothing here depends on what
changed since: a claim stands only if its rule set's version and its rows' characters, which were
known before it was made, are still those under the locks; exclusions and restrictions count in
the version, reservations in the host's character.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from gateway.store.capacity.ledger import COLUMNS, Key, Row
from gateway.store.capacity.tenant_conflicts import HostTenants, TenantVm, neighbours_of
from gateway.store.db.pool import Connection
from gateway.store.rules.rule_set import EXCLUSION

# Each part is asked for by the next one, which sets the order of the locks.
_GUESTS = """
with held as materialized (
  select id, epoch, vm_id, state from task where id = any($1) order by id for update),
guest as materialized (
  select v.id, v.enterprise_id, v.layer_id, e.reservation_restricted,
    array(select case r.element_id when e.id then r.other_id else r.element_id end from rule r
          where r.kind = $3 and e.id in (r.element_id, r.other_id)) as apart
  from vm v join enterprise e on e.id = v.enterprise_id
  where v.id = any($2) and (select count(*) from held) >= 0 order by v.id for no key update of v)
select guest.*, held.id, held.epoch from guest
left join held on held.vm_id = guest.id and held.state = 'running'
"""
_PLACES = f"""
with rules as materialized (select version from rule_set for share),
place as materialized (
  select {COLUMNS}, h.reserved_for from ledger l
  join unnest($1::text[], $2::bigint[]) as k(kind, id) on l.kind = k.kind and l.id = k.id
  left join host h on l.kind = 'host' and h.id = l.id
  where (select version from rules) is not null order by l.kind, l.id for update of l)
select place.*, rules.version from rules left join place on true
"""


@dataclass(frozen=True, slots=True)
class ClaimedVm:
    """A VM that wants a place, whom its owner is kept apart from, and its running task with the
    epoch under which that is held; None where it is not one of those asked for."""

    vm: TenantVm
    apart: Sequence[int]
    held_by: tuple[UUID, int] | None


async def guests(c: Connection, tasks: Sequence[UUID], vms: Sequence[int]) -> dict[int, ClaimedVm]:
    """Lock these tasks that are running, then these VMs, each in order; those that are there."""
    rows = await c.fetch(_GUESTS, tasks, vms, EXCLUSION)
    return {
        id_: ClaimedVm(
            TenantVm(id_, enterprise, layer, restricted),
            apart,
            None if task is None else (task, epoch),
        )
        for id_, enterprise, layer, restricted, apart, task, epoch in rows
    }


async def places(
    c: Connection, keys: Iterable[Key], coming: Iterable[ClaimedVm]
) -> tuple[int, dict[Key, Row], HostTenants]:
    """Hold the rule set for share, then lock ledger rows in (kind, id) order.

    The rule set's version, the rows that are there, and who lives on the hosts among them.
    """
    ordered = sorted(keys)
    found = await c.fetch(_PLACES, [kind for kind, _ in ordered], [id_ for _, id_ in ordered])
    rows: dict[Key, Row] = {}
    reserved: dict[int, int] = {}
    for *columns, reserved_for, _ in found:
        if columns[0] is not None:  # there is always one line, with the version
            row = Row(*columns)
            rows[row.kind, row.id] = row
            if reserved_for is not None:
                reserved[row.id] = reserved_for
    pairs = [(each.vm.enterprise, other) for each in coming for other in each.apart]
    return found[0]["version"], rows, neighbours_of(rows, reserved, pairs)
