"""Bookings hold capacity for a VM; what they hold is in the ledger at every moment, exactly.

`gateway.store.capacity.claims` makes them. The enterprises and layers of a host are always those of
the VMs that are booked there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.store.capacity import booking_deltas, ledger, tenant_conflicts
from gateway.store.capacity.booking_deltas import Booked
from gateway.store.capacity.claims import lacking
from gateway.store.capacity.ledger import Delta, Key, Row
from gateway.store.db.pool import Connection
from gateway.store.rules import rule_set
from scheduler.model.values import replace


async def of_vm(c: Connection, vm_id: int) -> list[Booked]:
    """All bookings of a VM; two while it is being relocated."""
    return await booking_deltas.booked(c, [vm_id])


async def release(c: Connection, booked: Booked, *, lives_on: Booked | None = None) -> None:
    """Give a booking back; `lives_on` is the VM's other booking, which keeps what both share.

    On one datastore the disk is one: the larger of both bookings of it stays.
    """
    await rule_set.lock_shared(c)
    # A host may have changed its cluster since the caller looked; under the rule set it cannot.
    present = {one.host_id: one for one in await of_vm(c, booked.vm_id)}
    old = present[booked.host_id]
    stays = None if lives_on is None else present[lives_on.host_id]
    passes = stays is not None and stays.datastore_id == old.datastore_id
    kept = min(old.disk_bytes, stays.disk_bytes) if stays is not None and passes else 0
    deltas = [
        replace(one, disk_bytes=-kept) if passes and one.kind == "datastore" else one
        for one in booking_deltas.taken(old, [] if stays is None else [stays])
    ]
    rows = await ledger.lock_rows(c, {(d.kind, d.id) for d in deltas})
    await c.execute("delete from booking where vm_id = $1 and host_id = $2", old.vm_id, old.host_id)
    if stays is not None and passes:
        await c.execute(
            """update booking set disk_bytes = greatest(disk_bytes, $3)
               where vm_id = $1 and host_id = $2""",
            old.vm_id,
            stays.host_id,
            old.disk_bytes,
        )
    left = {old.host_id: {old.vm_id: None}}
    await ledger.add(c, rows, deltas, await tenant_conflicts.dwellers(c, [old.host_id]), left)


async def release_all(c: Connection, vm_id: int) -> None:
    """Give back all that a VM holds."""
    await rule_set.lock_shared(c)
    held = await of_vm(c, vm_id)
    # All rows at once and in order: one release after the other could meet a claim in a circle.
    await ledger.lock_rows(
        c, {(d.kind, d.id) for old in held for d in booking_deltas.added(old, [])}
    )
    while held:
        old = held.pop()
        await release(c, old, lives_on=held[-1] if held else None)


async def resize(c: Connection, booked: Booked, cpu: int, ram_mib: int) -> tuple[Row, ...]:
    """Change a booking's size; the rows without room for it, and nothing done, when there are."""
    await rule_set.lock_shared(c)
    (old,) = [one for one in await of_vm(c, booked.vm_id) if one.host_id == booked.host_id]
    more_cpu, more_ram = cpu - old.cpu, ram_mib - old.ram_mib
    keys = [("host", old.host_id), *old.elements()]
    deltas = [Delta(*key, more_cpu, more_ram) for key in keys]
    rows = await ledger.lock_rows(c, keys)
    full = lacking(deltas, rows, {})
    if full:
        return full
    await c.execute(
        "update booking set cpu = $3, ram_mib = $4 where vm_id = $1 and host_id = $2",
        old.vm_id,
        old.host_id,
        cpu,
        ram_mib,
    )
    held = {old.host_id: {old.vm_id: (cpu, ram_mib, old.disk_bytes)}}
    await ledger.add(c, rows, deltas, told_of=held)
    return ()


async def join_layer(c: Connection, vm_id: int, layer_id: int | None) -> int | None:
    """Put a VM into a layer, or with None into none; the host where it clashes, nothing done.

    It clashes where a host that the VM is booked on has another VM of the layer. The caller has
    locked the VM's row, before anything of the ledger, and seen that no task holds it; who
    moves several VMs calls `hold_places` for all of them first.
    """
    rows = await hold_places(c, [vm_id])
    hosts = [host for _, host in rows]
    if layer_id is not None:
        clash = await tenant_conflicts.in_layer(c, vm_id, layer_id, hosts)
        if clash is not None:
            return clash
    await c.execute("update vm set layer_id = $2 where id = $1", vm_id, layer_id)
    await ledger.add(c, rows, [], await tenant_conflicts.dwellers(c, hosts))
    return None


async def hold_places(c: Connection, vm_ids: Sequence[int]) -> dict[Key, Row]:
    """Lock VMs, then the ledger rows of the hosts they are booked on, in the order of claims."""
    await tenant_conflicts.lock_vms(c, vm_ids)
    await rule_set.lock_shared(c)
    hosts = {one.host_id for one in await booking_deltas.booked(c, vm_ids)}
    return await ledger.lock_rows(c, [("host", host) for host in hosts])


@dataclass(frozen=True, slots=True)
class BookedHost:
    """A host that a VM is booked on, and the driver that reaches it."""

    host_id: int
    host: str
    hypervisor: str


async def hosts_of(c: Connection, vm_id: int) -> list[BookedHost]:
    """The hosts that a VM is booked on."""
    rows = await c.fetch(
        """select h.id, h.name, h.hypervisor from booking b join host h on h.id = b.host_id
           where b.vm_id = $1 order by h.id""",
        vm_id,
    )
    return [BookedHost(*row.values()) for row in rows]
