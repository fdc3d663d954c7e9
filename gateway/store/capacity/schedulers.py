"""Which processes place VMs now; one that does not renew its lease is not counted."""

from gateway.store.db.pool import Connection

_STAY = """
insert into scheduler_member (name, lease_until)
values ($1, clock_timestamp() + make_interval(secs => $2))
on conflict (name) do update set lease_until = excluded.lease_until
"""
_LIVE = "select name from scheduler_member where lease_until > clock_timestamp() order by name"
_SWEEP = "delete from scheduler_member where lease_until < clock_timestamp() - interval '1 hour'"


async def stay(c: Connection, name: str, lease_s: float) -> list[str]:
    """Count `name` for `lease_s` more seconds; all that are counted, in order."""
    await c.execute(_STAY, name, lease_s)
    await c.execute(_SWEEP)
    return [row["name"] for row in await c.fetch(_LIVE)]


async def leave(c: Connection, name: str) -> None:
    """Do not count `name` any more."""
    await c.execute("delete from scheduler_member where name = $1", name)
