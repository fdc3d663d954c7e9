"""The body of a request: read, unpacked and decoded here only, within limits of size, depth, time.

The limits are those of the text that is decoded: a compressed body is unpacked by us, never by the
HTTP library, which would unpack without end.
"""

import asyncio
import sys
import zlib
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from gateway.api.http import strict_json, toml_child
from gateway.api.services import SERVICES
from gateway.child_environment import child_environment
from gateway.denial import ApiError, ErrorKind

BODY_MAX = 1024 * 1024
"""Bytes of a body, as sent and after unpacking; more is 413."""
TOML_WITHIN_S = 20.0
TOML_AT_ONCE = 2
_RAW = web.RequestKey("raw", bytes)
_WINDOW_BITS = {
    "gzip": 16 + zlib.MAX_WBITS,
    "x-gzip": 16 + zlib.MAX_WBITS,
    "deflate": zlib.MAX_WBITS,
}
TOML_TURNS = web.AppKey("toml_turns", asyncio.Semaphore)


async def read(request: web.Request) -> bytes:
    """Return the body, unpacked; the same bytes when asked again.

    Raises HTTPRequestEntityTooLarge, or ApiError for a body that is late, cut short, or packed in a
    way that we do not know.
    """
    known = request.get(_RAW)
    if known is None:
        known = request[_RAW] = _unpacked(request, await _sent(request))
    return known


async def _sent(request: web.Request) -> bytes:
    if (request.content_length or 0) > BODY_MAX:
        raise web.HTTPRequestEntityTooLarge(BODY_MAX)
    try:
        async with asyncio.timeout(request.app[SERVICES].body_s):
            return await request.read()
    except TimeoutError as late:
        message = f"The body did not arrive within {request.app[SERVICES].body_s:g} s"
        raise ApiError(ErrorKind.TIMEOUT, "408-REQUEST-TIMEOUT", message) from late
    except (web.RequestPayloadError, ConnectionError) as broken:
        raise invalid("The body does not match its Content-Length or its chunks") from broken


def _unpacked(request: web.Request, sent: bytes) -> bytes:
    named = request.headers.get("Content-Encoding", "identity").strip().lower()
    if named in ("identity", ""):
        return sent
    if named not in _WINDOW_BITS:
        raise ApiError(
            ErrorKind.UNSUPPORTED,
            "415-UNSUPPORTED-MEDIA-TYPE",
            "Content-Encoding: only gzip, deflate and identity are supported",
            field="Content-Encoding",
        )
    unpacking = zlib.decompressobj(_WINDOW_BITS[named])
    try:
        found = unpacking.decompress(sent, BODY_MAX + 1)
    except zlib.error as wrong:
        raise invalid(f"The body is not packed with {named}") from wrong
    if len(found) > BODY_MAX:
        raise web.HTTPRequestEntityTooLarge(BODY_MAX)
    if not unpacking.eof or unpacking.unused_data:
        raise invalid(f"The body is not exactly one stream of {named}")
    return found


def json_of(raw: bytes) -> Any:
    """Return the value of a JSON text; ApiError 400 otherwise."""
    try:
        return strict_json.decode(raw)
    except strict_json.NullCharacter as wrong:
        raise ApiError(
            ErrorKind.INVALID, "400-BAD-REQUEST", str(wrong), field=wrong.field
        ) from wrong
    except ValueError as wrong:
        raise invalid(f"The body is not valid JSON: {wrong}") from wrong


def text_of(raw: bytes) -> str:
    """Return a body as text; ApiError 400 if it is not UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError as wrong:
        raise invalid("The body is not UTF-8 text") from wrong


async def toml(request: web.Request) -> Mapping[str, Any]:
    """Return the document of a TOML body, parsed by a program of its own; ApiError 400 otherwise.

    Raises ApiError 503 if the computer is too busy to parse it in time.
    """
    raw = await read(request)
    try:
        async with asyncio.timeout(TOML_WITHIN_S), request.app[TOML_TURNS]:
            answer = await _parsed_elsewhere(raw)
    except TimeoutError as late:
        message = f"TOML was not parsed within {TOML_WITHIN_S:.0f} s; try again"
        raise ApiError(ErrorKind.UNAVAILABLE, "503-SERVICE-UNAVAILABLE", message) from late
    if answer is None:
        raise invalid(f"The body is not valid TOML: it needs more than {toml_child.CPU_S} s")
    answered: dict[str, Any] = strict_json.decode(
        answer,
        depth_max=strict_json.DEPTH_MAX + toml_child.DEPTH_MAX,
        values_max=2 * toml_child.VALUES_MAX,
    )
    if "wrong" in answered:
        raise invalid(f"The body is not valid TOML: {answered['wrong']}")
    found: dict[str, Any] = answered["found"]
    return found


async def _parsed_elsewhere(raw: bytes) -> bytes | None:
    """What the child answers; None if it was ended by its own limits."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", toml_child.__file__),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=child_environment(),
    )
    try:
        answer, _ = await child.communicate(raw)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return answer if child.returncode == 0 else None


def invalid(message: str) -> ApiError:
    """A refusal of the whole body."""
    return ApiError(ErrorKind.INVALID, "400-BAD-REQUEST", message)
