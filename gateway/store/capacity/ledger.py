"""The ledger says what may be and what is promised of each place; limits follow the rules.

Whoever promises or gives back holds `rule_set` for share, whoever edits rules or places holds
it for update: a claim never sees half an edit, and an edit recounts with no claim in flight.
Each change goes to the feed: whole rows as `scheduler.model.serialization` writes them, and mere
use as absolute values, so that a reader needs nothing but the feed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import Struct, structs

from gateway.store.capacity import inventory, over_limit
from gateway.store.capacity.recompute import recount, vanished
from gateway.store.db.pool import Connection
from gateway.store.feed import outbox
from gateway.store.feed.outbox import OutboxChange, Topic
from gateway.store.rules import rule_set
from scheduler.model.serialization import to_mapping

COLUMNS = """l.kind, l.id, l.cpu_limit, l.cpu_used, l.ram_limit, l.ram_used, l.disk_limit,
  l.disk_used, l.generation, l.character, l.enterprises, l.layers"""
_LOCK = f"""
select {COLUMNS} from ledger l
join unnest($1::text[], $2::bigint[]) as k(kind, id) on l.kind = k.kind and l.id = k.id
order by l.kind, l.id for update of l
"""
Key = tuple[str, int]
Amounts = Mapping[int, Sequence[int] | None]
"""What VMs, by their numbers, hold on a host: vCPUs, MiB and bytes; None for one that left."""


class Row(Struct, frozen=True):
    """A ledger row as a claim sees it under lock; a None limit is no limit.

    `enterprises` and `layers` are a host's, in order: those with a VM booked there.
    """

    kind: str
    id: int
    cpu_limit: int | None
    cpu_used: int
    ram_limit: int | None
    ram_used: int
    disk_limit: int | None
    disk_used: int
    generation: int
    character: int
    enterprises: Sequence[int] = ()
    layers: Sequence[int] = ()

    def payload(self) -> dict[str, Any]:
        """The row's use as the feed tells it: absolute values under a generation."""
        told: dict[str, Any] = {
            "cpu_used": self.cpu_used,
            "ram_used": self.ram_used,
            "disk_used": self.disk_used,
            "generation": self.generation,
            "character": self.character,
        }
        if self.kind == "host":
            told |= {"enterprises": list(self.enterprises), "layers": list(self.layers)}
        return told


class Delta(Struct, frozen=True):
    """What is added to (or, negative, taken from) one ledger row: vCPUs, MiB, bytes."""

    kind: str
    id: int
    cpu: int = 0
    ram_mib: int = 0
    disk_bytes: int = 0


class CountedUse(Struct, frozen=True):
    """What is added to one row in all; None where the enterprises and layers stay."""

    kind: str
    id: int
    cpu: int
    ram: int
    disk: int
    enterprises: Sequence[int] | None = None
    layers: Sequence[int] | None = None

    def onto(self, row: Row) -> Row:
        """The row as it is afterwards."""
        return structs.replace(
            row,
            cpu_used=row.cpu_used + self.cpu,
            ram_used=row.ram_used + self.ram,
            disk_used=row.disk_used + self.disk,
            generation=row.generation + 1,
            enterprises=row.enterprises if self.enterprises is None else self.enterprises,
            layers=row.layers if self.layers is None else self.layers,
        )


@dataclass(frozen=True, slots=True)
class Dwellers:
    """The enterprises and the layers that have a VM booked on a host."""

    enterprises: frozenset[int]
    layers: frozenset[int]


async def refresh_limits(
    c: Connection,
    *,
    hosts: Sequence[int] | None = None,
    datastores: Sequence[int] | None = None,
    author: str = rule_set.GATEWAY,
) -> None:
    """Recount limits and use from rules, sizes and bookings, in the caller's transaction.

    All rows when neither is given, and the rule set's version then follows what rules say, with
    its `author`; else those of the named hosts and datastores, and every aggregated element. Each
    row that changed goes to the feed whole, and an event tells of each that is over its limit now.
    """
    await rule_set.lock_exclusive(c)
    everything = hosts is None and datastores is None
    wanted_hosts = None if everything else list(hosts or ())
    wanted_datastores = None if everything else list(datastores or ())
    if everything:
        await rules_changed(c, author)
    before = await over_limit.find(c, wanted_hosts, wanted_datastores)
    for kind, ids in (await recount(c, wanted_hosts, wanted_datastores)).items():
        rows = await inventory.fetch(c, kind, ids)
        await outbox.put_many(
            c, [OutboxChange(Topic.INVENTORY, kind, row.id, to_mapping(row)) for row in rows]
        )
    if everything:
        for gone in await vanished(c):
            await outbox.put(c, Topic.INVENTORY, gone.kind, gone.id, to_mapping(gone))
    after = await over_limit.find(c, wanted_hosts, wanted_datastores)
    await over_limit.tell(c, before, after)


