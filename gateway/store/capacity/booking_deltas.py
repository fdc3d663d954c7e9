"""How much a VM's bookings count in each ledger row: once in each element, however many there."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from gateway.store.capacity.ledger import Delta, Key
from gateway.store.db.pool import Connection

_OF_VMS = """
select b.vm_id, b.host_id, b.datastore_id, h.cluster_id, h.rack_id, h.datacenter_id, b.cpu,
  b.ram_mib, b.disk_bytes
from booking b join host h on h.id = b.host_id where b.vm_id = any($1)
order by b.vm_id, b.host_id
"""


class Booked(Struct, frozen=True):
    """A booking as it stands, and the elements that its host is in now."""

    vm_id: int
    host_id: int
    datastore_id: int
    cluster_id: int | None
    rack_id: int
    datacenter_id: int
    cpu: int
    ram_mib: int
    disk_bytes: int

    def elements(self) -> tuple[Key, ...]:
        """The keys of the aggregated elements that the host is in."""
        cluster: tuple[Key, ...] = (
            () if self.cluster_id is None else (("cluster", self.cluster_id),)
        )
        return (*cluster, ("rack", self.rack_id), ("datacenter", self.datacenter_id))


async def booked(c: Connection, vm_ids: Iterable[int]) -> list[Booked]:
    """All bookings of these VMs; a VM has two while it is being relocated."""
    wanted = list(vm_ids)
    rows = await c.fetch(_OF_VMS, wanted) if wanted else []
    return [Booked(*row.values()) for row in rows]


def added(new: Booked, others: Sequence[Booked]) -> tuple[Delta, ...]:
    """What the booking adds, row by row, to what the VM's `others` hold already.

    Also rows to which it adds nothing: they are locked and looked at all the same.
    """
    return (
        Delta("host", new.host_id, new.cpu, new.ram_mib),
        Delta("datastore", new.datastore_id, disk_bytes=new.disk_bytes),
        *(_element(key, new, others) for key in new.elements()),
    )


def taken(old: Booked, others: Sequence[Booked]) -> tuple[Delta, ...]:
    """What goes with the booking, row by row, while `others` stay."""
    return tuple(
        Delta(each.kind, each.id, -each.cpu, -each.ram_mib, -each.disk_bytes)
        for each in added(old, others)
    )


def _element(key: Key, one: Booked, others: Sequence[Booked]) -> Delta:
    held = [other for other in others if key in other.elements()]
    if not held:
        return Delta(*key, one.cpu, one.ram_mib)
    return Delta(
        *key,
        max(0, one.cpu - max(each.cpu for each in held)),
        max(0, one.ram_mib - max(each.ram_mib for each in held)),
    )
