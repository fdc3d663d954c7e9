"""A VM that a task finds on another host than the record has is booked there, and nowhere else.

As with `gateway.store.capacity.external_moves` it is a fact and no wish, so it is booked over the
limits too. A booking that the task made for that host becomes the VM's; other ones come free.
"""

from gateway.lifecycle import VmState
from gateway.store import vm_record
from gateway.store.capacity import booking_deltas, bookings, external_moves, tenant_conflicts
from gateway.store.capacity.external_moves import VmPlace
from gateway.store.db.pool import Connection
from gateway.store.observations import RecordedVm
from gateway.store.rules import rule_set
from gateway.store.vm_record import VmRecord


async def adopt(c: Connection, vm: VmRecord, place: VmPlace, volume: str) -> bool:
    """Book the VM at `place`, its disk called `volume`; False, and only its home stays booked,
    where that is no host of ours or has not its disk. The caller holds the VM's task."""
    await tenant_conflicts.lock_vms(c, [vm.id])
    await rule_set.lock_exclusive(c)
    held = {one.host_id: one for one in await booking_deltas.booked(c, [vm.id])}
    host_id = await c.fetchval(
        "select id from host where hypervisor = $1 and name = $2", vm.hypervisor, place.host
    )
    if vm.host_id is None or vm.host_id not in held:
        return False
    stays = held.get(host_id)
    if stays is not None:
        for other in held.values():
            if other.host_id != host_id:
                await bookings.release(c, other, lives_on=stays)
        if host_id != vm.host_id:
            await vm_record.record_place(c, vm.id, host_id, stays.datastore_id, volume)
            await vm_record.record_decision(c, vm.id, None)
        return True
    for other in held.values():
        if other.host_id != vm.host_id:
            await bookings.release(c, other, lives_on=held[vm.host_id])
    found = await _foreseen(c, vm, place)
    if found is None:
        return False
    await external_moves.record(c, found)
    await external_moves.rebook(c, [found])
    return True


async def _foreseen(
    c: Connection, vm: VmRecord, place: VmPlace
) -> external_moves.ExternalMove | None:
    """The move to a host that is none of those it is booked on."""
    assert vm.host_id is not None
    believed = RecordedVm(
        id=vm.id,
        uuid=vm.uuid,
        name=vm.name,
        enterprise_id=vm.enterprise_id,
        host=vm.host or "",
        state=vm.state,
        known_state=VmState(vm.known_state),
        version=vm.version,
        deallocated=False,
        host_id=vm.host_id,
        last_task=0,
    )
    return (await external_moves.moves(c, vm.hypervisor or "", [(believed, place)])).get(vm.id)
