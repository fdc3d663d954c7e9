"""What is asked for and not offered is refused, on every route, before its handler sees it."""

from collections.abc import Mapping, Sequence

from aiohttp import web

from gateway.api.http import body_fields, query_fields
from gateway.api.http.body_fields import Body, Own, Shown
from gateway.api.http.problems import Handler
from gateway.api.http.query_fields import Parameter
from gateway.denial import ApiError, ErrorKind

_PRECONDITIONS = ("If-Match", "If-None-Match", "If-Unmodified-Since")
_UNMET = (
    ErrorKind.PRECONDITION,
    "412-PRECONDITION-FAILED",
    "not offered here, so nothing was changed; send the request without it",
)
_REFUSED: Mapping[str, tuple[ErrorKind, str, str]] = {
    "Idempotency-Key": (
        ErrorKind.INVALID,
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
        query_fields.require_declared(request, query)
        if body is not None:
            _require_offered(request, takes)
            await body_fields.require_declared(request, body, shown)
        return await handler(request)

    return through


def _require_offered(request: web.Request, takes: Sequence[str]) -> None:
    for name, (kind, code, said) in _REFUSED.items():
        if name in request.headers and name not in takes:
            raise ApiError(kind, code, f"{name}: {said}", field=name)
