"""The changes that advice may name: each is one edit that somebody can make, as plain values."""

from uuid import UUID

from msgspec import Struct

from scheduler.decisions.near_misses import PARTS
from scheduler.model.demand import Demand, RelocationScope
from scheduler.model.limits import Level

LOAD_PERCENT_MAX = 10_000
"""Of CPU and RAM, as the API takes it."""
STORAGE_PERCENT_MAX = 100
Key = tuple[str, ...]
"""Which edit a change is, whatever its size."""


class AdviceStep(Struct, frozen=True):
    """A percentage before and after; equal where a new rule repeats what was in force."""

    before: int
    after: int


class RaiseRule(Struct, frozen=True, tag="RAISE_RULE", tag_field="kind"):
    """Raise percentages of a load rule; with a `rule` of None, add one for the element.

    `name` is the rule's, or that of the element that gets a new one. A percentage of None stays.
    """

    rule: int | None
    level: Level
    element: int
    name: str
    cpu: AdviceStep | None = None
    ram: AdviceStep | None = None
    storage: AdviceStep | None = None
    aggregated: bool = False


class AddCapacity(Struct, frozen=True, tag="ADD_CAPACITY", tag_field="kind"):
    """Free so much of a host, datastore or aggregated element (`place`), or add it.

    Virtual CPUs, MiB and bytes, as the rules in force count them.
    """

    place: str
    id: int
    name: str
    cpu: int = 0
    ram_mib: int = 0
    disk_bytes: int = 0


class ManageHost(Struct, frozen=True, tag="MANAGE_HOST", tag_field="kind"):
    """Put a host back to MANAGED."""

    host: int
    name: str
    state: str


class ReconnectHost(Struct, frozen=True, tag="RECONNECT_HOST", tag_field="kind"):
    """Make a host reachable again."""

    host: int
    name: str


class MapNetwork(Struct, frozen=True, tag="MAP_NETWORK", tag_field="kind"):
    """Map a network's tag on a host."""

    host: int
    name: str
    network: str


class AttachDatastore(Struct, frozen=True, tag="ATTACH_DATASTORE", tag_field="kind"):
    """Let a host see a shared datastore."""

    host: int
    name: str
    datastore: int
    datastore_name: str


class EnableDatastore(Struct, frozen=True, tag="ENABLE_DATASTORE", tag_field="kind"):
    """Let a datastore take disks again."""

    datastore: int
    name: str


class OpenTier(Struct, frozen=True, tag="OPEN_TIER", tag_field="kind"):
    """Enable a tier, and let the enterprise use it where only others may."""

    tier: int
    name: str
    enterprise: int | None


class MoveVm(Struct, frozen=True, tag="MOVE_VM", tag_field="kind"):
    """Relocate one VM; the scheduler chose where to, by the same rules."""

    vm: UUID
    name: str
    host: int
    host_name: str
    to_host: int
    to_host_name: str
    to_datastore: int
    cpu: int
    ram_mib: int
    disk_bytes: int


class WaitHold(Struct, frozen=True, tag="WAIT_HOLD", tag_field="kind"):
    """Wait until these holds have ended, the last of them at `until` (RFC 3339)."""

    holds: tuple[UUID, ...]
    until: str


class ShrinkDemand(Struct, frozen=True, tag="SHRINK_DEMAND", tag_field="kind"):
    """Ask for no more than this; what is not too much stays as it is asked for."""

    cpu: int
    ram_mib: int
    disk_bytes: int


class LiftExclusion(Struct, frozen=True, tag="LIFT_EXCLUSION", tag_field="kind"):
    """Let two enterprises share hosts."""

    enterprise: int
    name: str
    other: int
    other_name: str


class LiftReservation(Struct, frozen=True, tag="LIFT_RESERVATION", tag_field="kind"):
    """Let every enterprise use a reserved host."""

    host: int
    name: str


class LiftRestriction(Struct, frozen=True, tag="LIFT_RESTRICTION", tag_field="kind"):
    """Let an enterprise use hosts that are not reserved to it."""

    enterprise: int
    name: str


class ReserveHost(Struct, frozen=True, tag="RESERVE_HOST", tag_field="kind"):
    """Reserve a host to the enterprise that uses no other."""

    host: int
    name: str
    enterprise: int
    enterprise_name: str


