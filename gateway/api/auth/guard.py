"""The guard: every route goes through it, says who calls, and lets through who may."""

from collections.abc import Awaitable, Callable
from enum import Enum

from aiohttp import web

from gateway.api.auth import credentials
from gateway.api.auth.authenticator import Authenticator, unauthenticated
from gateway.api.auth.credential_cache import CredentialCache, Verified
from gateway.api.auth.credentials import Credentials, Malformed
from gateway.api.auth.origin import require_own_origin
from gateway.api.auth.refused_logins import LoginRefusal, RefusedLogins
from gateway.api.http import media
from gateway.api.http.costly_requests import COSTLY, cost_of
from gateway.api.services import CALLER, SERVICES, USER, AppServices
from gateway.caller import Caller
from gateway.config.privileges import ALL_PRIVILEGES, EVERYTHING
from gateway.denial import ApiError, ErrorKind
from gateway.store.users import User

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
            raise ApiError(
                ErrorKind.FORBIDDEN,
                "403-FORBIDDEN",
                f"This needs the privilege {needs}",
                field=needs,
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


def make_authenticator(services: AppServices) -> Authenticator:
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
    """Who calls, by Basic, token or cookie; ApiError 401, 429, or 403 for a foreign page."""
    counts = request.app[SERVICES].logins.counts
    try:
        given = credentials.read(request)
    except Malformed:
        counts.refused[LoginRefusal.MALFORMED] += 1
        raise unauthenticated() from None
    if given is None:
        raise unauthenticated()
    if given.ambient:
        try:
            require_own_origin(request)
        except ApiError:
            counts.refused[LoginRefusal.ORIGIN] += 1
            raise
    request[CREDENTIALS] = given
    return await request.app[AUTHENTICATOR].admit(given, request.remote)
