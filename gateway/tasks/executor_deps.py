"""The tools that all executors of one process share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from drivers.contract import Driver
from gateway.tasks.fault_policy import Limits
from gateway.tasks.operations.reserve_step import Reserver


@dataclass(frozen=True, slots=True)
class ExecutorDeps:
    """What executors of one process share. `changed` hears which VM to look at again."""

    drivers: Mapping[str, Driver]
    reserver: Reserver
    limits: Limits
    committed: Callable[[], None] = lambda: None
    look_at: Callable[[int], None] = lambda vm_id: None
