"""Datastore tiers: classes of datastores that a VM's disks may ask for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.store.db.pool import Connection


@dataclass(frozen=True, slots=True)
class NewTier:
    """What administrators say of a tier. `progressive` fills its datastores one after the other;
    one that is not `open_to_all` is for the enterprises it names only."""

    name: str
    description: str = ""
    enabled: bool = True
    progressive: bool = False
    open_to_all: bool = True
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class TierRow:
    """A tier; `enterprises` are those that may use one that is not open to all."""

    id: int
    datacenter_id: int
    name: str
    description: str
    enabled: bool
    progressive: bool
    open_to_all: bool
    is_default: bool
    enterprises: tuple[int, ...]

    def allows(self, enterprise_id: int) -> bool:
        """Whether an enterprise may use it."""
        return self.open_to_all or enterprise_id in self.enterprises


_SELECT = """
select t.id, t.datacenter_id, t.name, t.description, t.enabled, t.progressive, t.open_to_all,
  t.is_default, (select coalesce(array_agg(e.enterprise_id order by e.enterprise_id), '{}')
                 from tier_enterprise e where e.tier_id = t.id) enterprises
from tier t
"""
_SERVED = """
select distinct d.tier_id from datastore d join host_datastore hd on hd.datastore_id = d.id
join host h on h.id = hd.host_id
where d.datacenter_id = $1 and d.enabled and d.tier_id is not null
  and ($2::text[] is null or h.type = any($2))
"""


def _tier(row: Any) -> TierRow:
    return TierRow(**{**row, "enterprises": tuple(row["enterprises"])})


async def of_datacenter(c: Connection, datacenter_id: int) -> list[TierRow]:
    """The tiers of a datacenter, by name."""
    rows = await c.fetch(_SELECT + "where t.datacenter_id = $1 order by t.name", datacenter_id)
    return [_tier(row) for row in rows]


async def get(c: Connection, tier_id: int) -> TierRow | None:
    """One tier."""
    row = await c.fetchrow(_SELECT + "where t.id = $1", tier_id)
    return _tier(row) if row else None


async def served(c: Connection, datacenter_id: int, types: Sequence[str] | None) -> set[int]:
    """The tiers with an enabled datastore that a host (of one of the types) sees."""
    rows = await c.fetch(_SERVED, datacenter_id, None if types is None else list(types))
    return {row["tier_id"] for row in rows}


async def add(c: Connection, datacenter_id: int, new: NewTier) -> int | None:
    """A new tier's id; None when the datacenter has one of that name."""
    if new.is_default:
        await _no_default(c, datacenter_id)
    made: int | None = await c.fetchval(
        """insert into tier (datacenter_id, name, description, enabled, progressive, open_to_all,
             is_default) values ($1, $2, $3, $4, $5, $6, $7)
           on conflict (datacenter_id, name) do nothing returning id""",
        datacenter_id,
        new.name,
        new.description,
        new.enabled,
        new.progressive,
        new.open_to_all,
        new.is_default,
    )
    return made


async def change(c: Connection, one: TierRow, to: NewTier) -> bool:
    """Have a tier be as `to` says; False when its datacenter has one of that name."""
    if to.is_default and not one.is_default:
        await _no_default(c, one.datacenter_id)
    done = await c.fetchval(
        """update tier t set name = $2, description = $3, enabled = $4, progressive = $5,
             open_to_all = $6, is_default = $7
           where id = $1 and not exists (select from tier o where o.datacenter_id = t.datacenter_id
             and o.name = $2 and o.id <> $1) returning true""",
        one.id,
        to.name,
        to.description,
        to.enabled,
        to.progressive,
        to.open_to_all,
        to.is_default,
    )
    return bool(done)


async def _no_default(c: Connection, datacenter_id: int) -> None:
    await c.execute(
        "update tier set is_default = false where datacenter_id = $1 and is_default", datacenter_id
    )


async def keep(c: Connection, tier_id: int) -> None:
    """A tier that is there now stays until the caller's transaction ends."""
    await c.execute("select from tier where id = $1 for key share", tier_id)


async def lock_members(c: Connection, tier_id: int) -> None:
    """Lock a tier, the VMs that ask for it and its datastores; before the rules are held."""
    await c.execute("select from tier where id = $1 for update", tier_id)
    for table in ("vm", "datastore"):
        await c.execute(
            f"select from {table} where tier_id = $1 order by id for no key update", tier_id
        )


