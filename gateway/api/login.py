"""Logging in and out, and what the gateway says of itself."""

import secrets

from aiohttp import web

from gateway.api import media
from gateway.api.guard import COOKIE, REMEMBERED, TOKEN_LASTS_S, token_of
from gateway.api.representations.tenants import user
from gateway.api.services import USER
from gateway.api.vm_turn import Turn
from gateway.denial import Denied, Kind
from gateway.store import users


async def login(request: web.Request) -> web.Response:
    """GET: the user who calls, with a fresh token in the header and in the cookie."""
    turn = Turn(request)
    token = secrets.token_urlsafe(32)
    async with turn.store.transaction() as c:
        await users.keep_token(c, token, turn.caller.user_id, TOKEN_LASTS_S)
    expand = "privileges" in request.query.get("expand", "")
    answer = turn.ok("user", user(turn.links, request[USER], privileges=expand))
    answer.headers["X-Abiquo-Token"] = token
    answer.set_cookie(
        COOKIE,
        token,
        path="/api",
        max_age=TOKEN_LASTS_S,
        httponly=True,
        samesite="Strict",
        secure=request.secure,
    )
    return answer


async def logout(request: web.Request) -> web.Response:
    """POST: the token that was used is worth nothing from now on."""
    turn = Turn(request)
    token = token_of(request)
    if token is not None:
        async with turn.store.transaction() as c:
            await users.drop_token(c, token)
        remembered = request.app[REMEMBERED]
        remembered.forget(remembered.key(f"token {token}"))
    answer = turn.nothing()
    answer.del_cookie(COOKIE, path="/api")
    return answer


async def version(request: web.Request) -> web.Response:
    """GET: the version of the API we speak."""
    return web.Response(text=media.VERSION)


async def hypervisortypes(request: web.Request) -> web.Response:
    """GET: the types of VM that can run here."""
    turn = Turn(request)
    rows = [_type(turn, name) for name in sorted(turn.services.capabilities)]
    return turn.whole("hypervisortypes", rows)


async def hypervisortype(request: web.Request) -> web.Response:
    """GET: one of them."""
    turn = Turn(request)
    name = request.match_info["type"]
    if name not in turn.services.capabilities:
        raise Denied(Kind.ABSENT, "404-NOT-FOUND", "There is no such hypervisor type")
    return turn.ok("hypervisortype", _type(turn, name))


def _type(turn: Turn, name: str) -> dict[str, object]:
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
