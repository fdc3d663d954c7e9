"""Each VM has one interface on its virtual datacenter's default network.

The MAC follows from the VM's uuid (first byte 02: locally administered, unicast); the address
is the lowest free one of the network's pool, taken under a lock on the network.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from uuid import UUID

from gateway.denial import ApiError, ErrorKind
from gateway.store.db.pool import Connection

Address = IPv4Address | IPv6Address

_SALTS = 8
_SELECT = """
select nic.id, nic.vm_id, nic.n, nic.mac, nic.network_id, host(nic.address) as address,
  network.name as network_name, network.virtualdatacenter_id
from nic join network on network.id = nic.network_id
"""
# The lowest free address is the first of the pool, or follows a taken one or the gateway.
_FREE = """
with taken as (
  select address from nic where network_id = $1
  union all select gateway from network where id = $1 and gateway is not null),
candidate as (
  select $2::inet as address
  union all select address + 1 from taken where address >= $2::inet and address < $3::inet)
select min(address) from candidate
where address <= $3::inet and not exists (
  select from taken where taken.address = candidate.address)
"""


@dataclass(frozen=True, slots=True)
class StoredNic:
    """A VM's interface `n` with its address on a network."""

    id: int
    vm_id: int
    n: int
    mac: str
    network_id: int
    address: str
    network_name: str
    virtualdatacenter_id: int


def mac_of(vm: UUID, n: int, salt: int = 0) -> str:
    """The MAC of interface `n`: 02 and five bytes that follow from the VM's uuid.

    `salt` is 0 save for the rare uuid whose MAC is already taken.
    """
    seed = vm.bytes + bytes((n, salt))
    return ":".join(f"{byte:02x}" for byte in b"\x02" + hashlib.sha256(seed).digest()[:5])


def pool_of(network: IPv4Network | IPv6Network) -> tuple[Address, Address]:
    """The first and the last address that interfaces may have."""
    first, last = network[0], network[-1]
    if network.num_addresses <= 2:
        return first, last
    return first + 1, last - 1 if network.version == 4 else last


async def attach(c: Connection, vm_id: int, vm: UUID, virtualdatacenter_id: int) -> None:
    """Give a new VM its interface, in the transaction that makes the VM.

    A virtual datacenter without a network gives none. ApiError (CONFLICT) when every address
    of the pool is taken.
    """
    network = await c.fetchrow(
        """select id, name, address from network where virtualdatacenter_id = $1
           order by is_default desc, id limit 1 for update""",
        virtualdatacenter_id,
    )
    if network is None:
        return
    first, last = pool_of(network["address"])
    address = await c.fetchval(_FREE, network["id"], first, last)
    if address is None:
        raise ApiError(
            ErrorKind.CONFLICT,
            "409-CONFLICT",
            f"No free address is left in network {network['name']} ({network['address']})",
        )
    for salt in range(_SALTS):
        made = await c.fetchval(
            """insert into nic (vm_id, network_id, n, address, mac) values ($1, $2, 0, $3, $4)
               on conflict (mac) do nothing returning id""",
            vm_id,
            network["id"],
            address,
            mac_of(vm, 0, salt),
        )
        if made is not None:
            return
    raise ApiError(ErrorKind.CONFLICT, "409-CONFLICT", f"No free MAC address is left for {vm}")


async def of_vms(c: Connection, vm_ids: Sequence[int]) -> dict[int, tuple[StoredNic, ...]]:
    """The interfaces of these VMs, in order, by VM id."""
    rows = await c.fetch(
        f"{_SELECT} where nic.vm_id = any($1::bigint[]) order by nic.vm_id, nic.n", list(vm_ids)
    )
    found: dict[int, tuple[StoredNic, ...]] = {}
    for row in rows:
        found[row["vm_id"]] = (*found.get(row["vm_id"], ()), StoredNic(**row))
    return found


async def get(c: Connection, network_id: int, nic_id: int) -> StoredNic | None:
    """One interface of a network, or None."""
    row = await c.fetchrow(
        f"{_SELECT} where nic.id = $2 and nic.network_id = $1", network_id, nic_id
    )
    return None if row is None else StoredNic(**row)
