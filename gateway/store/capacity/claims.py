"""Claims are granted on locked ledger rows, many at a time, each as if it came alone in turn."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from msgspec import Struct

from gateway.store.capacity import booking_deltas, claim_locks, grant_rows, hold_slots, ledger
from gateway.store.capacity.booking_deltas import Booked
from gateway.store.capacity.decisions import NewDecision
from gateway.store.capacity.grant_rows import Grant
from gateway.store.capacity.hold_slots import HoldSlot
from gateway.store.capacity.ledger import CountedUse, Delta, Key, Row
from gateway.store.capacity.tenant_conflicts import TenantVm
from gateway.store.db.pool import Connection
from gateway.store.feed.outbox import OutboxChange, Topic
from gateway.store.rules import rule_set


class Claim(Struct, frozen=True):
    """A wish to book `cpu` vCPUs, `ram_mib` and `disk_bytes` for a VM at one place.

    `characters` are the ledger rows the decision rests on, as (kind, id, character), and `rules`
    the version of the rule set. `moving` books the second place of a VM. `detail` is
    journalled with the grant under `step`; `event` goes to the feed and `decision` on record
    with it. `seat` is the place of a hold that the booking takes over.
    """

    task: UUID
    epoch: int
    step: str
    vm_id: int
    host_id: int
    rack_id: int
    datacenter_id: int
    datastore_id: int
    cpu: int
    ram_mib: int
    disk_bytes: int
    characters: tuple[tuple[str, int, int], ...]
    detail: dict[str, Any]
    event: dict[str, Any]
    moving: bool = False
    cluster_id: int | None = None
    rules: int = 0
    decision: NewDecision | None = None
    seat: int | None = None

    def booking(self) -> Booked:
        """What is there once it is granted."""
        return Booked(
            self.vm_id,
            self.host_id,
            self.datastore_id,
            self.cluster_id,
            self.rack_id,
            self.datacenter_id,
            self.cpu,
            self.ram_mib,
            self.disk_bytes,
        )

    def grant(self) -> Grant:
        """What is written of it."""
        return Grant(
            self.task,
            self.epoch,
            self.step,
            self.detail,
            self.vm_id,
            self.host_id,
            self.datastore_id,
            self.cpu,
            self.ram_mib,
            self.disk_bytes,
            self.moving,
            None if self.decision is None else self.decision.id,
        )

    def told(self) -> OutboxChange:
        """Its event, as it goes to the feed."""
        return OutboxChange(Topic.EVENT, "VIRTUAL_MACHINE", self.vm_id, self.event)


@dataclass(frozen=True, slots=True)
class Granted:
    """The booking stands, once the transaction commits.

    The rows that were written count it from these `generations` on.
    """

    generations: Mapping[Key, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Conflict:
    """The decision was stale.

    `rows` are the ledger rows it touched as they are once the transaction commits, `rules` the
    present version of the rule set.
    """

    rows: tuple[Row, ...]
    rules: int = 0


@dataclass(frozen=True, slots=True)
class Fenced:
    """The task is no longer held under the claim's epoch, or its VM is gone."""


Answer = Granted | Conflict | Fenced


async def claim(
    c: Connection, claims: Sequence[Claim], writing: Callable[[], None] = lambda: None
) -> list[Answer]:
    """Test claims in order on locked rows and book those that fit, all in one transaction.

    `writing` is called when all is decided and the store is about to be busy with it.
    """
    guests = await claim_locks.guests(
        c, [one.task for one in claims], [one.vm_id for one in claims]
    )
    held = await hold_slots.lock(c, (one.seat for one in claims if one.seat is not None))
    others = await _others(c, [one.vm_id for one in claims if one.moving])
    wanted = [_wanted(one, others, held) for one in claims]
    keys = {(d.kind, d.id) for deltas in wanted for d in deltas}
    version, rows, neighbours = await claim_locks.places(c, keys, guests.values())
    taken: dict[Key, list[int]] = {key: [0, 0, 0] for key in rows}
    granted: set[int] = set()
    fenced: set[int] = set()
    for n, (one, deltas) in enumerate(zip(claims, wanted, strict=True)):
        guest = guests.get(one.vm_id)
        if guest is None or guest.held_by != (one.task, one.epoch):
            fenced.add(n)
            continue
        vm = guest.vm
        fresh = one.rules == version and not _stale(one, deltas, rows)
        seen = vm if one.seat is None else _seated(vm, held.get(one.seat))
        if seen is None or not fresh or not fits(deltas, rows, taken):
            continue
        if not neighbours.clash(seen, one.host_id):
            held.pop(one.seat or 0, None)
            neighbours.move_in(vm, one.host_id)
            for delta in deltas:
                _take(delta, taken)
            granted.add(n)
    counted: Mapping[Key, Row] = {}
    if granted:
        added = [delta for n in granted for delta in wanted[n]]
        changes = ledger.count(rows, added, neighbours.moved_in)
        counted = {key: one.onto(rows[key]) for key, one in changes.items()}
        told = ledger.told(counted, changes)
        writing()
        await _write(c, [claims[n] for n in sorted(granted)], list(changes.values()), told)
        rows.update(counted)
    return [
        Granted(
            {key: counted[key].generation for d in deltas if (key := (d.kind, d.id)) in counted}
        )
        if n in granted
        else Fenced()
        if n in fenced
        else Conflict(tuple(rows[d.kind, d.id] for d in deltas if (d.kind, d.id) in rows), version)
        for n, deltas in enumerate(wanted)
    ]


