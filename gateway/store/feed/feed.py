"""The feed: committed changes under dense positions, without a hole and never reordered."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway.store.db.pool import Connection

FEED_CHANNEL = "vmgate_feed"


Told = tuple[int, str, str, dict[str, Any]]
"""Position, entity, its id and the payload of a change."""
_TOLD = """
select position, entity, entity_id, payload from feed where position > $1 and topic = $2
order by position limit $3
"""


@dataclass(frozen=True, slots=True)
class FeedChange:
    """One change of the feed."""

    position: int
    topic: str
    entity: str
    entity_id: str
    payload: dict[str, Any] = field(hash=False)
    at: datetime


async def sequence(c: Connection, limit: int = 2000) -> int:
    """Move committed changes from the outbox to the feed; returns how many.

    The head row is locked before the outbox is read, so that of two sequencers the second
    reads what the first left. The rows that are visible then are committed, and their order
    among each other is settled here, once.
    """
    await c.execute("select position from feed_head for update")
    moved = await c.fetchval(
        """with taken as (
             delete from outbox where id in (select id from outbox order by id limit $1)
             returning id, topic, entity, entity_id, payload, at),
           head as (update feed_head set position = position + (select count(*) from taken)
             returning position),
           written as (
             insert into feed (position, topic, entity, entity_id, payload, at)
             select head.position - (select count(*) from taken)
                 + row_number() over (order by taken.id),
               topic, entity, entity_id, payload, at from taken, head
             returning 1)
           select count(*) from written""",
        limit,
    )
    if moved:
        await c.execute(f"notify {FEED_CHANNEL}")
    return int(moved)


async def head(c: Connection) -> int:
    """The last position given out."""
    position: int = await c.fetchval("select position from feed_head")
    return position


async def bounds(c: Connection) -> tuple[int, int]:
    """The last position given out, and that up to which the inventory's changes are no longer
    kept."""
    row = await c.fetchrow("select position, trimmed from feed_head")
    assert row is not None
    return row["position"], row["trimmed"]


async def told(c: Connection, position: int, topic: str, limit: int) -> list[Told]:
    """The same changes with no more than their readers in bulk need, past `position`, in order."""
    rows = await c.fetch(_TOLD, position, topic, limit)
    return [(row[0], row[1], row[2], row[3]) for row in rows]


async def after(c: Connection, position: int, topic: str, limit: int = 1000) -> list[FeedChange]:
    """Changes of a topic past `position`, in order."""
    rows = await c.fetch(
        """select position, topic, entity, entity_id, payload, at from feed
           where position > $1 and topic = $2 order by position limit $3""",
        position,
        topic,
        limit,
    )
    return [FeedChange(*row.values()) for row in rows]
