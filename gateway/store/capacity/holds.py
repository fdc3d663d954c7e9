"""Holds book capacity ahead of its VMs: all of it or none, and never past their end.

What is held counts in the ledger like any booking. A hold whose time is over gives nothing away
any more, by the database's clock, whether or not anybody has swept it yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from gateway.store.capacity import booking_deltas, decisions, ledger, tenant_conflicts
from gateway.store.capacity import hold_slots as seats
from gateway.store.capacity.booking_deltas import Booked
from gateway.store.capacity.claims import Conflict, Granted, fits
from gateway.store.capacity.decisions import NewDecision
from gateway.store.capacity.ledger import Dwellers, Key, Row
from gateway.store.capacity.tenant_conflicts import HostTenants, TenantVm
from gateway.store.db.pool import Connection
from gateway.store.rules import rule_set

SWEPT_MAX = 32
"""Holds that one transaction of a sweeper ends."""
_NOBODY = 0  # as an enterprise: none has this id
_SELECT = """
select h.id, h.name, h.enterprise_id, e.name, h.datacenter_id, h.user_id, h.created_at,
  h.expires_at, h.expires_at <= clock_timestamp()
from hold h left join enterprise e on e.id = h.enterprise_id
"""
_PLACES = """
select s.hold_id, s.id, s.host_id, x.name, x.rack_id, x.datacenter_id, s.datastore_id, d.name,
  s.type, s.network, s.tier_id, s.layer_id, s.cpu, s.ram_mib, s.disk_bytes, s.vm_id,
  s.decision_id
from hold_booking s join host x on x.id = s.host_id join datastore d on d.id = s.datastore_id
where s.hold_id = any($1) order by s.id
"""


@dataclass(frozen=True, slots=True)
class NewSeat:
    """One place to hold, as decided; `characters` are the ledger rows that its choice rests on."""

    booked: Booked
    type: str
    network: str | None
    tier: int | None
    layer: int | None
    characters: tuple[tuple[str, int, int], ...]
    decision: NewDecision


@dataclass(frozen=True, slots=True)
class NewHold:
    """A hold to make, chosen under the rules of that version."""

    id: UUID
    name: str
    enterprise: int | None
    datacenter: int
    user: int
    ttl_s: float
    seats: tuple[NewSeat, ...]
    rules: int


@dataclass(frozen=True, slots=True)
class HeldPlace:
    """A place of a hold, and the VM that took it over, if one did."""

    hold: UUID
    id: int
    host_id: int
    host: str
    rack_id: int
    datacenter_id: int
    datastore_id: int
    datastore: str
    type: str
    network: str | None
    tier_id: int | None
    layer_id: int | None
    cpu: int
    ram_mib: int
    disk_bytes: int
    vm_id: int | None
    decision_id: UUID | None


@dataclass(frozen=True, slots=True)
class StoredHold:
    """A hold as it stands."""

    id: UUID
    name: str
    enterprise_id: int | None
    enterprise: str | None
    datacenter_id: int
    user_id: int
    created_at: datetime
    expires_at: datetime
    expired: bool
    places: tuple[HeldPlace, ...] = ()


async def create(c: Connection, new: NewHold) -> Granted | Conflict:
    """Book all seats and write the hold; a conflict, with nothing kept, when one has no room."""
    version = await rule_set.lock_shared(c)
    wanted = [booking_deltas.added(seat.booked, []) for seat in new.seats]
    rows = await ledger.lock_rows(c, {(d.kind, d.id) for deltas in wanted for d in deltas})
    guests = [await _guest(c, new.enterprise, seat.layer) for seat in new.seats]
    neighbours = await tenant_conflicts.neighbours(c, rows, guests)
    taken: dict[Key, list[int]] = {key: [0, 0, 0] for key in rows}
    for seat, guest, deltas in zip(new.seats, guests, wanted, strict=True):
        stale = new.rules != version or _characters(seat) != _present(rows, seat)
        clash = neighbours.clash(guest, seat.booked.host_id)
        if stale or clash or not fits(deltas, rows, taken):
            return Conflict(tuple(rows.values()), version)
        neighbours.move_in(guest, seat.booked.host_id)
        for delta in deltas:
            cell = taken.setdefault((delta.kind, delta.id), [0, 0, 0])
            for n, amount in enumerate((delta.cpu, delta.ram_mib, delta.disk_bytes)):
                cell[n] += amount
    added = [d for deltas in wanted for d in deltas]
    counted = await ledger.add(c, rows, added, _moved_in(neighbours))
    await _insert(c, new)
    return Granted({key: row.generation for key, row in counted.items()})


async def _guest(c: Connection, enterprise: int | None, layer: int | None) -> TenantVm:
    restricted = enterprise is not None and await c.fetchval(
        "select reservation_restricted from enterprise where id = $1", enterprise
    )
    return TenantVm(0, enterprise or _NOBODY, layer, bool(restricted))


def _characters(seat: NewSeat) -> dict[Key, int]:
    return {(kind, id_): character for kind, id_, character in seat.characters}


def _present(rows: dict[Key, Row], seat: NewSeat) -> dict[Key, int]:
    keys = {(d.kind, d.id) for d in booking_deltas.added(seat.booked, [])}
    return {key: row.character for key, row in rows.items() if key in keys}


def _moved_in(neighbours: HostTenants) -> dict[int, Dwellers]:
    return {
        host: Dwellers(there.enterprises - {_NOBODY}, there.layers)
        for host, there in neighbours.moved_in.items()
    }


async def _insert(c: Connection, new: NewHold) -> None:
    await c.execute(
        """insert into hold (id, name, enterprise_id, datacenter_id, user_id, expires_at)
           values ($1, $2, $3, $4, $5, clock_timestamp() + make_interval(secs => $6))""",
        new.id,
        new.name,
        new.enterprise,
        new.datacenter,
        new.user,
        new.ttl_s,
    )
    await c.executemany(
        """insert into hold_booking (hold_id, host_id, datastore_id, type, network, tier_id,
             layer_id, cpu, ram_mib, disk_bytes, decision_id)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)""",
        [
            (
                new.id,
                seat.booked.host_id,
                seat.booked.datastore_id,
                seat.type,
                seat.network,
                seat.tier,
                seat.layer,
                seat.booked.cpu,
                seat.booked.ram_mib,
                seat.booked.disk_bytes,
                seat.decision.id,
            )
            for seat in new.seats
        ],
    )
    await decisions.put_many(c, [seat.decision for seat in new.seats])


async def get(c: Connection, hold: UUID) -> StoredHold | None:
    """The hold with this id, also while it waits to be swept."""
    found = await _with_places(c, await c.fetch(_SELECT + "where h.id = $1", hold))
    return found[0] if found else None


async def all_of(c: Connection) -> list[StoredHold]:
    """Every hold, the next to end first."""
    return await _with_places(c, await c.fetch(_SELECT + "order by h.expires_at, h.id"))


async def _with_places(c: Connection, rows: Sequence[Any]) -> list[StoredHold]:
    found = [list(row) for row in rows]
    places = [HeldPlace(*row) for row in await c.fetch(_PLACES, [row[0] for row in found])]
    return [
        replace(StoredHold(*row), places=tuple(place for place in places if place.hold == row[0]))
        for row in found
    ]


async def tier_known(c: Connection, tier: int | None, datacenter: int) -> bool:
    """Whether the datacenter has the tier; None is any, and always known."""
    found = await c.fetchval(
        "select true from tier where id = $1 and datacenter_id = $2", tier, datacenter
    )
    return tier is None or bool(found)


async def layer(c: Connection, appliance: int, name: str, enterprise: int | None) -> int | None:
    """The layer of that name, if the appliance is the enterprise's."""
    found: int | None = await c.fetchval(
        """select l.id from layer l join virtualappliance a on a.id = l.virtualappliance_id
           where a.id = $1 and l.name = $2 and a.enterprise_id = $3""",
        appliance,
        name,
        enterprise,
    )
    return found


