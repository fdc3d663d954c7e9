"""What tenants own and see: enterprises, virtual datacenters, appliances, networks, templates."""

from dataclasses import dataclass

from gateway.store.db.paged import Key, Page, PageRequest, cells, like, paged, part
from gateway.store.db.pool import Connection

NAME_SORTS = ("name", "id")


@dataclass(frozen=True, slots=True)
class Enterprise:
    """A tenant; a `reservation_restricted` one uses only hosts reserved to it."""

    id: int
    name: str
    workflow: bool
    reservation_restricted: bool


@dataclass(frozen=True, slots=True)
class Virtualdatacenter:
    """A tenant's part of a datacenter, with its default network (empty texts without one)."""

    id: int
    name: str
    enterprise_id: int
    datacenter_id: int
    datacenter: str
    type: str
    network_id: int | None
    network: str
    address: str
    mask: int
    gateway: str
    tier_id: int | None
    tier: str | None


@dataclass(frozen=True, slots=True)
class Virtualappliance:
    """A group of VMs; the counts are of its VMs by what they are now."""

    id: int
    name: str
    description: str
    icon_url: str
    virtualdatacenter_id: int
    enterprise_id: int
    vms: int
    locked: int
    unknown: int
    not_allocated: int


@dataclass(frozen=True, slots=True)
class Template:
    """What VMs are made from; bytes and MiB."""

    id: int
    name: str
    description: str
    datacenter_id: int
    enterprise_id: int | None
    disk_format: str
    disk_bytes: int
    cpu: int
    ram_mib: int
    os_type: str
    source: str
    tier_id: int | None
    tier: str | None


_VDC = """
select v.id, v.name, v.enterprise_id, v.datacenter_id, d.name, v.type, n.id,
  coalesce(n.name, ''), coalesce(host(n.address), ''), coalesce(masklen(n.address), 0),
  coalesce(host(n.gateway), ''), v.tier_id, r.name {more}
from virtualdatacenter v join datacenter d on d.id = v.datacenter_id
left join tier r on r.id = v.tier_id
left join network n on n.virtualdatacenter_id = v.id and n.is_default
"""
_VAPP = """
select a.id, a.name, a.description, a.icon_url, a.virtualdatacenter_id, a.enterprise_id,
  count(v.id), count(t.id), count(v.id) filter (where v.state = 'UNKNOWN' and t.id is null),
  count(v.id) filter (where v.state in ('NOT_ALLOCATED', 'ALLOCATED') and t.id is null) {more}
from virtualappliance a left join vm v on v.virtualappliance_id = a.id
left join task t on t.vm_id = v.id and t.state in ('queued', 'running', 'stuck')
"""
_TEMPLATE = """
select t.id, t.name, t.description, t.datacenter_id, t.enterprise_id, t.disk_format, t.disk_bytes,
  t.cpu, t.ram_mib, t.os_type, t.source, t.tier_id, r.name
from template t left join tier r on r.id = t.tier_id
"""


async def enterprises(
    c: Connection,
    only: int | None,
    has: str | None,
    sort: PageRequest,
    *,
    tier_id: int | None = None,
) -> Page[Enterprise]:
    """Enterprises whose name has `has`; `only` the one with that id, or those a tier names."""
    where = """from enterprise e
      where ($1::bigint is null or e.id = $1) and ($2::text is null or e.name ilike $2)
        and ($3::bigint is null or e.id in (
          select enterprise_id from tier_enterprise where tier_id = $3))"""
    bounds = (only, like(has), tier_id)
    of = part(sort, _key("e", sort.by), _key("e", "id"), len(bounds))
    rows = await c.fetch(
        f"""select e.id, e.name, e.workflow, e.reservation_restricted, {of.columns}
            {where} {of.condition} {of.order}""",
        *bounds,
        *of.values,
    )
    total = await c.fetchval(f"select count(*) {where}", *bounds)
    return paged(rows, total, sort, lambda row: Enterprise(*cells(row)))


async def enterprise(c: Connection, enterprise_id: int) -> Enterprise | None:
    """One enterprise."""
    row = await c.fetchrow(
        "select id, name, workflow, reservation_restricted from enterprise where id = $1",
        enterprise_id,
    )
    return Enterprise(*row.values()) if row else None


async def virtualdatacenters(
    c: Connection,
    enterprise_id: int | None,
    has: str | None,
    sort: PageRequest,
    *,
    datacenter_id: int | None = None,
) -> Page[Virtualdatacenter]:
    """Virtual datacenters of one enterprise, or of all; in one datacenter, or in all."""
    where = """
      where ($1::bigint is null or v.enterprise_id = $1) and ($2::text is null or v.name ilike $2)
        and ($3::bigint is null or v.datacenter_id = $3)"""
    bounds = (enterprise_id, like(has), datacenter_id)
    of = part(sort, _key("v", sort.by), _key("v", "id"), len(bounds))
    rows = await c.fetch(
        _VDC.format(more=f", {of.columns}") + f"{where} {of.condition} {of.order}",
        *bounds,
        *of.values,
    )
    total = await c.fetchval(f"select count(*) from virtualdatacenter v {where}", *bounds)
    return paged(rows, total, sort, lambda row: Virtualdatacenter(*cells(row)))


