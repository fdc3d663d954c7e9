"""What is checked of each request before its handler runs: text that has a meaning, a real host.

The HTTP parser keeps bytes that are not UTF-8 as lone surrogates, which no name, token or
database takes. They are refused here for the whole API.
"""

import ipaddress
import re

from aiohttp import web

from gateway.denial import ApiError, ErrorKind

HOST_MAX = 253
_HOST = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?\.?|\[(?P<v6>[0-9A-Fa-f:.]+)\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
_PORT_MAX = 65535
_SHOWN_MAX = 40


def check_request(request: web.Request) -> None:
    """ApiError 400, or 401 for credentials, if the request line or a header means nothing."""
    _check_headers(request)
    authority(request)
    if _is_broken(request.path):
        raise ApiError(ErrorKind.ABSENT, "404-NOT-FOUND", "There is no resource at this address")
    for name, value in request.query.items():
        if _is_broken(name) or _is_broken(value):
            field = None if _is_broken(name) else name[:_SHOWN_MAX]
            said = f"{field or 'The query'}: a null character or bytes that are not UTF-8"
            raise ApiError(ErrorKind.INVALID, "400-BAD-REQUEST", said, field=field)


def authority(request: web.Request) -> str:
    """Return the host, with its port if it has one, that links may name; ApiError 400 otherwise."""
    given = request.headers.get("Host")
    if given is None:  # HTTP/1.0 need not say it: then it is our own address
        return request.host
    found = _HOST.fullmatch(given)
    if (
        found is None
        or len(found["name"]) > HOST_MAX
        or int(found["port"] or 1) > _PORT_MAX
        or (found["v6"] is not None and not _is_v6(found["v6"]))
    ):
        said = "Host: a host name or an address is needed, with a port up to 65535 or without"
        raise ApiError(ErrorKind.INVALID, "400-BAD-REQUEST", said, field="Host")
    return given


def _check_headers(request: web.Request) -> None:
    for name, value in request.headers.items():
        if name.isascii() and (value.isascii() or not _has_surrogate(value)):
            continue
        if name.lower() == "authorization":
            said = "Log in with Basic credentials or a token"
            raise ApiError(ErrorKind.UNAUTHENTICATED, "401-UNAUTHORIZED", said)
        raise ApiError(ErrorKind.INVALID, "400-BAD-REQUEST", "A header is not UTF-8 text")


def _is_broken(text: str) -> bool:
    return "\x00" in text or (not text.isascii() and _has_surrogate(text))


def _has_surrogate(text: str) -> bool:
    return any(0xD800 <= ord(char) <= 0xDFFF for char in text)


def _is_v6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
