"""What a configuration declares is put into the record; again with the same changes nothing.

What administrators change over the API stays: a host's state, a datastore's being enabled.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.store.db.pool import Connection

_LOCK_KEY = 0x766D_6465_636C
_HOST = """
insert into host as h (rack_id, datacenter_id, hypervisor, name, type, address, description,
  networks, state, endpoint)
select r.id, r.datacenter_id, $2, $3, $4, $5, $6, $7, $8, $9 from rack r where r.id = $1
on conflict (hypervisor, name) do update set rack_id = excluded.rack_id,
  datacenter_id = excluded.datacenter_id, type = excluded.type, address = excluded.address,
  networks = excluded.networks, endpoint = excluded.endpoint, cluster_id =
    (select c.id from cluster c where c.id = h.cluster_id and c.rack_id = excluded.rack_id)
returning id
"""
_TEMPLATE = """
insert into template (datacenter_id, enterprise_id, name, description, source, disk_format,
  disk_bytes, cpu, ram_mib, os_type, types)
values ($1, (select id from enterprise where name = $2), $3, $4, $5, $6, $7, $8, $9, $10, $11)
on conflict (datacenter_id, name) do update set enterprise_id = excluded.enterprise_id,
  description = excluded.description, source = excluded.source,
  disk_format = excluded.disk_format, disk_bytes = excluded.disk_bytes, cpu = excluded.cpu,
  ram_mib = excluded.ram_mib, os_type = excluded.os_type, types = excluded.types
"""
_USER = """
insert into app_user (nick, enterprise_id, name, surname, email, privileges, password_hash)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (nick) do update set enterprise_id = excluded.enterprise_id, name = excluded.name,
  surname = excluded.surname, email = excluded.email, privileges = excluded.privileges,
  password_hash = excluded.password_hash, active = true
