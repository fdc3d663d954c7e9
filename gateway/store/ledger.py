"""The ledger says what may be and what is promised of each place; limits follow the rules.

Whoever promises or gives back holds `rule_set` for share, whoever edits rules or places holds
it for update: a claim never sees half an edit, and an edit recounts with no claim in flight.
Each change goes to the feed: whole rows as `scheduler.rows` writes them, and mere use as
absolute values, so that a reader needs nothing but the feed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from gateway.store import inventory, outbox, over_limit, rule_set
from gateway.store.outbox import Change, Topic
from gateway.store.pool import Connection
from gateway.store.recount import recount, vanished
from scheduler.rows import to_mapping

_COLUMNS = """l.kind, l.id, l.cpu_limit, l.cpu_used, l.ram_limit, l.ram_used, l.disk_limit,
  l.disk_used, l.generation, l.character, l.enterprises, l.layers"""
_LOCK = f"""
select {_COLUMNS} from ledger l
join unnest($1::text[], $2::bigint[]) as k(kind, id) on l.kind = k.kind and l.id = k.id
order by l.kind, l.id for update of l
"""
_ADD = f"""
update ledger l set cpu_used = l.cpu_used + d.cpu, ram_used = l.ram_used + d.ram,
  disk_used = l.disk_used + d.disk, generation = l.generation + 1,
  enterprises = coalesce(d.enterprises::bigint[], l.enterprises),
  layers = coalesce(d.layers::bigint[], l.layers)
from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[],
  $7::text[]) as d(kind, id, cpu, ram, disk, enterprises, layers)
where l.kind = d.kind and l.id = d.id
returning {_COLUMNS}
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


@dataclass(frozen=True, slots=True)
class Dwellers:
    """The enterprises and the layers that have a VM booked on a host."""

    enterprises: frozenset[int]
    layers: frozenset[int]


async def refresh_limits(
    c: Connection, *, hosts: Sequence[int] | None = None, datastores: Sequence[int] | None = None
) -> None:
    """Recount limits and use from rules, sizes and bookings, in the caller's transaction.

    All rows when neither is given, and the rule set's version then follows what rules say; else
    those of the named hosts and datastores, and every aggregated element. Each row that
    changed goes to the feed whole, and an event tells of each that is over its limit now.
    """
    await rule_set.seize(c)
    everything = hosts is None and datastores is None
    wanted_hosts = None if everything else list(hosts or ())
    wanted_datastores = None if everything else list(datastores or ())
    if everything:
        await rules_changed(c)
    before = await over_limit.find(c, wanted_hosts, wanted_datastores)
    for kind, ids in (await recount(c, wanted_hosts, wanted_datastores)).items():
        rows = await inventory.fetch(c, kind, ids)
        await outbox.put_many(
            c, [Change(Topic.INVENTORY, kind, row.id, to_mapping(row)) for row in rows]
        )
    if everything:
        for gone in await vanished(c):
            await outbox.put(c, Topic.INVENTORY, gone.kind, gone.id, to_mapping(gone))
    after = await over_limit.find(c, wanted_hosts, wanted_datastores)
    await over_limit.tell(c, before, after)


async def rules_changed(c: Connection) -> None:
    """Whoever edits what rules say besides limits calls this in the same transaction.

    Limits and tiers need `refresh_limits` without arguments, which calls it.
    """
    await rule_set.changed(c)


async def lock(c: Connection, keys: Iterable[Key]) -> dict[Key, Row]:
    """Lock ledger rows in (kind, id) order, after the rule set for share."""
    await rule_set.hold(c)
    return await lock_rows(c, keys)


async def lock_rows(c: Connection, keys: Iterable[Key]) -> dict[Key, Row]:
    """Lock ledger rows in (kind, id) order; the caller holds the rule set already."""
    ordered = sorted(set(keys))
    rows = await c.fetch(_LOCK, [kind for kind, _ in ordered], [id_ for _, id_ in ordered])
    return {(row["kind"], row["id"]): Row(*row.values()) for row in rows}


async def add(
    c: Connection,
    deltas: Iterable[Delta],
    dwellers: Mapping[int, Dwellers] | None = None,
    told_of: Mapping[int, Amounts] | None = None,
    events: Sequence[Change] = (),
) -> dict[Key, Row]:
    """Add to locked rows, summed per row, in one statement, and tell the feed: the events first.

    `dwellers` says, by host, who has VMs there from now on, where that changes; `told_of`, by
    host, what VMs hold there from now on, so that the feed tells who left. The rows that were
    written, as they are now.
    """
    total: dict[Key, list[int]] = {}
    for delta in deltas:
        cell = total.setdefault((delta.kind, delta.id), [0, 0, 0])
        for n, amount in enumerate((delta.cpu, delta.ram_mib, delta.disk_bytes)):
            cell[n] += amount
    changes = {key: cell for key, cell in total.items() if any(cell)}
    living = {("host", host): of_host for host, of_host in (dwellers or {}).items()}
    keys = sorted({*changes, *living})
    found: list[Row] = []
    if keys:
        rows = await c.fetch(
            _ADD,
            [kind for kind, _ in keys],
            [id_ for _, id_ in keys],
            *([changes.get(key, (0, 0, 0))[n] for key in keys] for n in range(3)),
            [_array(living[key].enterprises) if key in living else None for key in keys],
            [_array(living[key].layers) if key in living else None for key in keys],
        )
        found = [Row(*row.values()) for row in rows]
    # Hosts are told last, since they name VMs: what became of these is in all other rows by then.
    told = [
        Change(Topic.INVENTORY, row.kind, row.id, row.payload() | _vms(row, total, told_of))
        for row in sorted(found, key=lambda row: (row.kind == "host", row.kind))
    ]
    await outbox.put_many(c, [*events, *told])
    return {(row.kind, row.id): row for row in found}


def _vms(
    row: Row, total: Mapping[Key, Sequence[int]], told_of: Mapping[int, Amounts] | None
) -> dict[str, Any]:
    """Whose part of a host is another; where one got freer and it is nobody's, that is said too."""
    if row.kind != "host":
        return {}
    amounts = (told_of or {}).get(row.id, {})
    freer = min(total.get((row.kind, row.id), (0,))) < 0
    return {"vms": {str(vm): held for vm, held in amounts.items()}} if amounts or freer else {}


def _array(ids: frozenset[int]) -> str:
    """Ids as PostgreSQL writes an array, since a list of lists must be a rectangle there."""
    return "{" + ",".join(map(str, sorted(ids))) + "}"
