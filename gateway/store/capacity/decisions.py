"""Decisions, each written in the commit that makes it true: a booking's, or a refusal's."""

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from gateway.store.db.paged import Key, Page, PageRequest, fields, paged, part
from gateway.store.db.pool import Connection

_ADVISE = "update decision set advice = $2 where id = $1"
_COLUMNS = """
decision.id, decision.at, decision.kind, decision.outcome, decision.task_id, decision.vm_id,
decision.enterprise_id, decision.host_id, decision.position, decision.rule_set,
decision.scheduler, decision.body, decision.advice, coalesce(vm.name, task.vm_name, '') as vm_name,
vm.virtualdatacenter_id, vm.virtualappliance_id, host.name as host_name, host.rack_id,
host.datacenter_id, hold.id as hold_id
"""
_FROM = """
from decision
  left join vm on vm.id = decision.vm_id
  left join task on task.id = decision.task_id
  left join host on host.id = decision.host_id
  left join hold on hold.id = decision.hold_id
"""
_MATCHES = """
where ($1::bigint is null or decision.enterprise_id = $1)
  and ($2::bigint is null or decision.vm_id = $2)
  and ($3::uuid is null or decision.task_id = $3)
  and ($4::text is null or decision.outcome = $4)
  and ($5::timestamptz is null or decision.at >= $5)
"""


_LOWEST = """
select min(position) from decision where at >= clock_timestamp() - make_interval(secs => $1)
  and kind <> 'hold'
"""
_IN_ORDER = """
select id, at, kind, vm_id, position, body from decision
where at >= clock_timestamp() - make_interval(secs => $1) and kind <> 'hold'
  and (position, at, id) > ($2, $3, $4)
order by position, at, id limit $5
"""
_VM_NAMES = f"""
select decision.id, coalesce(vm.name, task.vm_name, '') {_FROM} where decision.id = any($1)
"""


class NewDecision(Struct, frozen=True):
    """A decision to write; `body` is the encoded value, the rest is what it is found by."""

    id: UUID
    kind: str
    outcome: str
    task: UUID | None
    vm_id: int
    enterprise_id: int
    host_id: int | None
    position: int
    rule_set: int
    scheduler: str
    body: bytes
    advice: Sequence[Mapping[str, Any]] = ()
    hold: UUID | None = None


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A decision as it stands, with the names around it (None or empty: gone)."""

    id: UUID
    at: datetime
    kind: str
    outcome: str
    task_id: UUID | None
    vm_id: int
    enterprise_id: int
    host_id: int | None
    position: int
    rule_set: int
    scheduler: str
    body: bytes
    advice: Sequence[Mapping[str, Any]]
    vm_name: str
    virtualdatacenter_id: int | None
    virtualappliance_id: int | None
    host_name: str | None
    rack_id: int | None
    datacenter_id: int | None
    hold_id: UUID | None


@dataclass(frozen=True, slots=True)
class DecisionInOrder:
    """As much of a decision as is needed to make it again."""

    id: UUID
    at: datetime
    kind: str
    vm_id: int
    position: int
    body: bytes


@dataclass(frozen=True, slots=True)
class DecisionFilter:
    """Which decisions are wanted; None leaves that side open."""

    enterprise_id: int | None = None
    vm_id: int | None = None
    task: UUID | None = None
    outcome: str | None = None
    since: datetime | None = None


_ID = Key("decision.id", "uuid")
SORTS: Mapping[str, Key] = {"timestamp": Key("decision.at", "timestamptz")}
OF_NO_VM = 0
"""In place of the number of a VM, where a place is held for one to come."""


def new_id() -> UUID:
    """An id that sorts by time (version 7), so that the newest rows lie together."""
    milliseconds = time.time_ns() // 1_000_000
    number = (milliseconds << 80) | random.getrandbits(80)  # each process has its own seed
    number = number & ~(0xF << 76) | 7 << 76
    return UUID(int=number & ~(0x3 << 62) | 2 << 62)


def insert(made: str) -> str:
    """The statement that adds what `rows` makes of decisions, given as this parameter."""
    return f"""
