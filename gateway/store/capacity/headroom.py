"""How much room hosts and their datastores have by the ledger, for people to compare."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.store.db.pool import Connection

_HOSTS = """
select host.id, host.name, host.description, host.address, host.type, host.state, host.rack_id,
  host.datacenter_id, host.observed_at, coalesce(host.cpus, 0) as cpus,
  coalesce(host.memory_mib, 0) as memory_mib,
  coalesce(ledger.cpu_limit, host.cpus, 0) as cpu_limit,
  coalesce(ledger.cpu_used, 0) as cpu_used,
  coalesce(ledger.ram_limit, host.memory_mib, 0) as ram_limit_mib,
  coalesce(ledger.ram_used, 0) as ram_used_mib,
  (select count(*) from vm where vm.host_id = host.id and vm.known_state = 'ON') as running,
  host.mover
from host left join ledger on ledger.kind = 'host' and ledger.id = host.id
where host.id = any($1::bigint[])
"""
_DATASTORES = """
select host_datastore.host_id, datastore.id, datastore.name, datastore.path, datastore.uuid,
  datastore.enabled, datastore.shared,
  coalesce(ledger.disk_limit, datastore.capacity_bytes, 0) as limit_bytes,
  coalesce(ledger.disk_used, 0) as used_bytes,
  coalesce(datastore.capacity_bytes, 0) as capacity_bytes
from host_datastore
  join datastore on datastore.id = host_datastore.datastore_id
  left join ledger on ledger.kind = 'datastore' and ledger.id = datastore.id
where host_datastore.host_id = any($1::bigint[]) and host_datastore.problem = ''
order by host_datastore.host_id, datastore.id
"""


@dataclass(frozen=True, slots=True)
class DatastoreRoom:
    """A datastore seen by a host; sizes in bytes, the limit as the rules allow."""

    host_id: int
    id: int
    name: str
    path: str
    uuid: object
    enabled: bool
    shared: bool
    limit_bytes: int
    used_bytes: int
    capacity_bytes: int


@dataclass(frozen=True, slots=True)
class HostRoom:
    """A host: physical size, what the rules allow of it and what is promised (CPUs, MiB).

    `running` counts the VMs last known to be ON there; `observed_at` is when it was last seen.
    `mover` is who else moves its VMs.
    """

    id: int
    name: str
    description: str
    address: str
    type: str
    state: str
    rack_id: int
    datacenter_id: int
    observed_at: datetime | None
    cpus: int
    memory_mib: int
    cpu_limit: int
    cpu_used: int
    ram_limit_mib: int
    ram_used_mib: int
    running: int
    mover: str
    datastores: tuple[DatastoreRoom, ...]


async def of_hosts(c: Connection, host_ids: Sequence[int]) -> dict[int, HostRoom]:
    """The room on each of these hosts, by id; a host that is gone is left out."""
    found = await c.fetch(_DATASTORES, list(host_ids))
    places = [DatastoreRoom(**row) for row in found]
    rows = await c.fetch(_HOSTS, list(host_ids))
    return {
        row["id"]: HostRoom(
            **row, datastores=tuple(each for each in places if each.host_id == row["id"])
        )
        for row in rows
    }


async def mover(c: Connection, vm_id: int, target: int | None) -> str:
    """Who else moves VMs of the host that the VM is on, or of the target; empty where nobody
    does."""
    found = await c.fetchval(
        """select max(h.mover) from host h
           where h.id = $2 or h.id = (select host_id from vm where id = $1)""",
        vm_id,
        target,
    )
    return found or ""


async def exists(c: Connection, host_id: int) -> bool:
    """Whether there is a host with this id."""
    return bool(await c.fetchval("select true from host where id = $1", host_id))
