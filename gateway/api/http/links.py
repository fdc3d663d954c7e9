"""Links are absolute and typed, always."""

from typing import Any

from aiohttp import web

from gateway.api.http.request_checks import authority
from gateway.api.services import SERVICES


class Linker:
    """Makes links below `{base}/api/`; `base` has no slash at its end."""

    def __init__(self, base: str) -> None:
        self.base = base

    @classmethod
    def of(cls, request: web.Request) -> "Linker":
        """Links as this client reached us: the configured public URL, or the request's host."""
        public = request.app[SERVICES].public_url
        return cls(public.rstrip("/") if public else f"{request.scheme}://{authority(request)}")

    def href(self, path: str) -> str:
        """The absolute address of a path below /api."""
        return f"{self.base}/api/{path}"

    def link(
        self, rel: str, path: str, media: str, title: str | None = None, **more: Any
    ) -> dict[str, Any]:
        """A link; `media` is a bare name (`virtualmachine`) or a whole media type."""
        kind = media if "/" in media or not media else f"application/vnd.abiquo.{media}+json"
        found: dict[str, Any] = {"rel": rel, "href": self.href(path), "type": kind}
        if title is not None:
            found["title"] = title
        return {**found, **more}
