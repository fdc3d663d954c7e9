"""The credentials that a request carries: Basic, a token, or the cookie with a token."""

import base64
import binascii
from dataclasses import dataclass, field

from aiohttp import web

COOKIE = "auth"
CREDENTIALS_MAX = 4096
"""Bytes of an Authorization header or cookie that are looked at; more is 401."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A login with its password, or a token (then `login` is empty).

    `ambient` is true for what a browser sends by itself: a cookie, or Basic.
    """

    is_token: bool
    login: str
    secret: str = field(repr=False)
    ambient: bool = True

    @property
    def identity(self) -> str:
        """One text for equal credentials, whichever header they came in."""
        kind = "token" if self.is_token else "basic"
        return f"{kind} {len(self.login)} {self.login}{self.secret}"


class Malformed(Exception):
    """There are credentials, but they cannot be read."""


def read(request: web.Request) -> Credentials | None:
    """Read them from a request; None for none, raises Malformed."""
    header = request.headers.get("Authorization")
    if not header:
        cookie = request.cookies.get(COOKIE)
        return _token(cookie, ambient=True) if cookie else None
    if len(header) > CREDENTIALS_MAX:
        raise Malformed
    scheme, _, rest = header.partition(" ")
    match scheme.lower():
        case "token":
            return _token(rest.strip(), ambient=False)
        case "basic":
            return _basic(rest)
    raise Malformed


def _token(text: str, *, ambient: bool) -> Credentials:
    # A token that is no UTF-8 arrives with lone surrogates, which neither hash nor store takes.
    if not text or len(text) > CREDENTIALS_MAX or not text.isprintable():
        raise Malformed
    return Credentials(is_token=True, login="", secret=text, ambient=ambient)


def _basic(text: str) -> Credentials:
    try:
        given = base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        raise Malformed from None
    login, colon, password = given.partition(":")
    if not colon or "\x00" in login:
        raise Malformed
    return Credentials(is_token=False, login=login, secret=password)
