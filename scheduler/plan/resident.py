"""A resident is a VM where it lives now, and whether a plan may touch it."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from scheduler.fleet.fleet import Fleet
from scheduler.model.demand import Demand, Origin, RelocationScope
from scheduler.model.values import replace

PROTECTED = "PROTECTED"
RESTING = "RESTING"
UNKNOWN = "UNKNOWN"
LOCKED = "LOCKED"
STATE = "STATE"
PINNED = "PINNED"
UNSUPPORTED = "UNSUPPORTED"
STILL: Mapping[str, str] = {
    PROTECTED: "The virtual machine is protected.",
    RESTING: "The virtual machine was moved a short while ago.",
    UNKNOWN: "The state of the virtual machine is unknown: no hypervisor reports it.",
    LOCKED: "A task holds the virtual machine.",
    STATE: "The virtual machine is in a state that allows no relocation.",
    PINNED: "The request leaves this virtual machine where it is.",
    UNSUPPORTED: "The hypervisor cannot relocate virtual machines.",
    "UNREACHABLE": "The host does not answer.",
}
"""The reasons that keep a VM where it is before any other host is considered, as sentences."""
FIXED = "FIXED"
"""Its host has something against moving it as it is, and says what."""


@dataclass(frozen=True, slots=True)
class MovableVm:
    """A VM on a host: `demand` is what it holds there, as for a deployment (no origin).

    `protected` says that its owner forbids moves; `pinned` is another reason of `STILL` that keeps
    it there, empty when there is none; `live` that it runs, so that its memory has to be copied;
    `fixed` what its host has against moving it as it is, empty when it has nothing.
    """

    demand: Demand
    host: int
    datastore: int
    protected: bool = False
    pinned: str = ""
    live: bool = True
    fixed: str = ""

    @property
    def vm(self) -> UUID:
        """The VM."""
        return self.demand.vm

    @property
    def still(self) -> str | None:
        """Why no plan may move it; None when one may."""
        if self.protected:
            return PROTECTED
        return self.pinned or (FIXED if self.fixed else None)


@dataclass(frozen=True, slots=True)
class Terms:
    """What the operator allows a plan.

    At most `moves_max_percent` of the VMs move. `saved_min` hosts must become empty or nothing
    moves. `gain_min_percent` is the hysteresis of evening out: a move that lowers the load of
    the fuller host by less is not worth it. Hosts `left_out` are balanced by somebody else:
    evening out and consolidating move nothing from them and nothing to them.
    """

    reach: RelocationScope = RelocationScope.RACK
    moves_max_percent: int = 10
    saved_min: int = 1
    gain_min_percent: int = 5
    left_out: frozenset[int] = frozenset()


def relocation(
    resident: MovableVm, fleet: Fleet, reach: RelocationScope, only: frozenset[int] | None = None
) -> Demand:
    """What the resident asks of another host; LookupError when its own is not known."""
    host = fleet.host(resident.host)
    if host is None:
        raise LookupError(f"no host {resident.host}")
    datastore = fleet.datastore(resident.datastore)
    shared = datastore is not None and datastore.shared
    at = (host.id, host.rack, host.hypervisor, resident.datastore, shared, reach, host.cluster)
    origin = Origin(*at)
    return replace(resident.demand, origin=origin, only=only)