async def renew(c: Connection, hold: UUID, ttl_s: float) -> bool:
    """Have it end `ttl_s` seconds from now; False when it has ended or there is none."""
    done = await c.fetchval(
        """update hold set expires_at = clock_timestamp() + make_interval(secs => $2)
           where id = $1 and expires_at > clock_timestamp() returning true""",
        hold,
        ttl_s,
    )
    return bool(done)


async def release(c: Connection, hold: UUID) -> StoredHold | None:
    """End it now and give back what no VM took; what it was, or None when there is none."""
    if await c.fetchval("select id from hold where id = $1 for update", hold) is None:
        return None
    was = await get(c, hold)
    await _end(c, [hold])
    return was


async def sweep(c: Connection) -> list[StoredHold]:
    """End holds whose time is over, those that no other sweeper has at hand; what they were."""
    rows = await c.fetch(
        """select id from hold where expires_at <= clock_timestamp()
           order by expires_at limit $1 for update skip locked""",
        SWEPT_MAX,
    )
    ids = [row["id"] for row in rows]
    if not ids:
        return []
    were = await _with_places(c, await c.fetch(_SELECT + "where h.id = any($1)", ids))
    await _end(c, ids)
    return were


async def _end(c: Connection, ids: Sequence[UUID]) -> None:
    """Delete locked holds; their seats leave the ledger in the same transaction."""
    await seats.lock_of_holds(c, ids)
    await rule_set.lock_shared(c)
    ending = await seats.of_holds(c, ids)
    deltas = [delta for seat in ending for delta in booking_deltas.taken(seat.booked, [])]
    rows = await ledger.lock_rows(c, {(d.kind, d.id) for d in deltas})
    await c.execute("delete from hold where id = any($1)", ids)
    hosts = sorted({seat.booked.host_id for seat in ending})
    await ledger.add(c, rows, deltas, await tenant_conflicts.dwellers(c, hosts))
