"""What is asked for and not offered is refused, on every route, before its handler sees it."""

from collections.abc import Mapping, Sequence

from aiohttp import web

from gateway.api import bodies, queries
from gateway.api.bodies import Body, Own, Shown
from gateway.api.problems import Handler
from gateway.api.queries import Parameter
from gateway.denial import Denied, Kind

_PRECONDITIONS = ("If-Match", "If-None-Match", "If-Unmodified-Since")
_UNMET = (
    Kind.PRECONDITION,
    "412-PRECONDITION-FAILED",
    "not offered here, so nothing was changed; send the request without it",
)
_REFUSED: Mapping[str, tuple[Kind, str, str]] = {
    "Idempotency-Key": (
        Kind.INVALID,
        "400-BAD-REQUEST",
        "not offered here; without it each request has its own effect",
    ),
    **dict.fromkeys(_PRECONDITIONS, _UNMET),
}
"""Headers that change what a request means; passing one over would do what was not asked for."""


def strict(
    handler: Handler,
    query: Sequence[Parameter],
    body: Body | Own | None,
    shown: Shown | None,
    takes: Sequence[str] = (),
) -> Handler:
    """`handler`, behind the checks of what it declares; `body` None for a route that reads, with
    `takes` the headers of these that it heeds."""

    async def through(request: web.Request) -> web.StreamResponse:
        queries.require_declared(request, query)
        if body is not None:
            _require_offered(request, takes)
            await bodies.require_declared(request, body, shown)
        return await handler(request)

    return through


def _require_offered(request: web.Request, takes: Sequence[str]) -> None:
    for name, (kind, code, said) in _REFUSED.items():
        if name in request.headers and name not in takes:
            raise Denied(kind, code, f"{name}: {said}", field=name)