returning id
"""
_DEACTIVATE = """
with gone as (
  update app_user set active = false where active and nick <> all($1)
  returning id, nick, enterprise_id
), tokens as (delete from token using gone where user_id = gone.id)
select id, nick, enterprise_id from gone order by nick
"""


@dataclass(frozen=True, slots=True)
class DeclaredHost:
    """A host of a rack."""

    hypervisor: str
    name: str
    type: str
    address: str
    description: str
    networks: dict[str, str]
    state: str
    datastores: list[str]
    endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class DeclaredTemplate:
    """A template; `enterprise` None is for all."""

    enterprise: str | None
    name: str
    description: str
    source: str
    disk_format: str
    disk_bytes: int
    cpu: int
    ram_mib: int
    os_type: str
    types: list[str]


@dataclass(frozen=True, slots=True)
class DeclaredUser:
    """A user; the password as its hash."""

    nick: str
    enterprise_id: int
    name: str
    surname: str
    email: str
    privileges: list[str]
    password_hash: str


async def alone(c: Connection) -> None:
    """One process at a time loads declarations, to the end of its transaction."""
    await c.execute("select pg_advisory_xact_lock($1)", _LOCK_KEY)


async def enterprise(c: Connection, name: str) -> int:
    """Its id."""
    await c.execute("insert into enterprise (name) values ($1) on conflict do nothing", name)
    found: int = await c.fetchval("select id from enterprise where name = $1", name)
    return found


async def hash_of(c: Connection, nick: str) -> str | None:
    """The hash kept for a user."""
    found: str | None = await c.fetchval("select password_hash from app_user where nick = $1", nick)
    return found


@dataclass(frozen=True, slots=True)
class ChangedUser:
    """A user whose access began again or ended."""

    id: int
    nick: str
    enterprise_id: int


async def user(c: Connection, one: DeclaredUser) -> ChangedUser | None:
    """Write a user as declared; returns it if it was inactive until now.

    A changed password ends the tokens that were made with the old one.
    """
    was = await c.fetchrow("select active, password_hash from app_user where nick = $1", one.nick)
    found = await c.fetchval(
        _USER,
        one.nick,
        one.enterprise_id,
        one.name,
        one.surname,
        one.email,
        one.privileges,
        one.password_hash,
    )
    if was is None:
        return None
    if was["password_hash"] != one.password_hash:
        await c.execute("delete from token where user_id = $1", found)
    return None if was["active"] else ChangedUser(found, one.nick, one.enterprise_id)


async def deactivate_all_but(c: Connection, nicks: Sequence[str]) -> list[ChangedUser]:
    """Make every other user inactive and delete their tokens; returns those who were active."""
    rows = await c.fetch(_DEACTIVATE, nicks)
    return [ChangedUser(**row) for row in rows]


async def datacenter(c: Connection, name: str, location: str) -> tuple[int, bool]:
    """Its id, and whether it is new."""
    made = await c.fetchval(
        """insert into datacenter (name, location) values ($1, $2)
           on conflict (name) do nothing returning id""",
        name,
        location,
    )
    if made is not None:
        return made, True
    await c.execute("update datacenter set location = $2 where name = $1", name, location)
    return await c.fetchval("select id from datacenter where name = $1", name), False


async def rack(c: Connection, datacenter_id: int, name: str, description: str) -> int:
    """Its id."""
    found: int = await c.fetchval(
        """insert into rack (datacenter_id, name, description) values ($1, $2, $3)
           on conflict (datacenter_id, name) do update set description = excluded.description
           returning id""",
        datacenter_id,
        name,
        description,
    )
    return found


async def datastore(
    c: Connection, datacenter_id: int, name: str, columns: Sequence[object]
) -> None:
    """One with (pool, shared, enabled, tier's id, path); without a tier it keeps the one it has."""
    await c.execute(
        """insert into datastore as d (datacenter_id, name, pool, shared, enabled, tier_id, path)
           values ($1, $2, $3, $4, $5, $6, $7)
           on conflict (datacenter_id, name) do update set pool = excluded.pool,
             shared = excluded.shared, tier_id = coalesce(excluded.tier_id, d.tier_id),
             path = excluded.path""",
        datacenter_id,
        name,
        *columns,
    )


async def tier(c: Connection, datacenter_id: int, name: str) -> int:
    """The id of the datacenter's tier of that name, made when there is none."""
    await c.execute(
        "insert into tier (datacenter_id, name) values ($1, $2) on conflict do nothing",
        datacenter_id,
        name,
    )
    found: int = await c.fetchval(
        "select id from tier where datacenter_id = $1 and name = $2", datacenter_id, name
    )
    return found


async def host(c: Connection, rack_id: int, one: DeclaredHost) -> int:
    """Its id; it sees the datastores of its datacenter that it names, and no others, and is in
    no cluster of another rack."""
    found: int = await c.fetchval(
        _HOST,
        rack_id,
        one.hypervisor,
        one.name,
        one.type,
        one.address,
        one.description,
        one.networks,
        one.state,
        one.endpoint,
    )
    await c.execute(
        """delete from host_datastore using datastore d, host h where host_id = $1 and h.id = $1
             and d.id = datastore_id
             and (d.name <> all($2) or d.datacenter_id <> h.datacenter_id)""",
        found,
        one.datastores,
    )
    await c.execute(
        """insert into host_datastore select h.id, d.id from host h
             join datastore d on d.datacenter_id = h.datacenter_id
             where h.id = $1 and d.name = any($2) on conflict do nothing""",
        found,
        one.datastores,
    )
    return found


async def template(c: Connection, datacenter_id: int, one: DeclaredTemplate) -> None:
    """A template as declared."""
    await c.execute(
        _TEMPLATE,
        datacenter_id,
        one.enterprise,
        one.name,
        one.description,
        one.source,
        one.disk_format,
        one.disk_bytes,
        one.cpu,
        one.ram_mib,
        one.os_type,
        one.types,
    )


async def element(c: Connection, datacenter_id: int, level: str, name: str) -> int:
    """The id of a rack, host (`machine`) or datastore of a datacenter by its name."""
    table = {"rack": "rack", "machine": "host", "datastore": "datastore"}[level]
    found: int = await c.fetchval(
        f"select id from {table} where datacenter_id = $1 and name = $2", datacenter_id, name
    )
    return found


async def fit_policy(c: Connection) -> None:
    """There is always one fit policy for everything."""
    await c.execute(
        """insert into rule (kind, level, fit_policy) select 'fit_policy', 'global', 'PROGRESSIVE'
           where not exists (select from rule where kind = 'fit_policy')"""
    )
