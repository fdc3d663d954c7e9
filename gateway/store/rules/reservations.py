"""Reservations: hosts that take VMs of one enterprise only, enterprises that use no others."""

from gateway.store.db.pool import Connection


async def lock(c: Connection, host_id: int) -> tuple[int | None] | None:
    """Whom a host is reserved for, its row locked; None when there is no such host.

    Called before the rules are held; who lives there is asked after, with no claim in flight.
    """
    row = await c.fetchrow("select reserved_for from host where id = $1 for no key update", host_id)
    return None if row is None else (row["reserved_for"],)


async def residents(c: Connection, host_id: int) -> set[int]:
    """The enterprises that have a VM on a host, or room booked or held there."""
    rows = await c.fetch(
        """select distinct v.enterprise_id from vm v
           where v.host_id = $1
           union select enterprise_id from promised
           where host_id = $1 and enterprise_id is not null""",
        host_id,
    )
    return {row["enterprise_id"] for row in rows}


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
