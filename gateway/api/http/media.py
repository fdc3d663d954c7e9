"""Media types: what a client sends and takes, in the versions we speak."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from gateway.api.http import body_reader
from gateway.api.http.body_reader import BODY_MAX as BODY_MAX
from gateway.denial import ApiError, ErrorKind

VERSION = "5.1"
VERSIONS = frozenset({"5.0", "5.1", "5.2"})

_VENDOR = re.compile(r"application/vnd\.abiquo\.[a-z0-9]+\+json", re.IGNORECASE)
_PLAIN = frozenset(
    {"application/json", "text/json", "application/*", "text/plain", "*/*", "text/*"}
)
_ELSEWHERE = {"application/toml": "/api/admin/rulesets"}
"""Types that only what is below a path answers with."""
_encoder = msgspec.json.Encoder()


def require_acceptable(request: web.Request) -> None:
    """ApiError 406-NOT-ACCEPTABLE unless one of the Accept types is one we can answer with."""
    accept = request.headers.get("Accept")
    if not accept:
        return
    for part in accept.split(","):
        name, version = _parse(part)
        if name in _PLAIN or (_VENDOR.fullmatch(name) and version in (None, *VERSIONS)):
            return
        if name in _ELSEWHERE and request.path.startswith(_ELSEWHERE[name]):
            return
    raise ApiError(
        ErrorKind.NOT_ACCEPTABLE,
        "406-NOT-ACCEPTABLE",
        "Accept: we answer JSON, as application/json or application/vnd.abiquo.*+json in the "
        f"versions {', '.join(sorted(VERSIONS))}",
        field="Accept",
    )


def _parse(part: str) -> tuple[str, str | None]:
    name, *parameters = (piece.strip() for piece in part.split(";"))
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "version":
            return name.lower(), value.strip().strip('"')
    return name.lower(), None


def _unsupported(message: str, code: str = "415-UNSUPPORTED-MEDIA-TYPE") -> ApiError:
    return ApiError(ErrorKind.UNSUPPORTED, code, f"Content-Type: {message}", field="Content-Type")


def _require_json_type(request: web.Request) -> None:
    given = request.headers.get("Content-Type")
    if given is None:
        return
    name, version = _parse(given)
    if name in ("application/json", "text/json", "*/*"):
        return
    if not (name.startswith("application/") and name.endswith("+json")):
        raise _unsupported("a body is JSON here")
    if version is not None and version not in VERSIONS:
        raise _unsupported(
            f"version is one of {', '.join(sorted(VERSIONS))}",
            "415-UNSUPPORTED-MEDIA-TYPE-VERSION",
        )


async def json_body(request: web.Request, *, optional: bool = False) -> object:
    """The body as JSON values; None when it may be missing and is.

    Raises ApiError: 415 for another type, 400 for what is no JSON, 413 for too much.
    """
    raw = await body_reader.read(request)
    if not raw.strip():
        if optional:
            return None
        raise body_reader.invalid("The body is empty; it must be JSON")
    _require_json_type(request)
    return body_reader.json_of(raw)


async def text_or_json(request: web.Request) -> object:
    """The body as JSON where its type says so, else as text; None without one."""
    raw = await body_reader.read(request)
    if not raw:
        return None
    name, _ = _parse(request.headers.get("Content-Type", "text/plain"))
    if name.endswith("json"):
        return await json_body(request)
    if name not in ("text/plain", "*/*", "application/octet-stream"):
        raise _unsupported("text/plain, or JSON")
    return body_reader.text_of(raw)


def reply(
    request: web.Request | None,
    kind: str,
    body: Mapping[str, Any],
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """A JSON answer of the media type `application/vnd.abiquo.{kind}+json`."""
    return web.Response(
        body=_encoder.encode(body),
        status=status,
        headers={
            "Content-Type": f"application/vnd.abiquo.{kind}+json; version={VERSION}",
            **(headers or {}),
        },
    )