insert into decision (id, kind, outcome, task_id, vm_id, enterprise_id, host_id, position, rule_set,
  scheduler, body, hold_id)
select * from unnest({made}::new_decision[])"""


def rows(made: Sequence[NewDecision]) -> list[tuple[object, ...]]:
    """Decisions as `insert` takes them; what was advised is not in it."""
    return [
        (
            one.id,
            one.kind,
            one.outcome,
            one.task,
            one.vm_id,
            one.enterprise_id,
            one.host_id,
            one.position,
            one.rule_set,
            one.scheduler,
            one.body,
            one.hold,
        )
        for one in made
    ]


_INSERT = insert("$1")


async def put_many(c: Connection, made: Sequence[NewDecision]) -> None:
    """Write decisions in the caller's transaction, in one statement and one for each advised."""
    if not made:
        return
    await c.execute(_INSERT, rows(made))
    for one in made:
        if one.advice:
            await c.execute(_ADVISE, one.id, list(one.advice))


async def get(c: Connection, id: UUID) -> StoredDecision | None:
    """One decision, or None."""
    row = await c.fetchrow(f"select {_COLUMNS} {_FROM} where decision.id = $1", id)
    return None if row is None else StoredDecision(**row)


async def page(c: Connection, wanted: DecisionFilter, sort: PageRequest) -> Page[StoredDecision]:
    """One page by time, newest first unless ascending."""
    bounds = (wanted.enterprise_id, wanted.vm_id, wanted.task, wanted.outcome, wanted.since)
    total = await c.fetchval(f"select count(*) from decision {_MATCHES}", *bounds)
    of = part(sort, SORTS[sort.by], _ID, len(bounds))
    rows = await c.fetch(
        f"select {_COLUMNS}, {of.columns} {_FROM} {_MATCHES} {of.condition} {of.order}",
        *bounds,
        *of.values,
    )
    return paged(rows, total, sort, lambda row: StoredDecision(**fields(row)))


async def first_position(c: Connection, days: float) -> int | None:
    """The lowest position that a decision on a VM of the last days was made at, None without
    any."""
    found: int | None = await c.fetchval(_LOWEST, days * 86_400)
    return found


async def in_order(
    c: Connection, days: float, after: tuple[int, datetime, UUID] | None, limit: int
) -> list[DecisionInOrder]:
    """Decisions on VMs of the last days by (position, time, id), those after the given one."""
    since = after or (-1, datetime.min.replace(tzinfo=UTC), UUID(int=0))
    return [DecisionInOrder(*row) for row in await c.fetch(_IN_ORDER, days * 86_400, *since, limit)]


async def vm_names(c: Connection, ids: Sequence[UUID]) -> dict[UUID, str]:
    """What the VMs of these decisions are called, empty for those that nobody remembers."""
    return {row[0]: row[1] for row in await c.fetch(_VM_NAMES, ids)}


async def vm_of(c: Connection, uuid: UUID) -> int | None:
    """The number of the VM with this uuid, None when there is none."""
    found: int | None = await c.fetchval("select id from vm where uuid = $1", uuid)
    return found


async def names(
    c: Connection, hosts: Iterable[int], datastores: Iterable[int]
) -> dict[tuple[str, int], str]:
    """What hosts and datastores are called, for those that are still there."""
    rows = await c.fetch(
        """select 'host' as kind, id, name from host where id = any($1::bigint[])
           union all select 'datastore', id, name from datastore where id = any($2::bigint[])""",
        list(hosts),
        list(datastores),
    )
    return {(row["kind"], row["id"]): row["name"] for row in rows}


async def trim(c: Connection, days: float, rows_max: int, batch: int) -> int:
    """Delete up to `batch` decisions, oldest first: those older than `days`, and those beyond
    the newest `rows_max`; how many went."""
    status = await c.execute(
        """delete from decision where id in (
             select id from decision
             where at < clock_timestamp() - make_interval(secs => $1)
               or (at, id) <= (select at, id from decision order by at desc, id desc
                               offset $2 limit 1)
             order by at, id limit $3)""",
        days * 86_400,
        rows_max,
        batch,
    )
    return int(status.rsplit(" ", 1)[1])
