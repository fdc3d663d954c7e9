"""A new VM is a row that is not allocated, in an appliance, made from a template."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from gateway.store.db.pool import Connection

_INSERT = """
insert into vm (uuid, name, label, description, virtualappliance_id, virtualdatacenter_id,
  enterprise_id, datacenter_id, user_id, template_id, type, cpu, ram_mib, disk_bytes, extra,
  tier_id)
select $1, $2, $3, $4, virtualappliance.id, virtualdatacenter.id,
  virtualdatacenter.enterprise_id, virtualdatacenter.datacenter_id, $6, template.id,
  virtualdatacenter.type, $8, $9, template.disk_bytes, $10,
  coalesce(template.tier_id, virtualdatacenter.tier_id, (
    select tier.id from tier
    where tier.datacenter_id = virtualdatacenter.datacenter_id and tier.is_default
      and (tier.open_to_all or exists (
        select from tier_enterprise where tier_enterprise.tier_id = tier.id
          and tier_enterprise.enterprise_id = virtualdatacenter.enterprise_id))))
from virtualappliance
  join virtualdatacenter on virtualdatacenter.id = virtualappliance.virtualdatacenter_id
  join template on template.id = $7
where virtualappliance.id = $5
for share of virtualappliance, virtualdatacenter, template
returning id
"""
_APPLIANCE = """
select virtualappliance.id, virtualappliance.name, virtualdatacenter.id as virtualdatacenter_id,
  virtualdatacenter.enterprise_id, virtualdatacenter.datacenter_id, virtualdatacenter.type
from virtualappliance
  join virtualdatacenter on virtualdatacenter.id = virtualappliance.virtualdatacenter_id
where virtualdatacenter.id = $1 and virtualappliance.id = $2
"""


@dataclass(frozen=True, slots=True)
class AppliancePath:
    """The appliance a VM is made in, and what that says about the VM."""

    id: int
    name: str
    virtualdatacenter_id: int
    enterprise_id: int
    datacenter_id: int
    type: str


@dataclass(frozen=True, slots=True)
class TemplateSpec:
    """The template a VM is made from; memory in MiB."""

    id: int
    name: str
    datacenter_id: int
    enterprise_id: int | None
    cpu: int
    ram_mib: int
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NewVm:
    """What a VM to be made is called and how big it is; memory in MiB."""

    uuid: UUID
    virtualappliance_id: int
    template_id: int
    user_id: int
    label: str
    description: str
    cpu: int
    ram_mib: int
    variables: Mapping[str, str]


async def insert(c: Connection, new: NewVm) -> int | None:
    """Make a VM that is not allocated, named after its uuid; its id.

    Its disks are for the tier of the template, else of the virtual datacenter, else for the
    datacenter's default tier if the enterprise may use it, else for any. None when its
    appliance or template is gone.
    """
    made: int | None = await c.fetchval(
        _INSERT,
        new.uuid,
        f"ABQ_{new.uuid}",
        new.label,
        new.description,
        new.virtualappliance_id,
        new.user_id,
        new.template_id,
        new.cpu,
        new.ram_mib,
        {"variables": dict(new.variables)},
    )
    return made


async def ground(
    c: Connection, virtualdatacenter_id: int, virtualappliance_id: int
) -> AppliancePath | None:
    """An appliance of a virtual datacenter, or None."""
    row = await c.fetchrow(_APPLIANCE, virtualdatacenter_id, virtualappliance_id)
    return None if row is None else AppliancePath(**row)


async def pattern(c: Connection, template_id: int) -> TemplateSpec | None:
    """A template, or None."""
    row = await c.fetchrow(
        """select id, name, datacenter_id, enterprise_id, cpu, ram_mib, types
           from template where id = $1""",
        template_id,
    )
    return None if row is None else TemplateSpec(**{**row, "types": tuple(row["types"])})


async def enterprise_of_vdc(c: Connection, virtualdatacenter_id: int) -> int | None:
    """The enterprise of a virtual datacenter, None when there is no such."""
    found: int | None = await c.fetchval(
        "select enterprise_id from virtualdatacenter where id = $1", virtualdatacenter_id
    )
    return found
