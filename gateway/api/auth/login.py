"""Logging in and out, and what the gateway says of itself."""

import secrets

from aiohttp import web

from gateway.api.auth.authenticator import unauthenticated
from gateway.api.auth.credentials import COOKIE
from gateway.api.auth.guard import AUTHENTICATOR, CREDENTIALS
from gateway.api.http import media
from gateway.api.representations.tenants import user
from gateway.api.request_context import RequestContext
from gateway.api.services import USER
from gateway.denial import ApiError, ErrorKind
from gateway.store import users

TOKEN_LASTS_S = 30 * 60


async def login(request: web.Request) -> web.Response:
    """GET: the user who calls, with a fresh token in the header and in the cookie.

    Basic credentials begin a session. A token is exchanged for one of the same session.
    """
    turn = RequestContext(request)
    token = secrets.token_urlsafe(32)
    lasts_s = await _keep(turn, token)
    expand = "privileges" in request.query.get("expand", "")
    answer = turn.ok("user", user(turn.links, request[USER], privileges=expand))
    answer.headers["X-Abiquo-Token"] = token
    answer.set_cookie(
        COOKIE,
        token,
        path="/api",
        max_age=int(lasts_s),
        httponly=True,
        samesite="Strict",
        secure=request.secure,
    )
    return answer


async def _keep(turn: RequestContext, token: str) -> float:
    """Record the token; returns how many seconds it is good."""
    given = turn.request[CREDENTIALS]
    async with turn.store.transaction() as c:
        if not given.is_token:
            session_s = turn.services.logins.session_s
            return await users.keep_token(c, token, turn.caller.user_id, TOKEN_LASTS_S, session_s)
        lasts_s = await users.exchange_token(c, given.secret, token, TOKEN_LASTS_S)
    if lasts_s is None:
        raise unauthenticated()
    return lasts_s


async def logout(request: web.Request) -> web.Response:
    """POST: no token of the session is worth anything from now on."""
    turn = RequestContext(request)
    given = request[CREDENTIALS]
    if given.is_token:
        async with turn.store.transaction() as c:
            session = await users.end_session(c, given.secret)
        if session is not None:
            request.app[AUTHENTICATOR].cache.forget(session)
    answer = turn.nothing()
    answer.del_cookie(COOKIE, path="/api")
    return answer


async def version(request: web.Request) -> web.Response:
    """GET: the version of the API we speak."""
    return web.Response(text=media.VERSION)


async def hypervisortypes(request: web.Request) -> web.Response:
    """GET: the types of VM that can run here."""
    turn = RequestContext(request)
    rows = [_type(turn, name) for name in sorted(turn.services.capabilities)]
    return turn.whole("hypervisortypes", rows)


async def hypervisortype(request: web.Request) -> web.Response:
    """GET: one of them."""
    turn = RequestContext(request)
    name = request.match_info["type"]
    if name not in turn.services.capabilities:
        raise ApiError(ErrorKind.ABSENT, "404-NOT-FOUND", "There is no such hypervisor type")
    return turn.ok("hypervisortype", _type(turn, name))


def _type(turn: RequestContext, name: str) -> dict[str, object]:
    able = turn.services.capabilities[name]
    return {
        "name": name,
        "realName": name,
        "relocation": able.relocation,
        "liveRelocation": able.live_relocation,
        "pause": able.pause,
        "gracefulShutdown": able.graceful_shutdown,
        "deallocation": able.deallocation,
        "redeploy": able.redeploy,
        "links": [
            turn.links.link("self", f"config/hypervisortypes/{name}", "hypervisortype", name)
        ],
    }
