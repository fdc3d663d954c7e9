"""A reason says which rule dropped a host and by how much: a closed kind, and numbers."""

from dataclasses import dataclass
from enum import StrEnum


class ReasonCode(StrEnum):
    """What a host lacks for a demand."""

    DATACENTER = "DATACENTER"
    NOT_ASKED = "NOT_ASKED"
    REFUSED = "REFUSED"
    SAME_HOST = "SAME_HOST"
    SAME_RACK = "SAME_RACK"
    SAME_HYPERVISOR = "SAME_HYPERVISOR"
    HYPERVISOR_TYPE = "HYPERVISOR_TYPE"
    HOST_STATE = "HOST_STATE"
    UNREACHABLE = "UNREACHABLE"
    NETWORK = "NETWORK"
    RESERVED = "RESERVED"
    RESTRICTED = "RESTRICTED"
    EXCLUDED = "EXCLUDED"
    LAYER = "LAYER"
    CPU = "CPU"
    MEMORY = "MEMORY"
    NO_DATASTORE = "NO_DATASTORE"
    TIER = "TIER"
    STORAGE = "STORAGE"
    AGGREGATED_CPU = "AGGREGATED_CPU"
    AGGREGATED_MEMORY = "AGGREGATED_MEMORY"
    AGGREGATED_STORAGE = "AGGREGATED_STORAGE"

    @property
    def lasting(self) -> bool:
        """Whether waiting cannot help: only somebody's edit of the demand or the place can."""
        return self not in _PASSING

    @property
    def capacity(self) -> bool:
        """Whether the host would do if it were emptier: what makes it oversubscribed."""
        return self in _CAPACITY


_ONE_ROW = frozenset(
    {
        ReasonCode.CPU,
        ReasonCode.MEMORY,
        ReasonCode.AGGREGATED_CPU,
        ReasonCode.AGGREGATED_MEMORY,
        ReasonCode.AGGREGATED_STORAGE,
    }
)
_CAPACITY = _ONE_ROW | {ReasonCode.STORAGE}
_PASSING = _CAPACITY | {
    ReasonCode.REFUSED,
    ReasonCode.HOST_STATE,
    ReasonCode.UNREACHABLE,
    ReasonCode.EXCLUDED,
    ReasonCode.LAYER,
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule that a host failed.

    For capacity, `wanted`, `spare` and `limit` are amounts (virtual CPUs, MiB, bytes); `spare`
    is negative where more is promised than allowed. Otherwise they are words or None. `rule`
    names the workload rule that set the limit, empty for the physical amount; `where` names
    the datastore or aggregated element, empty for the host itself.
    """

    lack: ReasonCode
    wanted: int | str | None = None
    spare: int | str | None = None
    limit: int | None = None
    rule: str = ""
    where: str = ""

    @property
    def shortfall(self) -> int | None:
        """How much is missing; None where the lack is not an amount."""
        if isinstance(self.wanted, int) and isinstance(self.spare, int):
            return self.wanted - self.spare
        return None

    @property
    def lasting(self) -> bool:
        """Whether waiting cannot help, as also when the demand exceeds the whole limit.

        STORAGE names the datastore with most room, and another may have the higher limit, so
        its limit proves nothing about the others.
        """
        if self.lack in _ONE_ROW and isinstance(self.wanted, int) and self.limit is not None:
            return self.wanted > self.limit
        return self.lack.lasting
