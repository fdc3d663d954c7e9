"""The guard: every route goes through it, says who calls, and lets through who may.

Verified credentials are remembered for a few minutes under a keyed hash, never as they are.
"""

import base64
import binascii
import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from enum import Enum

from aiohttp import web

from gateway.api import media, passwords
from gateway.api.costly_requests import COSTLY, is_costly
from gateway.api.privileges import ALL_PRIVILEGES, EVERYTHING
from gateway.api.services import CALLER, SERVICES, USER, Services
from gateway.denial import Denied, Kind
from gateway.store import users
from gateway.store.users import User
from gateway.tasks.submission import Caller

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
REMEMBERED_S = 180.0
REMEMBERED_MAX = 10_000
TOKEN_LASTS_S = 30 * 60
COOKIE = "auth"
CREDENTIALS_MAX = 4096


class Access(Enum):
    """Routes that need no privilege: for whoever is logged in, or for everybody."""

    LOGGED_IN = "LOGGED_IN"
    PUBLIC = "PUBLIC"


class Remembered:
    """Callers whose credentials were verified lately."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._known: OrderedDict[bytes, tuple[float, User]] = OrderedDict()

    def key(self, credentials: str) -> bytes:
        """Credentials as they are remembered."""
        return hmac.digest(self._secret, credentials.encode(), hashlib.sha256)

    def get(self, key: bytes) -> User | None:
        """The user, while remembered."""
        found = self._known.get(key)
        if found is None or found[0] < time.monotonic():
            self._known.pop(key, None)
            return None
        return found[1]

    def put(self, key: bytes, user: User) -> None:
        """Remember a user; the oldest go when there are too many."""
        self._known[key] = (time.monotonic() + REMEMBERED_S, user)
        while len(self._known) > REMEMBERED_MAX:
            self._known.popitem(last=False)

    def forget(self, key: bytes) -> None:
        """The credentials were given up."""
        self._known.pop(key, None)


REMEMBERED = web.AppKey("remembered", Remembered)


def guarded(handler: Handler, needs: str | Access) -> Handler:
    """`handler`, behind authentication and the privilege it needs."""

    async def through(request: web.Request) -> web.StreamResponse:
        media.require_acceptable(request)
        if needs is Access.PUBLIC:
            return await handler(request)
        user = await authenticate(request)
        caller = caller_of(user)
        if not isinstance(needs, Access) and needs not in caller.privileges:
            raise Denied(
                Kind.FORBIDDEN, "403-FORBIDDEN", f"This needs the privilege {needs}", field=needs
            )
        request[USER] = user
        request[CALLER] = caller
        if not is_costly(request):
            return await handler(request)
        async with request.app[COSTLY].turn(caller.user_id):
            return await handler(request)

    return through


def caller_of(user: User) -> Caller:
    """The user as the rest of the gateway knows it."""
    privileges: frozenset[str] = (
        ALL_PRIVILEGES if EVERYTHING in user.privileges else user.privileges
    )
    return Caller(user.id, user.enterprise_id, user.nick, privileges)


async def authenticate(request: web.Request) -> User:
    """Who calls, by Basic, token or cookie; Denied 401 otherwise."""
    given = _credentials(request)
    if given is None or len(given) > CREDENTIALS_MAX:
        raise _unauthenticated()
    remembered = request.app[REMEMBERED]
    key = remembered.key(given)
    user = remembered.get(key)
    if user is None:
        user = await _verified(request.app[SERVICES], given)
        remembered.put(key, user)
    return user


def token_of(request: web.Request) -> str | None:
    """The token the request carries, if it carries one."""
    given = _credentials(request)
    return given.removeprefix("token ") if given and given.startswith("token ") else None


def _credentials(request: web.Request) -> str | None:
    """`basic user:password` or `token t`; None for none."""
    header = request.headers.get("Authorization")
    if header is None:
        cookie = request.cookies.get(COOKIE)
        return f"token {cookie}" if cookie else None
    scheme, _, rest = header.partition(" ")
    match scheme.lower():
        case "token":
            return f"token {rest.strip()}"
        case "basic":
            try:
                return f"basic {base64.b64decode(rest, validate=True).decode()}"
            except (binascii.Error, UnicodeDecodeError):
                raise _unauthenticated() from None
        case _:
            raise _unauthenticated()


async def _verified(services: Services, given: str) -> User:
    kind, _, rest = given.partition(" ")
    if kind == "token":
        async with services.store.read() as c:
            user = await users.by_token(c, rest)
        if user is None or not user.active:
            raise _unauthenticated()
        return user
    nick, colon, password = rest.partition(":")
    if "\x00" in nick:
        raise _unauthenticated()
    async with services.store.read() as c:
        user = await users.by_nick(c, nick) if colon else None
    if not await passwords.verify(user.password_hash if user else None, password):
        raise _unauthenticated()
    if user is None or not user.active:
        raise _unauthenticated()
    return user


def _unauthenticated() -> Denied:
    return Denied(
        Kind.UNAUTHENTICATED, "401-UNAUTHORIZED", "Log in with Basic credentials or a token"
    )