def _wanted(
    one: Claim, others: Sequence[Booked], held: Mapping[int, HoldSlot]
) -> tuple[Delta, ...]:
    """What the grant changes, row by row; a seat's room comes free with it."""
    added = booking_deltas.added(
        one.booking(), [each for each in others if each.vm_id == one.vm_id]
    )
    seat = None if one.seat is None else held.get(one.seat)
    return added if seat is None else hold_slots.exchanged(added, seat)


def _seated(vm: TenantVm, seat: HoldSlot | None) -> TenantVm | None:
    """The VM as the seat's neighbours see it; None where the seat is not there for it."""
    return seat.spares(vm) if seat is not None and seat.suits(vm) else None


def fits(
    deltas: Sequence[Delta], rows: Mapping[Key, Row], taken: Mapping[Key, Sequence[int]]
) -> bool:
    """Whether there is room for all of them beside what is `taken` of the rows already."""
    return not lacking(deltas, rows, taken)


def lacking(
    deltas: Sequence[Delta], rows: Mapping[Key, Row], taken: Mapping[Key, Sequence[int]]
) -> tuple[Row, ...]:
    """The rows without room; what adds nothing fits also where a limit is below use."""
    return tuple(
        rows[delta.kind, delta.id]
        for delta in deltas
        if (delta.kind, delta.id) in rows
        and not _fits(delta, rows[delta.kind, delta.id], taken.get((delta.kind, delta.id)))
    )


def _fits(delta: Delta, row: Row, taken: Sequence[int] | None) -> bool:
    cpu, ram_mib, disk_bytes = taken or (0, 0, 0)
    return (
        _has_room(delta.cpu, row.cpu_used + cpu, row.cpu_limit)
        and _has_room(delta.ram_mib, row.ram_used + ram_mib, row.ram_limit)
        and _has_room(delta.disk_bytes, row.disk_used + disk_bytes, row.disk_limit)
    )


def _has_room(wanted: int, used: int, limit: int | None) -> bool:
    return wanted <= 0 or limit is None or used + wanted <= limit


def _take(delta: Delta, taken: dict[Key, list[int]]) -> None:
    cell = taken.get((delta.kind, delta.id))
    if cell is not None:
        cell[0] += delta.cpu
        cell[1] += delta.ram_mib
        cell[2] += delta.disk_bytes


def _stale(one: Claim, deltas: Sequence[Delta], rows: Mapping[Key, Row]) -> bool:
    """Whether a row the decision rests on changed its character, came or went."""
    seen = {(kind, id_): character for kind, id_, character in one.characters}
    touched = {(d.kind, d.id) for d in deltas}
    present = {key: row.character for key, row in rows.items() if key in touched}
    return seen != present


async def _others(c: Connection, moving: Sequence[int]) -> list[Booked]:
    """The places that VMs which move have now; under the rule set no host changes its cluster."""
    if not moving:
        return []
    await rule_set.lock_shared(c)
    return await booking_deltas.booked(c, moving)


async def _write(
    c: Connection,
    granted: Sequence[Claim],
    counted: Sequence[CountedUse],
    told: Sequence[OutboxChange],
) -> None:
    """The bookings with all that follows, the events before what became of the rows."""
    made = [one.decision for one in granted if one.decision is not None]
    await grant_rows.write(
        c,
        [one.grant() for one in granted],
        made,
        counted,
        [*(one.told() for one in granted), *told],
    )
    await hold_slots.pass_on(c, {one.seat: one.vm_id for one in granted if one.seat is not None})
