"""Which host an address belongs to: each endpoint is one host's of one block."""

from collections.abc import Mapping
from dataclasses import dataclass

import asyncpg

from gateway.store.db.pool import Connection, StoreConflict


@dataclass(frozen=True, slots=True)
class AddressRow:
    """A host with its address and the endpoint that this was read as, None for none."""

    id: int
    hypervisor: str
    name: str
    address: str
    endpoint: str | None


_ROW = "select id, hypervisor, name, address, endpoint from host"


async def all_rows(c: Connection) -> list[AddressRow]:
    """All hosts, the oldest first."""
    rows = await c.fetch(f"{_ROW} order by id")
    return [AddressRow(*row.values()) for row in rows]


async def owner(c: Connection, endpoint: str | None) -> AddressRow | None:
    """The host that has an endpoint."""
    row = await c.fetchrow(f"{_ROW} where endpoint = $1", endpoint)
    return AddressRow(*row.values()) if row else None


async def change(
    c: Connection, host_id: int, address: str, endpoint: str | None
) -> AddressRow | None:
    """Give a host another address, unless another host has it: that one. Raises StoreConflict."""
    other = await owner(c, endpoint)
    if other is not None and other.id != host_id:
        return other
    try:
        await c.execute(
            """update host set address = $2, endpoint = $3, reachable = false, observed_at = null,
                 unreachable_since = null, reason = '' where id = $1""",
            host_id,
            address,
            endpoint,
        )
    except asyncpg.UniqueViolationError as taken:
        raise StoreConflict("another host was given that address just now") from taken
    return None


async def keep_endpoints(c: Connection, endpoints: Mapping[int, str | None]) -> None:
    """Write what the addresses of hosts, by id, were read as. Raises StoreConflict."""
    ids, values = list(endpoints), list(endpoints.values())
    try:
        # First none, since hosts may have swapped theirs.
        await c.execute("update host set endpoint = null where id = any($1)", ids)
        await c.execute(
            """update host h set endpoint = n.endpoint
               from unnest($1::bigint[], $2::text[]) n(id, endpoint) where h.id = n.id""",
            ids,
            values,
        )
    except asyncpg.UniqueViolationError as taken:
        raise StoreConflict("another host was given an address just now") from taken
