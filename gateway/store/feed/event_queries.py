"""Clients read events from the feed, where positions are dense and never change."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.store.db.paged import Key, Page, PageRequest, fields, like, paged, part
from gateway.store.db.pool import Connection

_MATCHES = """
where feed.topic = 'event'
  and ($1::bigint is null or (feed.payload->>'enterprise_id')::bigint = $1)
  and ($2::text is null or feed.entity = $2)
  and ($3::text is null or feed.entity_id = $3)
  and ($4::text is null or feed.payload->>'action' = $4)
  and ($5::text is null or feed.payload->>'severity' = $5)
  and ($6::text is null or feed.payload->>'user' = $6)
  and ($7::text is null or feed.payload->>'entity_name' ilike $7 or coalesce(
    case when not $11 then nullif(feed.payload->>'told', '') end, feed.payload->>'message')
    ilike $7)
  and ($8::timestamptz is null or feed.at >= $8)
  and ($9::timestamptz is null or feed.at < $9)
  and ($10::bigint is null or feed.position > $10)
"""
# The cast runs for VMs only: other entities' ids need not be numbers.
_NAMED = """
select page.position, page.entity, page.entity_id, page.payload, page.at,
  enterprise.name as enterprise_name, task.user_id as task_user_id,
  vm.virtualappliance_id, vm.virtualdatacenter_id,
  virtualdatacenter.name as virtualdatacenter_name,
  virtualappliance.name as virtualappliance_name {more}
from page
  left join enterprise on enterprise.id = (page.payload->>'enterprise_id')::bigint
  left join vm on vm.id =
    case when page.entity = 'VIRTUAL_MACHINE' then page.entity_id::bigint end
  left join virtualdatacenter on virtualdatacenter.id = vm.virtualdatacenter_id
  left join virtualappliance on virtualappliance.id = vm.virtualappliance_id
  left join task on task.id = nullif(page.payload->>'task_id', '')::uuid
"""


SORTS: Mapping[str, Key] = {"timestamp": Key("feed.position", "bigint")}


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are wanted; None leaves that side open. `after` is a feed position. Without
    `hosts`, `has` looks at what is told to who may not know of hosts."""

    enterprise_id: int | None = None
    entity: str | None = None
    entity_id: str | None = None
    action: str | None = None
    severity: str | None = None
    user: str | None = None
    has: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: int | None = None
    hosts: bool = False


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event at its feed position, with where its VM stands now (None: not a VM, or gone)."""

    position: int
    entity: str
    entity_id: str
    payload: Mapping[str, Any]
    at: datetime
    enterprise_name: str | None
    task_user_id: int | None
    virtualappliance_id: int | None
    virtualdatacenter_id: int | None
    virtualdatacenter_name: str | None
    virtualappliance_name: str | None


def _bounds(wanted: EventFilter) -> tuple[Any, ...]:
    return (
        wanted.enterprise_id,
        wanted.entity,
        wanted.entity_id,
        wanted.action,
        wanted.severity,
        wanted.user,
        like(wanted.has),
        wanted.since,
        wanted.until,
        wanted.after,
        wanted.hosts,
    )


async def page(c: Connection, wanted: EventFilter, sort: PageRequest) -> Page[StoredEvent]:
    """One page of events in feed order, or newest first."""
    bounds = _bounds(wanted)
    way = "asc" if sort.ascending else "desc"
    total = await c.fetchval(f"select count(*) from feed {_MATCHES}", *bounds)
    of = part(sort, SORTS[sort.by], SORTS[sort.by], len(bounds))
    rows = await c.fetch(
        f"""with page as (select *, {of.columns} from feed {_MATCHES} {of.condition} {of.order})
            {_NAMED.format(more=", page.page_value, page.page_id")} order by page.position {way}""",
        *bounds,
        *of.values,
    )
    return paged(rows, total, sort, lambda row: StoredEvent(**fields(row)))


async def get(c: Connection, position: int, enterprise_id: int | None) -> StoredEvent | None:
    """The event at a position, None when there is none there for this enterprise."""
    row = await c.fetchrow(
        f"""with page as (select * from feed where topic = 'event' and position = $1
             and ($2::bigint is null or (payload->>'enterprise_id')::bigint = $2))
            {_NAMED.format(more="")}""",
        position,
        enterprise_id,
    )
    return None if row is None else StoredEvent(**row)
