"""Users, what they may do, and their tokens."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from gateway.store.pool import Connection


@dataclass(frozen=True, slots=True)
class User:
    """A user; `password_hash` is argon2's."""

    id: int
    nick: str
    enterprise_id: int
    enterprise: str
    name: str
    surname: str
    email: str
    locale: str
    active: bool
    password_hash: str = field(repr=False)
    privileges: frozenset[str]


_SELECT = """
select u.id, u.nick, u.enterprise_id, e.name enterprise, u.name, u.surname, u.email, u.locale,
  u.active, u.password_hash, u.privileges
from app_user u join enterprise e on e.id = u.enterprise_id
"""


def _user(row: Iterable[tuple[str, Any]]) -> User:
    values = dict(row)
    return User(**{**values, "privileges": frozenset(values["privileges"])})


async def by_nick(c: Connection, nick: str) -> User | None:
    """The user who logs in as `nick`."""
    row = await c.fetchrow(_SELECT + "where u.nick = $1", nick)
    return _user(row.items()) if row else None


async def get(c: Connection, user_id: int) -> User | None:
    """A user by number."""
    row = await c.fetchrow(_SELECT + "where u.id = $1", user_id)
    return _user(row.items()) if row else None


async def of_enterprise(c: Connection, enterprise_id: int) -> list[User]:
    """All users of an enterprise, by nick."""
    rows = await c.fetch(_SELECT + "where u.enterprise_id = $1 order by u.nick", enterprise_id)
    return [_user(row.items()) for row in rows]


def _digest(token: str) -> bytes:
    """Tokens are random and long: a plain hash keeps a stolen table from being usable."""
    return hashlib.sha256(token.encode()).digest()


async def keep_token(c: Connection, token: str, user_id: int, lasts_s: int) -> None:
    """Remember a token for `lasts_s` seconds, and forget those that have ended."""
    await c.execute("delete from token where expires_at < clock_timestamp()")
    await c.execute(
        """insert into token (digest, user_id, expires_at)
           values ($1, $2, clock_timestamp() + make_interval(secs => $3))""",
        _digest(token),
        user_id,
        float(lasts_s),
    )


async def by_token(c: Connection, token: str) -> User | None:
    """The user a token stands for, while it lasts."""
    row = await c.fetchrow(
        _SELECT
        + """join token t on t.user_id = u.id
             where t.digest = $1 and t.expires_at > clock_timestamp()""",
        _digest(token),
    )
    return _user(row.items()) if row else None


async def drop_token(c: Connection, token: str) -> None:
    """Forget a token."""
    await c.execute("delete from token where digest = $1", _digest(token))
