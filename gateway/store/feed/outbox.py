"""What a transaction changes, it says here; the sequencer moves it to the feed once committed."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from msgspec import Struct

from gateway.store.db.pool import Connection

_PUT = "insert into outbox (topic, entity, entity_id, payload) values ($1, $2, $3, $4)"


class Topic(StrEnum):
    """EVENT is for clients, INVENTORY for the schedulers' own picture of the capacity."""

    EVENT = "event"
    INVENTORY = "inventory"


class OutboxChange(Struct, frozen=True):
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


def insert(changes: str) -> str:
    """The statement that adds what `rows` makes of changes, given as this parameter, in order."""
    return f"""
insert into outbox (topic, entity, entity_id, payload)
select topic, entity, entity_id, payload
from unnest({changes}::new_change[]) with ordinality
  as told(topic, entity, entity_id, payload, nth)
order by nth"""


def rows(changes: Sequence[OutboxChange]) -> list[tuple[object, ...]]:
    """Changes as `insert` takes them."""
    return [(one.topic, one.entity, str(one.entity_id), one.payload) for one in changes]


_PUT_MANY = insert("$1")


async def put_many(c: Connection, changes: Sequence[OutboxChange]) -> None:
    """Add many changes, in this order and one statement, to the caller's transaction."""
    if changes:
        await c.execute(_PUT_MANY, rows(changes))