class LeaveLayer(Struct, frozen=True, tag="LEAVE_LAYER", tag_field="kind"):
    """Take the VM out of its layer."""

    layer: int


class LeaveTier(Struct, frozen=True, tag="LEAVE_TIER", tag_field="kind"):
    """Let the VM's disks go to datastores outside the tier asked for."""

    tier: int


class AllowReach(Struct, frozen=True, tag="ALLOW_REACH", tag_field="kind"):
    """Let relocations go further."""

    reach: RelocationScope


class AllowHost(Struct, frozen=True, tag="ALLOW_HOST", tag_field="kind"):
    """Ask for this host too."""

    host: int
    name: str


Change = (
    RaiseRule
    | AddCapacity
    | ManageHost
    | ReconnectHost
    | MapNetwork
    | AttachDatastore
    | EnableDatastore
    | OpenTier
    | MoveVm
    | WaitHold
    | ShrinkDemand
    | LiftExclusion
    | LiftReservation
    | LiftRestriction
    | ReserveHost
    | LeaveLayer
    | LeaveTier
    | AllowReach
    | AllowHost
)

_BURDENS: dict[type[Change], int] = {
    WaitHold: 0,
    AllowHost: 1,
    AllowReach: 1,
    RaiseRule: 2,
    ManageHost: 3,
    EnableDatastore: 3,
    OpenTier: 3,
    MoveVm: 4,
    ShrinkDemand: 5,
    LeaveTier: 5,
    LeaveLayer: 6,
    ReserveHost: 6,
    LiftRestriction: 6,
    LiftReservation: 6,
    LiftExclusion: 6,
    ReconnectHost: 7,
    MapNetwork: 7,
    AttachDatastore: 7,
    AddCapacity: 8,
}
"""How much it takes: waiting first, hardware last."""


class Advice(Struct, frozen=True):
    """Changes that together make the demand fit, and where it was placed when they were tried."""

    changes: tuple[Change, ...]
    host: int
    datastore: int


def burden(change: Change) -> int:
    """How much a change takes of whoever makes it; 0 is least."""
    return _BURDENS[type(change)]


def key(change: Change) -> Key:
    """Equal for two changes that are the same edit in different sizes."""
    match change:
        case RaiseRule():
            return (*_kind(change), str(change.rule), change.level, str(change.element))
        case AddCapacity():
            return (*_kind(change), change.place, str(change.id))
        case WaitHold() | ShrinkDemand():
            return _kind(change)
        case _:
            return (*_kind(change), repr(change))


def sizes(change: Change) -> tuple[int, ...]:
    """How large the edit is, each amount apart; of two with one key the lower ones are less."""
    match change:
        case RaiseRule():
            steps = (change.cpu, change.ram, change.storage)
            return tuple(0 if each is None else each.after for each in steps)
        case AddCapacity():
            return (change.cpu, change.ram_mib, change.disk_bytes)
        case ShrinkDemand():
            return (-change.cpu, -change.ram_mib, -change.disk_bytes)
        case _:
            return ()


def relative(change: Change, demand: Demand) -> int:
    """How large the edit is, in parts: of the percentage in force, or of what is wanted."""
    match change:
        case RaiseRule():
            steps = [each for each in (change.cpu, change.ram, change.storage) if each is not None]
            return sum((each.after - each.before) * PARTS // max(each.before, 1) for each in steps)
        case ShrinkDemand():
            wanted = (demand.cpu, demand.ram_mib, demand.disk_bytes)
            left = (change.cpu, change.ram_mib, change.disk_bytes)
            return sum(_part(w - part, w) for w, part in zip(wanted, left, strict=True))
        case AddCapacity() | MoveVm():
            amounts = ((change.cpu, demand.cpu), (change.ram_mib, demand.ram_mib))
            disk = _part(change.disk_bytes, demand.disk_bytes)
            return disk + sum(_part(amount, wanted) for amount, wanted in amounts)
        case _:
            return 0


def _part(amount: int, wanted: int) -> int:
    return amount * PARTS // max(wanted, 1)


def _kind(change: Change) -> Key:
    return (type(change).__name__,)
