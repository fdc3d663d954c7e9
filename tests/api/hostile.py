"""Requests of hostile bytes, from a seed: targets, headers, bodies and frames that mean nothing.

Most are framed well enough to reach a handler, with credentials that are good, for there most of
our own code is.
"""

import gzip
import json
import random
import re
import zlib
from dataclasses import dataclass
from typing import Any

from gateway.api.routes import ROUTES

_ROUTES = [route for route in ROUTES if route[1] != "/logout"]
"""A logout would keep all later requests out."""
_ODD_BYTES = (b"\xff", b"\x00", b"\xc3\x28", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"\x7f", b"\x01")
_SEGMENTS = (
    *("1", "1", "1", "2", "100", "0", "-1", "x", "9" * 18, "9" * 25, "1e9", "0x1", "%31"),
    *("%00", "%ff", "%zz", "%", "%2e%2e", "..", "%ed%a0%80", "%u0041", "1;a=b", "a" * 300),
    *("\u0661", "%D9%A1", "KVM", "7b7e3a52-0000-4000-8000-000000000000", "{}", "*", "%2F", "+"),
)
_HOSTS = (
    *(b"gateway.test", b"gateway.test", b"gateway.test", b"x:99999", b"x:0", b"x:", b"[::1]:1"),
    *(b"[::1", b"[zz]", b'a"b<script>', b"a b", b"\xff", b"", b"a/b", b"u@h", b"x" * 300, b"-"),
    *(b"1.2.3.4:80", b"x:1:2", b"\xf0\x9f\x98\x80", b"a,b", b"%00", b"h\x00h"),
)
_AUTHORIZATIONS = (
    *(b"Token \xff", b"Basic \xff", b"Basic !!!", b"Basic /////w==", b"Token", b"", b"Basic"),
    *(
        b"Token " + b"a" * 5000,
        b"Bearer x",
        b"Token \xf0\x9f\x98\x80",
        b"\xff\xff",
        b"Token a\x00b",
    ),
    *(b"Basic AAAA", b"Basic YQ==", b"Token  ", b"Token \xed\xa0\x80", b"token\ttab"),
)
_TYPES = (
    *(b"application/json", b"application/json", b"application/toml", b"text/plain", b"\xff", b""),
    *(
        b"application/json; charset=utf-16",
        b"application/json; charset=\xff",
        b"multipart/form-data",
    ),
    *(
        b"application/vnd.abiquo.virtualmachine+json; version=99",
        b"a/b/c;;;=",
        b"text/plain;charset=x",
    ),
    *(b"application/x-www-form-urlencoded", b"application/" + b"a" * 3000 + b"+json"),
)
_OTHERS = (
    *(
        b"Accept: \xff",
        b"Accept: application/json;version=\xff",
        b"Accept: ,,,;;;",
        b"If-Match: \xff",
    ),
    *(
        b'If-Match: "1"',
        b"Expect: 100-continue",
        b"Expect: \xff",
        b"Expect: x" * 20,
        b"Range: \xff",
    ),
    *(b"Upgrade: websocket\r\nConnection: upgrade", b"Connection: \xff", b"Cookie: auth=\xff"),
    *(b"Cookie: " + b"a=b;" * 1500, b"Cookie: auth=\x22\\377\x22", b"Transfer-Encoding: \xff"),
    *(
        b"X-\xff: y",
        b"X: " + b"a" * 8000,
        b"X: " + b"a" * 9000,
        b"Host: twice",
        b": empty",
        b"no colon",
    ),
    *(b"Forwarded: for=\xff", b"X-Forwarded-Host: \xff", b"Origin: \xff", b"Idempotency-Key: \xff"),
    *(
        b"Content-Length: 1\r\nContent-Length: 2",
        b"Accept-Encoding: \xff",
        b" folded: x",
        b"A:\x0bb",
    ),
    *(
        b"Date: \xff",
        b"If-Modified-Since: \xff",
        b"Sec-WebSocket-Key1: x",
        b"Content-Encoding: \xff",
    ),
)
_METHODS = (
    b"GET",
    b"POST",
    b"PUT",
    b"DELETE",
    b"PATCH",
    b"HEAD",
    b"OPTIONS",
    b"TRACE",
    b"get",
    b"\xff",
)
_QUERIES = (
    *("limit", "startwith", "by", "asc", "has", "after", "datefrom", "dateto", "severity", "days"),
    *("expand", "force", "with", "idDatacenter", "target", "vmlabel", "cpu", "ram", "disk", "user"),
)
_VALUES = (
    *("0", "1", "-1", "9" * 10, "9" * 30, "%00", "%ff", "%", "1e9", "nan", "a" * 2000, "%ed%a0%80"),
    *("name", "\udcff", "%F0%9F%98%80", "true", "'", "1%2c2", "2020-01-01T00:00:00Z", "%0d%0a"),
    *("99999999999999999999-01-01", "0001-01-01T00:00:00%2B23:59", "253402300800000", "\u0661"),
)
_SCALARS: tuple[Any, ...] = (
    *(
        None,
        True,
        0,
        -1,
        1,
        2**31,
        2**63,
        2**64,
        -(2**70),
        1.5,
        1e308,
        -0.0,
        "",
        "x",
        "\x00",
        "a" * 5000,
    ),
    *("\u202e", "ON", "KVM", "http://x/api/1", "http://[", "4GiB", "9" * 400, "1", [], {}, [[]]),
)
_FIELDS = (
    *("label", "name", "cpu", "ram", "links", "state", "reason", "variables", "id", "uuid", "ip"),
    *("comment", "tests", "machineLoadRules", "fitPolicyRules", "fitPolicy", "ttl", "vms", "disk"),
    *(
        "description",
        "address",
        "type",
        "collection",
        "network",
        "hypervisor",
        "aggregated",
        "goal",
    ),
)


