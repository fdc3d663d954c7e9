"""What a transaction changes, it says here; the sequencer moves it to the feed once committed."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from gateway.store.pool import Connection


class Topic(StrEnum):
    """EVENT is for clients, INVENTORY for the schedulers' own picture of the capacity."""

    EVENT = "event"
    INVENTORY = "inventory"


async def put(
    c: Connection, topic: Topic, entity: str, entity_id: object, payload: Mapping[str, Any]
) -> None:
    """Add one change to the caller's transaction."""
    await c.execute(
        "insert into outbox (topic, entity, entity_id, payload) values ($1, $2, $3, $4)",
        topic.value,
        entity,
        str(entity_id),
        dict(payload),
    )


async def put_many(
    c: Connection, topic: Topic, entity: str, rows: list[tuple[str, Mapping[str, Any]]]
) -> None:
    """Add many changes of one kind, as (entity id, payload), to the caller's transaction."""
    await c.executemany(
        "insert into outbox (topic, entity, entity_id, payload) values ($1, $2, $3, $4)",
        [(topic.value, entity, entity_id, dict(payload)) for entity_id, payload in rows],
    )
