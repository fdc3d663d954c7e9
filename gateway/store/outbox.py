"""What a transaction changes, it says here; the sequencer moves it to the feed once committed."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from msgspec import Struct

from gateway.store.pool import Connection

_PUT = "insert into outbox (topic, entity, entity_id, payload) values ($1, $2, $3, $4)"
_PUT_MANY = """
insert into outbox (topic, entity, entity_id, payload)
select topic, entity, id, payload
from unnest($1::text[], $2::text[], $3::text[], $4::jsonb[]) with ordinality
  as told(topic, entity, id, payload, nth)
order by nth
"""


class Topic(StrEnum):
    """EVENT is for clients, INVENTORY for the schedulers' own picture of the capacity."""

    EVENT = "event"
    INVENTORY = "inventory"


class Change(Struct, frozen=True):
    """One change to tell of, by the entity and its id."""

    topic: Topic
    entity: str
    entity_id: object
    payload: Mapping[str, Any]


async def put(
    c: Connection, topic: Topic, entity: str, entity_id: object, payload: Mapping[str, Any]
) -> None:
    """Add one change to the caller's transaction."""
    await c.execute(_PUT, topic.value, entity, str(entity_id), dict(payload))


async def put_many(c: Connection, changes: Sequence[Change]) -> None:
    """Add many changes, in this order and one statement, to the caller's transaction."""
    if changes:
        await c.execute(
            _PUT_MANY,
            [each.topic.value for each in changes],
            [each.entity for each in changes],
            [str(each.entity_id) for each in changes],
            [each.payload for each in changes],
        )
