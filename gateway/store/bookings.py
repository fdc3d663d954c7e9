"""Bookings hold capacity for a VM; they are granted on locked ledger rows, many at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from gateway.store import decisions, ledger, outbox
from gateway.store.decisions import NewDecision
from gateway.store.ledger import Delta, Row
from gateway.store.pool import Connection


@dataclass(frozen=True, slots=True)
class Claim:
    """A wish to book `cpu` vCPUs, `ram_mib` and `disk_bytes` for a VM at one place.

    `characters` are the ledger rows the decision rests on, as (kind, id, character). `moving`
    books the second place of a VM that already counts in its rack and datacenter. `detail` is
    journalled with the grant under `step`; `event` goes to the feed and `decision` on record
    with it.
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
    decision: NewDecision | None = None

    def deltas(self) -> tuple[Delta, ...]:
        """What the grant adds, row by row."""
        scope = (0, 0) if self.moving else (self.cpu, self.ram_mib)
        return (
            Delta("host", self.host_id, self.cpu, self.ram_mib),
            Delta("datastore", self.datastore_id, disk_bytes=self.disk_bytes),
            Delta("rack", self.rack_id, *scope),
            Delta("datacenter", self.datacenter_id, *scope),
        )


@dataclass(frozen=True, slots=True)
class Granted:
    """The booking stands, once the transaction commits."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """The decision was stale; `rows` are the present ledger rows it touched."""

    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Fenced:
    """The task is no longer held under the claim's epoch."""


Answer = Granted | Conflict | Fenced


async def claim(c: Connection, claims: Sequence[Claim]) -> list[Answer]:
    """Test claims in order on locked rows and book those that fit, all in one transaction."""
    live = await _live(c, claims)
    rows = await ledger.lock(c, {(d.kind, d.id) for one in claims for d in one.deltas()})
    taken: dict[tuple[str, int], list[int]] = {key: [0, 0, 0] for key in rows}
    answers: list[Answer] = []
    for one in claims:
        if (one.task, one.epoch) not in live:
            answers.append(Fenced())
        elif _stale(one, rows) or not all(_fits(d, rows, taken) for d in one.deltas()):
            touched = [rows[d.kind, d.id] for d in one.deltas() if (d.kind, d.id) in rows]
            answers.append(Conflict(tuple(touched)))
        else:
            for delta in one.deltas():
                _take(delta, taken)
            answers.append(Granted())
    granted = [one for one, answer in zip(claims, answers, strict=True) if answer == Granted()]
    if granted:
        await ledger.add(c, [delta for one in granted for delta in one.deltas()])
        await _write(c, granted)
    return answers


async def _live(c: Connection, claims: Sequence[Claim]) -> set[tuple[UUID, int]]:
    rows = await c.fetch(
        """select task.id, task.epoch from task
           join unnest($1::uuid[], $2::int[]) as held(id, epoch)
             on task.id = held.id and task.epoch = held.epoch
           where task.state = 'running' order by task.id for update of task""",
        [one.task for one in claims],
        [one.epoch for one in claims],
    )
    return {(row["id"], row["epoch"]) for row in rows}


def _stale(one: Claim, rows: dict[tuple[str, int], Row]) -> bool:
    """Whether a row the decision rests on changed its character, came or went."""
    seen = {(kind, id_): character for kind, id_, character in one.characters}
    touched = {(d.kind, d.id) for d in one.deltas()}
    present = {key: row.character for key, row in rows.items() if key in touched}
    return seen != present


def _fits(
    delta: Delta, rows: dict[tuple[str, int], Row], taken: dict[tuple[str, int], list[int]]
) -> bool:
    row = rows.get((delta.kind, delta.id))
    if row is None:
        return True
    already = taken[delta.kind, delta.id]
    tests = (
        (delta.cpu, row.cpu_used + already[0], row.cpu_limit),
        (delta.ram_mib, row.ram_used + already[1], row.ram_limit),
        (delta.disk_bytes, row.disk_used + already[2], row.disk_limit),
    )
    return all(
        wanted <= 0 or limit is None or used + wanted <= limit for wanted, used, limit in tests
    )


def _take(delta: Delta, taken: dict[tuple[str, int], list[int]]) -> None:
    cell = taken.get((delta.kind, delta.id))
    if cell is not None:
        cell[0] += delta.cpu
        cell[1] += delta.ram_mib
        cell[2] += delta.disk_bytes


