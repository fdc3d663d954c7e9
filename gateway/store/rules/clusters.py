"""Clusters: some hosts of one rack that a rule may be about; a host is in one at most."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.store.db.pool import Connection


@dataclass(frozen=True, slots=True)
class HostCluster:
    """`hosts` are (id, name), by id."""

    id: int
    datacenter_id: int
    rack_id: int
    name: str
    hosts: tuple[tuple[int, str], ...]


_SELECT = """
select cl.id, k.datacenter_id, cl.rack_id, cl.name,
  (select coalesce(array_agg(h.id order by h.id), '{}') from host h where h.cluster_id = cl.id) ids,
  (select coalesce(array_agg(h.name order by h.id), '{}') from host h where h.cluster_id = cl.id)
    names
from cluster cl join rack k on k.id = cl.rack_id
where cl.rack_id = $1 and ($2::bigint is null or cl.id = $2)
order by cl.name
"""


async def of_rack(c: Connection, rack_id: int, cluster_id: int | None = None) -> list[HostCluster]:
    """The clusters of a rack by name, or the one with that id."""
    return [
        HostCluster(
            row["id"],
            row["datacenter_id"],
            row["rack_id"],
            row["name"],
            tuple(zip(row["ids"], row["names"], strict=True)),
        )
        for row in await c.fetch(_SELECT, rack_id, cluster_id)
    ]


async def add(c: Connection, rack_id: int, name: str) -> int | None:
    """A new, empty cluster's id; None when the rack has one of that name."""
    made: int | None = await c.fetchval(
        """insert into cluster (rack_id, name) values ($1, $2)
           on conflict (rack_id, name) do nothing returning id""",
        rack_id,
        name,
    )
    return made


async def rename(c: Connection, cluster_id: int, name: str) -> bool:
    """Give a cluster another name; False when its rack has one of that name."""
    done = await c.fetchval(
        """update cluster cl set name = $2 where id = $1 and not exists (
             select from cluster o where o.rack_id = cl.rack_id and o.name = $2 and o.id <> $1)
           returning true""",
        cluster_id,
        name,
    )
    return bool(done)


async def lock_hosts(c: Connection, cluster_id: int | None, hosts: Sequence[int] = ()) -> None:
    """Lock these hosts and those of the cluster, in order; before the rules are held."""
    await c.execute(
        """select from host where id = any($2) or cluster_id = $1
           order by id for no key update""",
        cluster_id,
        list(hosts),
    )


async def strangers(
    c: Connection, rack_id: int, cluster_id: int | None, hosts: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Of these hosts those that are not of the rack, and those that are in another cluster."""
    rows = await c.fetch(
        "select id, cluster_id from host where rack_id = $1 and id = any($2)",
        rack_id,
        list(hosts),
    )
    taken = [row["id"] for row in rows if row["cluster_id"] not in (None, cluster_id)]
    return sorted({*hosts} - {row["id"] for row in rows}), sorted(taken)


async def set_hosts(c: Connection, cluster_id: int, hosts: Sequence[int]) -> None:
    """Have a cluster consist of exactly these hosts."""
    await c.execute(
        """update host set cluster_id = case when id = any($2) then $1 end
           where id = any($2) or cluster_id = $1""",
        cluster_id,
        list(hosts),
    )


async def drop(c: Connection, cluster_id: int) -> None:
    """Forget a cluster; its hosts stay."""
    await c.execute("delete from cluster where id = $1", cluster_id)