async def rules_changed(c: Connection, author: str = rule_set.GATEWAY) -> None:
    """Whoever edits what rules say besides limits calls this in the same transaction.

    Limits and tiers need `refresh_limits` without arguments, which calls it.
    """
    await rule_set.changed(c, author)


async def lock(c: Connection, keys: Iterable[Key]) -> dict[Key, Row]:
    """Lock ledger rows in (kind, id) order, after the rule set for share."""
    await rule_set.lock_shared(c)
    return await lock_rows(c, keys)


async def lock_rows(c: Connection, keys: Iterable[Key]) -> dict[Key, Row]:
    """Lock ledger rows in (kind, id) order; the caller holds the rule set already."""
    ordered = sorted(set(keys))
    rows = await c.fetch(_LOCK, [kind for kind, _ in ordered], [id_ for _, id_ in ordered])
    return {(row["kind"], row["id"]): Row(*row.values()) for row in rows}


def update(counted: str) -> str:
    """The statement that adds `CountedUse` as tuples, given as this parameter, to locked rows."""
    return f"""
update ledger l set cpu_used = l.cpu_used + d.cpu, ram_used = l.ram_used + d.ram,
  disk_used = l.disk_used + d.disk, generation = l.generation + 1,
  enterprises = coalesce(d.enterprises, l.enterprises), layers = coalesce(d.layers, l.layers)
from unnest({counted}::counted[]) as d
where l.kind = d.kind and l.id = d.id"""


_ADD = f"with counted as ({update('$1')}) {outbox.insert('$2')}"


async def add(
    c: Connection,
    rows: Mapping[Key, Row],
    deltas: Iterable[Delta],
    dwellers: Mapping[int, Dwellers] | None = None,
    told_of: Mapping[int, Amounts] | None = None,
) -> dict[Key, Row]:
    """Add to locked `rows` in one statement that tells the feed, too; the rows written, as they
    are now. The parameters are those of `count`."""
    counted = count(rows, deltas, dwellers)
    after = {key: one.onto(rows[key]) for key, one in counted.items()}
    news = outbox.rows(told(after, counted, told_of))
    await c.execute(_ADD, list(map(structs.astuple, counted.values())), news)
    return after


def count(
    rows: Mapping[Key, Row],
    deltas: Iterable[Delta],
    dwellers: Mapping[int, Dwellers] | None = None,
) -> dict[Key, CountedUse]:
    """What is to be added to those of the rows that change, summed for each.

    `dwellers` says, by host, who has VMs there from now on, where that changes.
    """
    total: dict[Key, list[int]] = {}
    for delta in deltas:
        cell = total.setdefault((delta.kind, delta.id), [0, 0, 0])
        cell[0] += delta.cpu
        cell[1] += delta.ram_mib
        cell[2] += delta.disk_bytes
    living = {("host", host): of_host for host, of_host in (dwellers or {}).items()}
    changing = {key for key, cell in total.items() if any(cell)} | living.keys()
    return {
        key: CountedUse(*key, *total.get(key, (0, 0, 0)), *_dwelling(living.get(key)))
        for key in sorted(changing & rows.keys())
    }


def told(
    after: Mapping[Key, Row],
    counted: Mapping[Key, CountedUse],
    told_of: Mapping[int, Amounts] | None = None,
) -> list[OutboxChange]:
    """What the feed is told of rows that were counted so.

    `told_of` says, by host, what VMs hold there from now on, so that the feed tells who left.
    Hosts are told last, since they name VMs: what became of these is in all other rows by then.
    """
    return [
        OutboxChange(
            Topic.INVENTORY, row.kind, row.id, row.payload() | _vms(row, counted[key], told_of)
        )
        for key, row in sorted(after.items(), key=lambda each: (each[0][0] == "host", each[0]))
    ]


def _vms(row: Row, counted: CountedUse, told_of: Mapping[int, Amounts] | None) -> dict[str, Any]:
    """Whose part of a host is another; where one got freer and it is nobody's, that is said too."""
    if row.kind != "host":
        return {}
    amounts = (told_of or {}).get(row.id, {})
    freer = min(counted.cpu, counted.ram, counted.disk) < 0
    return {"vms": {str(vm): held for vm, held in amounts.items()}} if amounts or freer else {}


def _dwelling(living: Dwellers | None) -> tuple[list[int], list[int]] | tuple[()]:
    return () if living is None else (sorted(living.enterprises), sorted(living.layers))