@dataclass(frozen=True, slots=True)
class Hostile:
    """The bytes of a request; `whole` if a response is owed without sending more."""

    sent: bytes
    whole: bool


class HostileRequests:
    """Requests one after the other; `token` is one that lets in."""

    def __init__(self, seed: int, token: bytes) -> None:
        self._random = random.Random(seed)
        self._token = token

    def next(self) -> Hostile:
        """The next request."""
        chance = self._random.random()
        if chance < 0.03:
            return Hostile(
                self._random.randbytes(self._random.randrange(1, 300)) + b"\r\n\r\n", False
            )
        sent = self._framed()
        if chance < 0.10:
            return Hostile(self._mutated(sent), False)
        if chance < 0.13:
            return Hostile(sent[: self._random.randrange(len(sent))], False)
        return Hostile(sent, True)

    def _mutated(self, sent: bytes) -> bytes:
        changed = bytearray(sent)
        for _ in range(self._random.randrange(1, 6)):
            at = self._random.randrange(len(changed))
            if self._random.random() < 0.5:
                changed[at] = self._random.randrange(256)
            else:
                changed[at:at] = self._random.choice(_ODD_BYTES)
        return bytes(changed)

    def _framed(self) -> bytes:
        rng = self._random
        method, target = self._line()
        headers = [b"Host: " + (rng.choice(_HOSTS) if rng.random() < 0.2 else b"gateway.test")]
        if rng.random() < 0.1:
            headers.append(b"Authorization: " + rng.choice(_AUTHORIZATIONS))
        else:
            headers.append(b"Authorization: Token " + self._token)
        headers += rng.choices(_OTHERS, k=rng.choice((0, 0, 0, 1, 2)))
        if rng.random() < 0.01:
            headers += [b"F%d: x" % n for n in range(rng.choice((100, 200, 2000)))]
        body = b""
        if method not in (b"GET", b"HEAD") or rng.random() < 0.05:
            body, more = self._body()
            headers += more
        return b"\r\n".join((method + b" " + target + b" HTTP/1.1", *headers, b"", body))

    def _line(self) -> tuple[bytes, bytes]:
        rng = self._random
        method, path, _, _ = rng.choice(_ROUTES)
        filled = "/api" + re.sub(r"\{[^}]*\}", lambda _: self._segment(), path)
        if rng.random() < 0.5:
            pairs = [
                f"{rng.choice(_QUERIES)}={rng.choice(_VALUES)}" for _ in range(rng.randrange(4))
            ]
            filled += "?" + "&".join(pairs)
        target = filled.encode("utf-8", "surrogateescape")
        chance = rng.random()
        if chance < 0.02:
            target = b"http://" + rng.choice(_HOSTS) + target
        elif chance < 0.04:
            target = rng.choice(
                (b"*", b"//", b"//x", b"http:", b"x:99999", b"?", b"/" + b"a/" * 3000)
            )
        elif chance < 0.06:
            target += rng.choice((b"\xff", b"%ff", b"#f", b"\x80%", b"/" * 50, b"?\xff=\xff", b";"))
        return (rng.choice(_METHODS) if chance > 0.95 else method.encode()), target

    def _segment(self) -> str:
        return self._random.choice(_SEGMENTS) if self._random.random() < 0.3 else "1"

    def _body(self) -> tuple[bytes, list[bytes]]:
        rng = self._random
        body = self._content()
        headers = [b"Content-Type: " + (rng.choice(_TYPES) if rng.random() < 0.4 else _TYPES[0])]
        packed = rng.random()
        if packed < 0.05:
            body = rng.choice((gzip.compress, zlib.compress))(body)
            headers.append(
                b"Content-Encoding: " + rng.choice((b"gzip", b"deflate", b"br", b"zstd"))
            )
        elif packed < 0.06:
            body = gzip.compress(b"\x00" * 20_000_000, 1)[: rng.choice((100, 2**20))]
            headers.append(b"Content-Encoding: gzip")
        if rng.random() < 0.1:
            size = b"%x" % len(body)
            end = rng.choice(
                (b"0\r\n\r\n", b"0\r\n\r\n", b"0\r\nTrailer: \xff\r\n\r\n", b"z\r\n\r\n")
            )
            size = rng.choice((size, size, size + b";ext=\xff", b"-1", b"f" * 20, b"0x5"))
            return size + b"\r\n" + body + b"\r\n" + end, [*headers, b"Transfer-Encoding: chunked"]
        length = rng.choice((b"-1", b"\xff", b"9" * 30, b"1,2")) if rng.random() < 0.02 else None
        return body, [*headers, b"Content-Length: " + (length or b"%d" % len(body))]

    def _content(self) -> bytes:
        rng = self._random
        match rng.randrange(12):
            case 0:
                return rng.randbytes(rng.randrange(60))
            case 1:
                depth = rng.choice((31, 33, 500, 5000))
                return b"[" * depth + b"]" * depth
            case 2:
                return rng.choice(
                    (b'{"cpu":1e999}', b'{"cpu":' + b"9" * 5000 + b"}", b'{"a":1,"a":2}')
                )
            case 3:
                return b'{"label":"' + rng.choice((*_ODD_BYTES, b"\\ud800", b"\\u0000")) + b'"}'
            case 4 if rng.random() < 0.05:  # each starts a program
                return rng.choice((b"a." * 5000 + b"b=1", b"a=" + b"[" * 500, b"a=\xff", b"a=nan"))
            case _:
                return json.dumps(self._value(0)).encode()

    def _value(self, depth: int) -> Any:
        rng = self._random
        chance = rng.random()
        if chance < (0.8 if depth == 0 else 0.2) and depth < 3:
            return {rng.choice(_FIELDS): self._value(depth + 1) for _ in range(rng.randrange(5))}
        if depth < 3 and chance < 0.4:
            return [self._value(depth + 1) for _ in range(rng.randrange(4))]
        if chance < 0.5:
            href = f"http://x/api/admin/machines/{rng.choice(_SEGMENTS)}"
            return [{"rel": rng.choice(("machine", "virtualmachine", "enterprise")), "href": href}]
        return rng.choice(_SCALARS)