async def drop(c: Connection, tier_id: int) -> None:
    """Forget a tier; its datastores, and what asked for it, are of no tier then."""
    for table in ("datastore", "template", "virtualdatacenter", "vm"):
        await c.execute(f"update {table} set tier_id = null where tier_id = $1", tier_id)
    await c.execute("delete from tier where id = $1", tier_id)


async def residents(c: Connection, tier_id: int) -> set[int]:
    """The enterprises whose VMs have disks on the tier's datastores, or ask for it and live."""
    rows = await c.fetch(
        """select distinct v.enterprise_id from vm v
             left join booking b on b.vm_id = v.id
             left join datastore d on d.id in (v.datastore_id, b.datastore_id)
           where d.tier_id = $1 or (v.tier_id = $1 and v.datastore_id is not null)""",
        tier_id,
    )
    return {row["enterprise_id"] for row in rows}


async def known_to(c: Connection, tier_id: int, enterprise_id: int) -> bool:
    """Whether a VM of the enterprise is in the tier, or something of its own asks for it."""
    found = await c.fetchval(
        """select exists (select from vm v left join datastore d on d.id = v.datastore_id
             where v.enterprise_id = $2 and $1 in (v.tier_id, d.tier_id))
           or exists (select from virtualdatacenter where enterprise_id = $2 and tier_id = $1)
           or exists (select from template
             where (enterprise_id is null or enterprise_id = $2) and tier_id = $1)""",
        tier_id,
        enterprise_id,
    )
    return bool(found)


async def datastores_in_use(c: Connection, datastores: Sequence[int]) -> list[str]:
    """The names of those of these datastores that hold disks of VMs."""
    rows = await c.fetch(
        """select name from datastore d where id = any($1) and (
             exists (select from vm where datastore_id = d.id) or
             exists (select from booking b where b.datastore_id = d.id)) order by name""",
        list(datastores),
    )
    return [row["name"] for row in rows]


async def tiers_of(
    c: Connection, datacenter_id: int, datastores: Sequence[int]
) -> dict[int, int | None]:
    """The present tier of those of these datastores that the datacenter has, rows locked;
    before the rules are held."""
    rows = await c.fetch(
        """select id, tier_id from datastore where datacenter_id = $1 and id = any($2)
           order by id for no key update""",
        datacenter_id,
        list(datastores),
    )
    return {row["id"]: row["tier_id"] for row in rows}


async def assign(c: Connection, datastores: Sequence[int], tier_id: int | None) -> None:
    """Put datastores into a tier, or into none."""
    await c.execute(
        "update datastore set tier_id = $2 where id = any($1)", list(datastores), tier_id
    )


async def admit(c: Connection, tier_id: int, enterprise_id: int) -> None:
    """Name an enterprise that may use the tier when it is not open to all."""
    await c.execute(
        "insert into tier_enterprise values ($1, $2) on conflict do nothing",
        tier_id,
        enterprise_id,
    )


async def dismiss(c: Connection, tier_id: int, enterprise_id: int | None) -> None:
    """Name an enterprise (or all) no longer."""
    await c.execute(
        """delete from tier_enterprise
           where tier_id = $1 and ($2::bigint is null or enterprise_id = $2)""",
        tier_id,
        enterprise_id,
    )


async def open_to_all(c: Connection, tier_id: int, opened: bool) -> None:
    """Whether every enterprise may use a tier."""
    await c.execute("update tier set open_to_all = $2 where id = $1", tier_id, opened)


async def prefer(c: Connection, vdc_id: int, tier_id: int | None) -> None:
    """The tier of those VMs of a virtual datacenter that ask for none, nor their template."""
    await c.execute("update virtualdatacenter set tier_id = $2 where id = $1", vdc_id, tier_id)


async def require(c: Connection, template_id: int, tier_id: int | None) -> None:
    """The tier of those VMs of a template that ask for none."""
    await c.execute("update template set tier_id = $2 where id = $1", template_id, tier_id)


async def ask(c: Connection, vm_id: int, tier_id: int | None) -> None:
    """Have a VM that lives nowhere ask for a tier."""
    await c.execute("update vm set tier_id = $2 where id = $1", vm_id, tier_id)
