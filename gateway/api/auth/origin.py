"""A browser sends cookies and Basic credentials by itself, also for a page of another site.

So a request that changes something with such credentials must come from our own origin. Programs
that are no browsers send neither `Origin` nor `Sec-Fetch-Site`, and are not asked for them.
"""

from urllib.parse import urlsplit

from aiohttp import web

from gateway.api.services import SERVICES
from gateway.denial import ApiError, ErrorKind

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITE = frozenset({"same-origin", "none"})
_PORTS = {"http": 80, "https": 443}


def require_own_origin(request: web.Request) -> None:
    """Raise ApiError 403 for a change that a page of another origin asked for."""
    if request.method in _READS:
        return
    sites = request.headers.getall("Sec-Fetch-Site", [])
    origins = request.headers.getall("Origin", [])
    if any(site.strip().lower() not in _OWN_SITE for site in sites):
        raise _foreign("Sec-Fetch-Site")
    if any(not _is_ours(request, origin) for origin in origins):
        raise _foreign("Origin")


def _is_ours(request: web.Request, origin: str) -> bool:
    given = _split(origin)
    if given is None:
        return False
    # A proxy that ends TLS hides the scheme from us, so only host and port are compared.
    if given[1:] == _host_and_port(request.host, given[0]):
        return True
    public = request.app[SERVICES].public_url
    return public is not None and given == _split(public)


def _split(origin: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an origin; None if it is none, such as `null`."""
    try:
        parts = urlsplit(origin.strip().lower())
        if parts.scheme not in _PORTS or not parts.hostname:
            return None
        return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]
    except ValueError:
        return None


def _host_and_port(host: str, scheme: str) -> tuple[str, int] | None:
    found = _split(f"{scheme}://{host}")
    return None if found is None else found[1:]


def _foreign(header: str) -> ApiError:
    return ApiError(
        ErrorKind.FORBIDDEN,
        "403-FORBIDDEN",
        f"{header}: a page of another origin must not change anything with a cookie or Basic "
        "credentials; use `Authorization: Token`",
        field=header,
    )
