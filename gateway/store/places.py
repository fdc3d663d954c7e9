"""Where VMs can live: datacenters, racks, hosts and datastores, as administrators see them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gateway.store.capacity.over_limit import OVER
from gateway.store.db.pool import Connection
from gateway.store.rules import rule_set


@dataclass(frozen=True, slots=True)
class Datacenter:
    """A datacenter."""

    id: int
    uuid: UUID
    name: str
    location: str
    default_tier_id: int | None


@dataclass(frozen=True, slots=True)
class Rack:
    """A rack of a datacenter."""

    id: int
    datacenter_id: int
    name: str
    description: str


@dataclass(frozen=True, slots=True)
class HostRow:
    """A host with its limits and use: virtual CPUs and MiB; None for what was never seen.

    `reserved_for` is the enterprise whose VMs alone it takes. One `over_limit` has more promised
    than the rules allow now, by itself or in a sum with others. `mover` is who else moves its VMs.
    `reason` says why it is not reachable.
    """

    id: int
    rack_id: int
    datacenter_id: int
    hypervisor: str
    name: str
    type: str
    address: str
    description: str
    state: str
    networks: dict[str, str]
    cpus: int | None
    memory_mib: int | None
    product: str
    version: str
    reachable: bool
    observed_at: datetime | None
    cpu_limit: int
    cpu_used: int
    ram_limit: int
    ram_used: int
    vms: int
    cluster_id: int | None
    cluster: str | None
    reserved_for: int | None
    reserved_name: str | None
    over_limit: bool
    measured_cpu_mhz: int | None
    measured_memory_mib: int | None
    mover: str
    reason: str


@dataclass(frozen=True, slots=True)
class DatastoreRow:
    """A datastore as it was last seen; bytes, None for what was never seen.

    `problem` is why the host that is asked about cannot use it; empty when it can.
    """

    id: int
    uuid: UUID
    datacenter_id: int
    name: str
    pool: str
    path: str
    tier_id: int | None
    tier: str | None
    shared: bool
    enabled: bool
    capacity_bytes: int | None
    free_bytes: int | None
    used_bytes: int
    over_limit: bool
    problem: str


@dataclass(frozen=True, slots=True)
class NewHost:
    """A host to register."""

    rack_id: int
    datacenter_id: int
    hypervisor: str
    name: str
    type: str
    address: str
    description: str
    state: str
    networks: dict[str, str]
    endpoint: str | None = None


_DATACENTER = """
select d.id, d.uuid, d.name, d.location, t.id
from datacenter d left join tier t on t.datacenter_id = d.id and t.is_default
"""
_HOST = f"""
select h.id, h.rack_id, h.datacenter_id, h.hypervisor, h.name, h.type, h.address, h.description,
  h.state, h.networks, h.cpus, h.memory_mib, h.product, h.version, h.reachable, h.observed_at,
  coalesce(l.cpu_limit, 0), coalesce(l.cpu_used, 0), coalesce(l.ram_limit, 0),
  coalesce(l.ram_used, 0), (select count(*) from vm where vm.host_id = h.id),
  h.cluster_id, cl.name, h.reserved_for, e.name,
  exists (select from ledger l where {OVER} and (l.kind, l.id) in (('host', h.id),
    ('cluster', h.cluster_id), ('rack', h.rack_id), ('datacenter', h.datacenter_id))),
  h.measured_cpu_mhz, h.measured_memory_mib, h.mover, h.reason
from host h left join ledger l on l.kind = 'host' and l.id = h.id
left join cluster cl on cl.id = h.cluster_id left join enterprise e on e.id = h.reserved_for
"""
_DATASTORE = f"""
select d.id, d.uuid, d.datacenter_id, d.name, d.pool, d.path, d.tier_id, t.name, d.shared,
  d.enabled, d.capacity_bytes, d.free_bytes, coalesce(l.disk_used, 0), {OVER}, {{problem}}
