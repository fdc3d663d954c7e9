"""What a transaction changes, it says here; the sequencer moves it to the feed once committed."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from gateway.store.pool import Connection

_PUT = "insert into outbox (topic, entity, entity_id, payload) values ($1, $2, $3, $4)"
_PUT_MANY = """
insert into outbox (topic, entity, entity_id, payload)
select $1, told.entity, told.id, told.payload
from unnest($2::text[], $3::text[], $4::jsonb[]) with ordinality as told(entity, id, payload, nth)
order by told.nth
"""


class Topic(StrEnum):
    """EVENT is for clients, INVENTORY for the schedulers' own picture of the capacity."""

    EVENT = "event"
    INVENTORY = "inventory"


async def put(
    c: Connection, topic: Topic, entity: str, entity_id: object, payload: Mapping[str, Any]
) -> None:
    """Add one change to the caller's transaction."""
    await c.execute(_PUT, topic.value, entity, str(entity_id), dict(payload))


async def put_many(
    c: Connection, topic: Topic, rows: Sequence[tuple[str, object, Mapping[str, Any]]]
) -> None:
    """Add many changes in this order, as (entity, id, payload), to the caller's transaction."""
    if rows:
        await c.execute(
            _PUT_MANY,
            topic.value,
            [entity for entity, _, _ in rows],
            [str(entity_id) for _, entity_id, _ in rows],
            [payload for _, _, payload in rows],
        )
