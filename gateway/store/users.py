"""Users, what they may do, and their tokens."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from gateway.store.db.pool import Connection


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


@dataclass(frozen=True, slots=True)
class Bearer:
    """The user of a token, its session, and how many seconds it is still good."""

    user: User
    session_id: UUID
    left_s: float


SESSION_S = 12 * 3600.0
"""How long a session lasts from its log-in with a password, however often it is renewed."""
_BEGIN = """
insert into token (digest, user_id, expires_at, ends_at)
select $1, $2, now + make_interval(secs => least($3::float8, $4::float8)),
  now + make_interval(secs => $4::float8)
from clock_timestamp() now
returning extract(epoch from expires_at - clock_timestamp())::float8
"""
_EXCHANGE = """
with parent as (
  select * from token where digest = $1 and expires_at > clock_timestamp() for key share
)
insert into token (digest, user_id, expires_at, session_id, ends_at)
select $2, user_id, least(clock_timestamp() + make_interval(secs => $3::float8), ends_at),
  session_id, ends_at
from parent
returning extract(epoch from expires_at - clock_timestamp())::float8
"""
_BEARER = """
select u.id, u.nick, u.enterprise_id, e.name enterprise, u.name, u.surname, u.email, u.locale,
  u.active, u.password_hash, u.privileges, t.session_id,
  extract(epoch from t.expires_at - clock_timestamp())::float8 left_s
from token t join app_user u on u.id = t.user_id join enterprise e on e.id = u.enterprise_id
where t.digest = $1 and t.expires_at > clock_timestamp()
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


async def get_all(c: Connection, ids: Sequence[int]) -> dict[int, User]:
    """Return those of the users that exist, by number."""
    rows = await c.fetch(_SELECT + "where u.id = any($1)", ids)
    return {row["id"]: _user(row.items()) for row in rows}


async def of_enterprise(c: Connection, enterprise_id: int) -> list[User]:
    """All users of an enterprise, by nick."""
    rows = await c.fetch(_SELECT + "where u.enterprise_id = $1 order by u.nick", enterprise_id)
    return [_user(row.items()) for row in rows]


def _digest(token: str) -> bytes:
    """Tokens are random and long: a plain hash keeps a stolen table from being usable."""
    return hashlib.sha256(token.encode()).digest()


async def keep_token(
    c: Connection, token: str, user_id: int, lasts_s: float, session_s: float = SESSION_S
) -> float:
    """Begin a session with a token; returns how many seconds the token is good."""
    await c.execute("delete from token where expires_at < clock_timestamp()")
    left: float = await c.fetchval(_BEGIN, _digest(token), user_id, lasts_s, session_s)
    return left


async def exchange_token(c: Connection, parent: str, token: str, lasts_s: float) -> float | None:
    """Add a token to the session of `parent`; returns how many seconds it is good.

    It is good until the end of the session at most. None if `parent` is good no more.
    """
    await c.execute("delete from token where expires_at < clock_timestamp()")
    left: float | None = await c.fetchval(_EXCHANGE, _digest(parent), _digest(token), lasts_s)
    return left


async def by_token(c: Connection, token: str) -> Bearer | None:
    """The user a token stands for, and its session, while it lasts."""
    row = await c.fetchrow(_BEARER, _digest(token))
    if row is None:
        return None
    values = dict(row)
    session, left_s = values.pop("session_id"), values.pop("left_s")
    return Bearer(_user(values.items()), session, left_s)


async def end_session(c: Connection, token: str) -> UUID | None:
    """Delete all tokens of the session that `token` belongs to; returns the session."""
    session: UUID | None = await c.fetchval(
        "select session_id from token where digest = $1", _digest(token)
    )
    # An exchange that holds a row of the session is waited for: the deletion sees its token.
    await c.execute("select from token where session_id = $1 for update", session)
    await c.execute("delete from token where session_id = $1", session)
    return session
