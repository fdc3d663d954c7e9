"""Layers of an appliance: VMs of one layer go to different hosts (anti-affinity)."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.store.db.pool import Connection


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer with the (id, label) of its VMs, by id."""

    id: int
    virtualappliance_id: int
    name: str
    vms: tuple[tuple[int, str], ...]


_SELECT = """
select l.id, l.virtualappliance_id, l.name,
  (select coalesce(array_agg(v.id order by v.id), '{}') from vm v where v.layer_id = l.id) ids,
  (select coalesce(array_agg(v.label order by v.id), '{}') from vm v where v.layer_id = l.id)
    labels
from layer l
where l.virtualappliance_id = $1 and ($2::text is null or l.name = $2)
order by l.name
"""
_SHARED = """
select h.name from booking b join vm v on v.id = b.vm_id join host h on h.id = b.host_id
where v.layer_id = $2 and v.id <> $1 and b.host_id in (
  select host_id from booking where vm_id = $1 union
  select host_id from vm where id = $1 and host_id is not null)
order by h.name limit 1
"""


async def of_appliance(
    c: Connection, virtualappliance_id: int, name: str | None = None
) -> list[Layer]:
    """The layers of an appliance by name, or the one of that name."""
    return [
        Layer(
            row["id"],
            row["virtualappliance_id"],
            row["name"],
            tuple(zip(row["ids"], row["labels"], strict=True)),
        )
        for row in await c.fetch(_SELECT, virtualappliance_id, name)
    ]


async def lock(c: Connection, virtualappliance_id: int, name: str) -> int | None:
    """A layer's id, its row locked: its members change one edit after the other."""
    found: int | None = await c.fetchval(
        "select id from layer where virtualappliance_id = $1 and name = $2 for update",
        virtualappliance_id,
        name,
    )
    return found


async def add(c: Connection, virtualappliance_id: int, name: str) -> int | None:
    """A new, empty layer's id; None when the appliance has one of that name."""
    made: int | None = await c.fetchval(
        """insert into layer (virtualappliance_id, name) values ($1, $2)
           on conflict (virtualappliance_id, name) do nothing returning id""",
        virtualappliance_id,
        name,
    )
    return made


async def rename(c: Connection, layer_id: int, name: str) -> bool:
    """Give a layer another name; False when its appliance has one of that name."""
    done = await c.fetchval(
        """update layer l set name = $2 where id = $1 and not exists (
             select from layer o where o.virtualappliance_id = l.virtualappliance_id
               and o.name = $2 and o.id <> $1) returning true""",
        layer_id,
        name,
    )
    return bool(done)


async def drop(c: Connection, layer_id: int) -> None:
    """Forget a layer; its VMs stay."""
    await c.execute("delete from layer where id = $1", layer_id)


async def members(c: Connection, layer_id: int) -> list[int]:
    """The VMs of a layer."""
    rows = await c.fetch("select id from vm where layer_id = $1 order by id", layer_id)
    return [row["id"] for row in rows]


async def of_vm(c: Connection, vm_id: int) -> int | None:
    """The layer a VM is in."""
    found: int | None = await c.fetchval("select layer_id from vm where id = $1", vm_id)
    return found


async def absent(c: Connection, virtualappliance_id: int, vms: Sequence[int]) -> list[int]:
    """Those of these VMs that the appliance does not have."""
    rows = await c.fetch(
        "select id from vm where virtualappliance_id = $1 and id = any($2)",
        virtualappliance_id,
        list(vms),
    )
    return sorted({*vms} - {row["id"] for row in rows})