async def virtualdatacenter(c: Connection, vdc_id: int) -> Virtualdatacenter | None:
    """One virtual datacenter."""
    row = await c.fetchrow(_VDC.format(more="") + "where v.id = $1", vdc_id)
    return Virtualdatacenter(*row.values()) if row else None


async def add_virtualdatacenter(
    c: Connection, name: str, enterprise_id: int, datacenter_id: int, type_: str
) -> int | None:
    """A new virtual datacenter's id; None when the enterprise has one of that name."""
    made: int | None = await c.fetchval(
        """insert into virtualdatacenter (name, enterprise_id, datacenter_id, type)
           values ($1, $2, $3, $4) on conflict (enterprise_id, name) do nothing returning id""",
        name,
        enterprise_id,
        datacenter_id,
        type_,
    )
    return made


async def add_network(
    c: Connection, vdc_id: int, columns: tuple[str, str, str, str | None]
) -> None:
    """The default network of a virtual datacenter: (name, tag, address in CIDR form, gateway)."""
    await c.execute(
        """insert into network (virtualdatacenter_id, name, tag, address, gateway)
           values ($1, $2, $3, $4::text::cidr, $5::text::inet)""",
        vdc_id,
        *columns,
    )


async def rename_virtualdatacenter(c: Connection, vdc_id: int, name: str) -> bool:
    """Give it another name; False when the enterprise has one of that name."""
    done = await c.fetchval(
        """update virtualdatacenter v set name = $2 where id = $1 and not exists (
             select from virtualdatacenter o where o.enterprise_id = v.enterprise_id
               and o.name = $2 and o.id <> $1) returning true""",
        vdc_id,
        name,
    )
    return bool(done)


async def drop_virtualdatacenter(c: Connection, vdc_id: int) -> bool:
    """Delete it; False while it has appliances."""
    done = await c.fetchval(
        """delete from virtualdatacenter where id = $1 and not exists (
             select from virtualappliance where virtualdatacenter_id = $1) returning true""",
        vdc_id,
    )
    return bool(done)


async def virtualappliances(
    c: Connection, vdc_id: int | None, enterprise_id: int | None, has: str | None, sort: PageRequest
) -> Page[Virtualappliance]:
    """Appliances of a virtual datacenter, of an enterprise, or of all."""
    where = """where ($1::bigint is null or a.virtualdatacenter_id = $1)
      and ($2::bigint is null or a.enterprise_id = $2) and ($3::text is null or a.name ilike $3) """
    bounds = (vdc_id, enterprise_id, like(has))
    of = part(sort, _key("a", sort.by), _key("a", "id"), len(bounds))
    rows = await c.fetch(
        _VAPP.format(more=f", {of.columns}") + f"{where} {of.condition} group by a.id {of.order}",
        *bounds,
        *of.values,
    )
    total = await c.fetchval("select count(*) from virtualappliance a " + where, *bounds)
    return paged(rows, total, sort, lambda row: Virtualappliance(*cells(row)))


async def virtualappliance(c: Connection, vapp_id: int) -> Virtualappliance | None:
    """One appliance."""
    row = await c.fetchrow(_VAPP.format(more="") + "where a.id = $1 group by a.id", vapp_id)
    return Virtualappliance(*row.values()) if row else None


async def add_virtualappliance(
    c: Connection, vdc: Virtualdatacenter, name: str, description: str, icon_url: str
) -> int:
    """A new appliance's id."""
    made: int = await c.fetchval(
        """insert into virtualappliance (virtualdatacenter_id, enterprise_id, name, description,
             icon_url) values ($1, $2, $3, $4, $5) returning id""",
        vdc.id,
        vdc.enterprise_id,
        name,
        description,
        icon_url,
    )
    return made


async def edit_virtualappliance(
    c: Connection, vapp_id: int, name: str, description: str, icon_url: str
) -> None:
    """Change what people read of it."""
    await c.execute(
        "update virtualappliance set name = $2, description = $3, icon_url = $4 where id = $1",
        vapp_id,
        name,
        description,
        icon_url,
    )


async def drop_virtualappliance(c: Connection, vapp_id: int) -> bool:
    """Delete it; False while it has VMs."""
    done = await c.fetchval(
        """delete from virtualappliance where id = $1 and not exists (
             select from vm where virtualappliance_id = $1) returning true""",
        vapp_id,
    )
    return bool(done)


async def templates(
    c: Connection, datacenter_id: int, enterprise_id: int, type_: str | None
) -> list[Template]:
    """Templates of a datacenter that an enterprise may use, for VMs of `type_` or any."""
    rows = await c.fetch(
        _TEMPLATE
        + """where t.datacenter_id = $1 and (t.enterprise_id is null or t.enterprise_id = $2)
             and ($3::text is null or $3 = any(t.types)) order by t.id""",
        datacenter_id,
        enterprise_id,
        type_,
    )
    return [Template(*row.values()) for row in rows]


async def template(c: Connection, template_id: int) -> Template | None:
    """One template."""
    row = await c.fetchrow(_TEMPLATE + "where t.id = $1", template_id)
    return Template(*row.values()) if row else None


def _key(table: str, by: str) -> Key:
    return Key(f"{table}.{by}", "bigint" if by == "id" else "text")
