"""Reservations: hosts that take VMs of one enterprise only, enterprises that use no others."""

from dataclasses import dataclass

from gateway.store.pool import Connection


@dataclass(frozen=True, slots=True)
class Reserved:
    """Who a host is for (None: anybody), and the enterprises that have VMs there, by id."""

    owner: int | None
    residents: tuple[int, ...]


async def of_host(c: Connection, host_id: int) -> Reserved | None:
    """A host's reservation, its row locked; no claim is in flight once the rules are held."""
    row = await c.fetchrow("select reserved_for from host where id = $1 for update", host_id)
    if row is None:
        return None
    residents = await c.fetch(
        """select distinct v.enterprise_id from vm v
           where v.host_id = $1 or exists (
             select from booking b where b.vm_id = v.id and b.host_id = $1)
           order by v.enterprise_id""",
        host_id,
    )
    return Reserved(row["reserved_for"], tuple(each["enterprise_id"] for each in residents))


async def hosts_of(c: Connection, enterprise_id: int) -> list[int]:
    """The hosts reserved to an enterprise."""
    rows = await c.fetch(
        "select id from host where reserved_for = $1 order by name, id", enterprise_id
    )
    return [row["id"] for row in rows]


async def reserve(c: Connection, host_id: int, enterprise_id: int | None) -> None:
    """Keep a host for an enterprise, or for none."""
    await c.execute("update host set reserved_for = $2 where id = $1", host_id, enterprise_id)


async def restrict(c: Connection, enterprise_id: int, restricted: bool) -> None:
    """Whether an enterprise uses only the hosts reserved to it."""
    await c.execute(
        "update enterprise set reservation_restricted = $2 where id = $1",
        enterprise_id,
        restricted,
    )
