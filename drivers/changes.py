"""A state change is a hint that something happened; the reconciler looks before it believes."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Change(StrEnum):
    """What a hypervisor reported."""

    STARTED = "STARTED"
    STOPPED = "STOPPED"
    CRASHED = "CRASHED"
    PAUSED = "PAUSED"
    RESUMED = "RESUMED"
    DEFINED = "DEFINED"
    UNDEFINED = "UNDEFINED"
    ARRIVED = "ARRIVED"
    DEPARTED = "DEPARTED"
    LOST = "LOST"  # the connection to the endpoint, not a VM
    REGAINED = "REGAINED"


@dataclass(frozen=True, slots=True)
class StateChange:
    """One report of one endpoint; `vm` is None when it is about the endpoint itself."""

    endpoint: str
    host: str
    what: Change
    seen_at: datetime
    vm: UUID | None = None
    detail: str = ""
