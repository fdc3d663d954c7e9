"""An event tells clients what happened to what, by whom, in Abiquo's 4.7+ words."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gateway.store.db.pool import Connection
from gateway.store.feed import outbox


class Severity(StrEnum):
    """How much an event matters."""

    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class Event:
    """`type` and `action` as on the wire (VIRTUAL_MACHINE, DEPLOY_FINISHED, ...).

    `entity_id` is the id of the thing of that type. `user` is the nick of who asked, empty for
    the gateway itself. `details` holds structured rows, JSON-able, free of secrets. `told` is the
    message for who may not know of hosts, empty where `message` names no place.
    """

    type: str
    action: str
    entity_id: object
    message: str = ""
    severity: Severity = Severity.INFO
    enterprise_id: int | None = None
    user_id: int | None = None
    user: str = ""
    entity_name: str = ""
    task_id: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    told: str = ""


async def emit(c: Connection, event: Event) -> None:
    """Put `event` into the outbox of the caller's transaction."""
    payload = {
        "type": event.type,
        "action": event.action,
        "severity": event.severity.value,
        "message": event.message,
        "told": event.told,
        "enterprise_id": event.enterprise_id,
        "user_id": event.user_id,
        "user": event.user,
        "entity_name": event.entity_name,
        "task_id": event.task_id,
        "details": event.details,
    }
    await outbox.put(c, outbox.Topic.EVENT, event.type, event.entity_id, payload)
