"""Finding a hold: by its id, and whether it is there for a VM."""

from uuid import UUID

from gateway.api.access import conflict
from gateway.denial import ApiError, ErrorKind
from gateway.store import vm_record
from gateway.store.capacity import hold_slots, holds
from gateway.store.capacity.holds import StoredHold
from gateway.store.db.pool import Connection
from gateway.store.vms import Vm
from gateway.tasks.operations.reserve_from_hold import wanted_of


async def find_hold(c: Connection, given: str | UUID, *, field: str | None = None) -> StoredHold:
    """The hold; ApiError HOLD-0 for none, and for one that has ended."""
    try:
        found = await holds.get(c, given if isinstance(given, UUID) else UUID(given))
    except ValueError:
        found = None
    if found is None or found.expired:
        raise ApiError(
            ErrorKind.ABSENT, "HOLD-0", "The hold does not exist or has ended", field=field
        )
    return found


async def require_hold(c: Connection, hold: UUID | None, vm: Vm) -> None:
    """ApiError HOLD-0 or HOLD-2 unless the hold, if one is named, has a place the VM's size."""
    if hold is None:
        return
    await find_hold(c, hold, field="hold")
    record = await vm_record.load(c, vm.id)
    if not await hold_slots.fitting(c, wanted_of(record, str(hold))):
        raise conflict(
            "HOLD-2", "The hold has no free place that is big enough and for this VM", "hold"
        )
