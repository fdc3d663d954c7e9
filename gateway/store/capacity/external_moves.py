"""A VM that somebody else moved is booked where it was seen; the old host's room comes free.

It is a fact and no wish: it is booked also where that is more than the limits allow, which is told.
Locks come in the order of all who book: VMs, the rule set, the ledger.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from gateway.store.capacity import booking_deltas, ledger, over_limit, tenant_conflicts
from gateway.store.capacity.booking_deltas import Booked
from gateway.store.db.pool import Connection
from gateway.store.observations import RecordedVm
from gateway.store.rules import rule_set
from scheduler.model.values import replace

_GROUND = """
select h.id, h.name, h.rack_id, h.datacenter_id, h.cluster_id,
  coalesce((select jsonb_object_agg(d.pool, d.id) from host_datastore m
            join datastore d on d.id = m.datastore_id where m.host_id = h.id), '{}') pools
from host h where h.hypervisor = $1 and h.name = any($2)
"""
_BOOKED = """
select v.id, d.id datastore_id, d.pool, d.shared, v.volume, v.decision_id
from vm v join booking b on b.vm_id = v.id and b.host_id = v.host_id
join datastore d on d.id = b.datastore_id
where v.id = any($1) and (select count(*) from booking o where o.vm_id = v.id) = 1
"""


@dataclass(frozen=True, slots=True)
class VmPlace:
    """Where a VM was seen, as the hypervisor names things: its host, the datastores that its disks
    are said to be on (empty: not said), the names of its disks."""

    host: str
    datastores: tuple[str, ...]
    volumes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExternalMove:
    """A VM, by its number, from one host to another by theirs; `datastore` is where its disk is
    now, `decision` the one that placed it where it was. Of a moved disk both hosts are the same."""

    vm_id: int
    source: int
    target: int
    datastore: int
    decision: UUID | None


async def moves(
    c: Connection, hypervisor: str, seen: Sequence[tuple[RecordedVm, VmPlace]]
) -> dict[int, ExternalMove]:
    """By VM, those that can be booked where they were seen: on a host we know, their disk on a
    datastore of it. The caller has locked the VMs."""
    rows = await c.fetch(_GROUND, hypervisor, sorted({place.host for _, place in seen}))
    grounds = {row["name"]: row for row in rows}
    booked = {row["id"]: row for row in await c.fetch(_BOOKED, [vm.id for vm, _ in seen])}
    found = {}
    for vm, place in seen:
        ground, old = grounds.get(place.host), booked.get(vm.id)
        datastore = None if ground is None or old is None else _disk_at(old, place, ground["pools"])
        if ground is not None and old is not None and datastore is not None:
            found[vm.id] = ExternalMove(
                vm.id, vm.host_id, ground["id"], datastore, old["decision_id"]
            )
    return found


def _disk_at(old: Any, place: VmPlace, pools: Mapping[str, int]) -> int | None:
    """The datastore of the VM's disk; None where nobody said, or it is none of the host's."""
    ours: int = old["datastore_id"]
    at_hand = pools.get(old["pool"]) == ours
    if place.datastores:
        if old["pool"] in place.datastores and at_hand:
            return ours
        known = [pools[name] for name in place.datastores if name in pools]
        return known[0] if len(known) == 1 else None
    stays = old["shared"] and at_hand and old["volume"] in place.volumes
    return ours if stays else None


async def record(c: Connection, move: ExternalMove) -> None:
    """The VM's record names its new place, to which no decision of ours led."""
    await c.execute(
        "update vm set host_id = $2, datastore_id = $3, decision_id = null where id = $1",
        move.vm_id,
        move.target,
        move.datastore,
    )


async def rebook(c: Connection, made: Sequence[ExternalMove]) -> None:
    """Move the bookings of VMs whose rows the caller has locked and whose record it has written,
    and tell what is over its limit by that."""
    # For update, as an observer that finds other facts too wants it so, and two who both hold it
    # for share could not both get there.
    await rule_set.lock_exclusive(c)
    held = {one.vm_id: one for one in await booking_deltas.booked(c, [move.vm_id for move in made])}
    hosts = sorted({host for move in made for host in (move.source, move.target)})
    elements = {row["id"]: row for row in await c.fetch(_ELEMENTS, hosts)}
    deltas = []
    for move in made:
        old = held[move.vm_id]
        new = _there(old, move, elements[move.target])
        deltas += [*booking_deltas.added(new, [old]), *booking_deltas.taken(old, [new])]
    rows = await ledger.lock_rows(c, {(d.kind, d.id) for d in deltas})
    datastores = sorted({d.id for d in deltas if d.kind == "datastore"})
    before = await over_limit.find(c, hosts, datastores)
    await c.executemany(
        """update booking set host_id = $3, datastore_id = $4
           where vm_id = $1 and host_id = $2""",
        [(move.vm_id, move.source, move.target, move.datastore) for move in made],
    )
    left: dict[int, dict[int, Sequence[int] | None]] = {}
    for move in made:
        if move.source != move.target:
            left.setdefault(move.source, {})[move.vm_id] = None
    await ledger.add(c, rows, deltas, await tenant_conflicts.dwellers(c, hosts), left)
    await over_limit.tell(c, before, await over_limit.find(c, hosts, datastores))


_ELEMENTS = "select id, rack_id, datacenter_id, cluster_id from host where id = any($1)"


def _there(old: Booked, move: ExternalMove, at: Any) -> Booked:
    return replace(
        old,
        host_id=move.target,
        datastore_id=move.datastore,
        cluster_id=at["cluster_id"],
        rack_id=at["rack_id"],
        datacenter_id=at["datacenter_id"],
    )
