"""Headers of every reply of the API: nobody stores it, and no browser guesses its type."""

from aiohttp import web


async def set_reply_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Set them; for `on_response_prepare`. A reply may hold a token, a cookie or tenants' VMs."""
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["X-Content-Type-Options"] = "nosniff"