from datastore d left join ledger l on l.kind = 'datastore' and l.id = d.id
left join tier t on t.id = d.tier_id
"""


async def datacenters(c: Connection) -> list[Datacenter]:
    """All datacenters, by name."""
    rows = await c.fetch(_DATACENTER + "order by d.name")
    return [Datacenter(*row.values()) for row in rows]


async def regions(c: Connection, type_: str) -> list[Datacenter]:
    """The datacenters that have hosts of this type and of no other, by name."""
    only = "(select datacenter_id from host group by 1 having bool_and(type = $1))"
    rows = await c.fetch(f"{_DATACENTER} where d.id in {only} order by d.name", type_)
    return [Datacenter(*row.values()) for row in rows]


async def datacenter(c: Connection, datacenter_id: int) -> Datacenter | None:
    """One datacenter."""
    row = await c.fetchrow(_DATACENTER + "where d.id = $1", datacenter_id)
    return Datacenter(*row.values()) if row else None


async def racks(c: Connection, datacenter_id: int) -> list[Rack]:
    """The racks of a datacenter, by name."""
    rows = await c.fetch(
        """select id, datacenter_id, name, description from rack where datacenter_id = $1
           order by name""",
        datacenter_id,
    )
    return [Rack(*row.values()) for row in rows]


async def rack(c: Connection, datacenter_id: int, rack_id: int) -> Rack | None:
    """One rack of a datacenter."""
    row = await c.fetchrow(
        """select id, datacenter_id, name, description from rack
           where datacenter_id = $1 and id = $2""",
        datacenter_id,
        rack_id,
    )
    return Rack(*row.values()) if row else None


async def hosts(c: Connection, rack_id: int | None = None) -> list[HostRow]:
    """The hosts of a rack, or all, by name."""
    rows = await c.fetch(
        _HOST + "where $1::bigint is null or h.rack_id = $1 order by h.name, h.id", rack_id
    )
    return [HostRow(*row.values()) for row in rows]


async def host(c: Connection, host_id: int) -> HostRow | None:
    """One host."""
    row = await c.fetchrow(_HOST + "where h.id = $1", host_id)
    return HostRow(*row.values()) if row else None


async def add_host(c: Connection, new: NewHost) -> int | None:
    """A new host's id; None when its hypervisor has one of that name, or anybody its endpoint."""
    made: int | None = await c.fetchval(
        """insert into host (rack_id, datacenter_id, hypervisor, name, type, address, description,
             state, networks, endpoint) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
           on conflict do nothing returning id""",
        new.rack_id,
        new.datacenter_id,
        new.hypervisor,
        new.name,
        new.type,
        new.address,
        new.description,
        new.state,
        new.networks,
        new.endpoint,
    )
    return made


async def edit_host(c: Connection, host_id: int, state: str, description: str) -> None:
    """Change whether a host takes VMs, and what people read of it."""
    await c.execute(
        "update host set state = $2, description = $3 where id = $1", host_id, state, description
    )


async def drop_host(c: Connection, host_id: int) -> bool:
    """Forget a host and the datastores only it sees; False while VMs or holds have room there."""
    await rule_set.lock_exclusive(c)  # no claim is in flight, which would need the row we lock
    done = await c.fetchval(
        """delete from host where id = $1 and not exists (select from vm where host_id = $1)
           and not exists (select from promised where host_id = $1) returning true""",
        host_id,
    )
    return bool(done)


async def datastores(c: Connection, host_id: int) -> list[DatastoreRow]:
    """The datastores a host sees, by name."""
    rows = await c.fetch(
        _DATASTORE.format(problem="hd.problem")
        + """join host_datastore hd on hd.datastore_id = d.id where hd.host_id = $1
             order by d.name""",
        host_id,
    )
    return [DatastoreRow(*row.values()) for row in rows]


async def datastores_of(c: Connection, datacenter_id: int) -> list[DatastoreRow]:
    """The datastores of a datacenter, by name."""
    rows = await c.fetch(
        _DATASTORE.format(problem="''") + "where d.datacenter_id = $1 order by d.name",
        datacenter_id,
    )
    return [DatastoreRow(*row.values()) for row in rows]


async def link_datastores(c: Connection, host_id: int, names: list[str]) -> list[str]:
    """Have a host see datastores of its datacenter by name; the names that were not found."""
    rows = await c.fetch(
        """with found as (
             select d.id, d.name from datastore d join host h on h.datacenter_id = d.datacenter_id
             where h.id = $1 and d.name = any($2)),
           linked as (
             insert into host_datastore select $1, id from found on conflict do nothing)
           select name from found""",
        host_id,
        names,
    )
    return sorted(set(names) - {row["name"] for row in rows})


async def set_datastore_enabled(c: Connection, datastore_id: int, enabled: bool) -> None:
    """Whether new disks may go to a datastore."""
    await c.execute("update datastore set enabled = $2 where id = $1", datastore_id, enabled)


@dataclass(frozen=True, slots=True)
class Reach:
    """How a driver reaches a host; `pools` are the host's own names of its datastores, `shared`
    those of them that other hosts see too."""

    hypervisor: str
    name: str
    address: str
    networks: dict[str, str]
    pools: tuple[str, ...]
    shared: tuple[str, ...]


async def links(c: Connection) -> list[Reach]:
    """How to reach each host."""
    rows = await c.fetch(
        """select h.hypervisor, h.name, h.address, h.networks,
             coalesce(array_agg(d.pool order by d.id) filter (where d.id is not null), '{}') pools,
             coalesce(array_agg(d.pool order by d.id) filter (where d.shared), '{}') shared
           from host h left join host_datastore hd on hd.host_id = h.id
           left join datastore d on d.id = hd.datastore_id group by h.id order by h.id"""
    )
    return [
        Reach(**{**row, "pools": tuple(row["pools"]), "shared": tuple(row["shared"])})
        for row in rows
    ]


async def host_of_vm(c: Connection, vm_id: int) -> tuple[str, str] | None:
    """The (hypervisor, host) a VM is on."""
    row = await c.fetchrow(
        """select h.hypervisor, h.name from vm join host h on h.id = vm.host_id
           where vm.id = $1""",
        vm_id,
    )
    return (row["hypervisor"], row["name"]) if row else None


async def unseen(c: Connection, hypervisors: list[str]) -> int:
    """How many hosts were never seen."""
    count: int = await c.fetchval(
        "select count(*) from host where hypervisor = any($1) and observed_at is null", hypervisors
    )
    return count
