"""The guard: every route goes through it, says who calls, and lets through who may."""

from collections.abc import Awaitable, Callable
from enum import Enum

from aiohttp import web

from gateway.api import credentials, media
from gateway.api.authenticator import Authenticator, unauthenticated
from gateway.api.costly_requests import COSTLY, cost_of
from gateway.api.credential_cache import CredentialCache, Verified
from gateway.api.credentials import Credentials, Malformed
from gateway.api.origin import require_own_origin
from gateway.api.refused_logins import Refusal, RefusedLogins
from gateway.api.services import CALLER, SERVICES, USER, Services
from gateway.config.privileges import ALL_PRIVILEGES, EVERYTHING
from gateway.denial import Denied, Kind
from gateway.store.users import User
from gateway.tasks.submission import Caller

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
AUTHENTICATOR = web.AppKey("authenticator", Authenticator)
CREDENTIALS = web.RequestKey("credentials", Credentials)


class Access(Enum):
    """Routes that need no privilege: for whoever is logged in, or for everybody."""

    LOGGED_IN = "LOGGED_IN"
    PUBLIC = "PUBLIC"


def guarded(handler: Handler, needs: str | Access) -> Handler:
    """`handler`, behind authentication and the privilege it needs."""

    async def through(request: web.Request) -> web.StreamResponse:
        media.require_acceptable(request)
        if needs is Access.PUBLIC:
            return await handler(request)
        user = (await authenticate(request)).user
        caller = caller_of(user)
        if not isinstance(needs, Access) and needs not in caller.privileges:
            raise Denied(
                Kind.FORBIDDEN, "403-FORBIDDEN", f"This needs the privilege {needs}", field=needs
            )
        request[USER] = user
        request[CALLER] = caller
        cost = cost_of(request)
        if cost is None:
            return await handler(request)
        async with request.app[COSTLY].turn(caller.user_id, cost):
            return await handler(request)

    return through


def caller_of(user: User) -> Caller:
    """The user as the rest of the gateway knows it."""
    privileges: frozenset[str] = (
        ALL_PRIVILEGES if EVERYTHING in user.privileges else user.privileges
    )
    return Caller(user.id, user.enterprise_id, user.nick, privileges)


def make_authenticator(services: Services) -> Authenticator:
    """The authenticator of an application."""
    terms = services.logins
    return Authenticator(
        services.store,
        CredentialCache(services.secret, terms.remembered_s, terms.now),
        RefusedLogins(services.store, services.wake, terms.counts),
        terms.now,
    )


async def close_authenticator(app: web.Application) -> None:
    """End what it does in the background; for `on_cleanup`."""
    await app[AUTHENTICATOR].aclose()


async def authenticate(request: web.Request) -> Verified:
    """Who calls, by Basic, token or cookie; Denied 401, 429, or 403 for a foreign page."""
    counts = request.app[SERVICES].logins.counts
    try:
        given = credentials.read(request)
    except Malformed:
        counts.refused[Refusal.MALFORMED] += 1
        raise unauthenticated() from None
    if given is None:
        raise unauthenticated()
    if given.ambient:
        try:
            require_own_origin(request)
        except Denied:
            counts.refused[Refusal.ORIGIN] += 1
            raise
    request[CREDENTIALS] = given
    return await request.app[AUTHENTICATOR].admit(given, request.remote)