async def _write(c: Connection, granted: Sequence[Claim]) -> None:
    """The bookings, the VMs' new places, and the journal's lines, one statement each."""
    await c.executemany(
        """insert into booking (vm_id, host_id, datastore_id, task_id, cpu, ram_mib, disk_bytes)
           values ($1, $2, $3, $4, $5, $6, $7)""",
        [
            (g.vm_id, g.host_id, g.datastore_id, g.task, g.cpu, g.ram_mib, g.disk_bytes)
            for g in granted
        ],
    )
    await c.executemany(
        """insert into journal (task_id, n, step, entry, epoch, detail)
           select $1, count(*), $3, 'DONE', $2, $4 from journal where task_id = $1""",
        [(g.task, g.epoch, g.step, g.detail) for g in granted],
    )
    await c.executemany(
        """update vm set host_id = $2, datastore_id = $3, volume = uuid::text || '-' || $4,
             state = 'ALLOCATED', known_state = 'ALLOCATED', version = version + 1,
             decision_id = $5
           where id = $1""",
        [
            (g.vm_id, g.host_id, g.datastore_id, str(g.task), g.decision and g.decision.id)
            for g in granted
            if not g.moving
        ],
    )
    await c.executemany(
        """update job set state = 'DONE', progress = 100, updated_at = clock_timestamp()
           where task_id = $1 and n = 0""",
        [(g.task,) for g in granted],
    )
    await decisions.put_many(c, [g.decision for g in granted if g.decision is not None])
    told: list[tuple[str, Mapping[str, Any]]] = [(str(g.vm_id), g.event) for g in granted]
    await outbox.put_many(c, outbox.Topic.EVENT, "VIRTUAL_MACHINE", told)


@dataclass(frozen=True, slots=True)
class Booked:
    """A booking as it stands."""

    vm_id: int
    host_id: int
    datastore_id: int
    rack_id: int
    datacenter_id: int
    cpu: int
    ram_mib: int
    disk_bytes: int


async def of_vm(c: Connection, vm_id: int) -> list[Booked]:
    """All bookings of a VM; two while it is being relocated."""
    rows = await c.fetch(
        """select b.vm_id, b.host_id, b.datastore_id, h.rack_id, h.datacenter_id, b.cpu, b.ram_mib,
             b.disk_bytes
           from booking b join host h on h.id = b.host_id where b.vm_id = $1 order by b.host_id""",
        vm_id,
    )
    return [Booked(*row.values()) for row in rows]


async def release(c: Connection, booked: Booked, *, lives_on: Booked | None = None) -> None:
    """Give a booking back; `lives_on` is the VM's other booking, which keeps what both share.

    On one shared datastore the disk is booked once: it passes to the booking that stays.
    """
    disk = booked.disk_bytes
    if lives_on is not None and lives_on.datastore_id == booked.datastore_id:
        disk = 0
    scope = (0, 0) if lives_on is not None else (-booked.cpu, -booked.ram_mib)
    deltas = (
        Delta("host", booked.host_id, -booked.cpu, -booked.ram_mib),
        Delta("datastore", booked.datastore_id, disk_bytes=-disk),
        Delta("rack", booked.rack_id, *scope),
        Delta("datacenter", booked.datacenter_id, *scope),
    )
    await ledger.lock(c, {(d.kind, d.id) for d in deltas})
    await c.execute(
        "delete from booking where vm_id = $1 and host_id = $2", booked.vm_id, booked.host_id
    )
    if lives_on is not None and disk == 0:
        await c.execute(
            """update booking set disk_bytes = greatest(disk_bytes, $3)
               where vm_id = $1 and host_id = $2""",
            booked.vm_id,
            lives_on.host_id,
            booked.disk_bytes,
        )
    await ledger.add(c, deltas)


async def resize(c: Connection, booked: Booked, cpu: int, ram_mib: int) -> tuple[Row, ...]:
    """Change a booking's size; the rows without room for it, and nothing done, when there are."""
    more_cpu, more_ram = cpu - booked.cpu, ram_mib - booked.ram_mib
    deltas = (
        Delta("host", booked.host_id, more_cpu, more_ram),
        Delta("rack", booked.rack_id, more_cpu, more_ram),
        Delta("datacenter", booked.datacenter_id, more_cpu, more_ram),
    )
    rows = await ledger.lock(c, {(d.kind, d.id) for d in deltas})
    none_taken: dict[tuple[str, int], list[int]] = {key: [0, 0, 0] for key in rows}
    full = tuple(
        rows[d.kind, d.id]
        for d in deltas
        if (d.kind, d.id) in rows and not _fits(d, rows, none_taken)
    )
    if full:
        return full
    await c.execute(
        "update booking set cpu = $3, ram_mib = $4 where vm_id = $1 and host_id = $2",
        booked.vm_id,
        booked.host_id,
        cpu,
        ram_mib,
    )
    await ledger.add(c, deltas)
    return ()
