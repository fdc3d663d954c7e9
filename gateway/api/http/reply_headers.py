"""Headers of every reply of the API: nobody stores it, and no browser guesses its type."""

from aiohttp import web

SERVER = "vmgate"
"""The name without a version: that would tell which faults to try."""


async def set_reply_headers(_: web.BaseRequest, response: web.StreamResponse) -> None:
    """Set them; for `on_response_prepare`. A reply may hold a token, a cookie or tenants' VMs."""
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Server"] = SERVER
