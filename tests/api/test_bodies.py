"""Fault S2: every body is bounded in size, depth and time, and none holds up the event loop."""

import asyncio
import gzip
import io
import json
import time
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.api.http import strict_json, toml_child
from gateway.api.http.body_reader import BODY_MAX
from gateway.cli import offline
from gateway.config import ConfigError
from gateway.store.db.pool import Store
from tests.api.vm_client import Api, serving

VALIDATE = "admin/rulesets/action/validate"
TOML = {"Content-Type": "application/toml"}
JSON = {"Content-Type": "application/json"}
RULES = 'comment = "c"\n[[fitPolicyRules]]\nfitPolicy = "PROGRESSIVE"\n'
VDC = "cloud/virtualdatacenters/1/virtualappliances"


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world."""
    async with serving(store) as opened:
        yield opened


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


HOSTILE_TOML = {
    "dotted key": ".".join(["a"] * 24_000) + " = 1",
    "quoted dotted key": ".".join(['"a"'] * 24_000) + " = 1",
    "spaced dotted key": " . ".join(["a"] * 24_000) + " = 1",
    "header": "[" + ".".join(["a"] * 24_000) + "]",
    "dotted key in a table": "x = {" + ".".join(["a"] * 24_000) + " = 1}",
    "arrays": "x = " + "[" * 5000,
    "tables": "x = " + "{a = " * 5000,
    "number": "x = " + "9" * 5000,
    "hexadecimal": "x = 0x" + "f" * 100_000,
    "infinity": "x = 1e999",
    "null": 'x = "\\u0000"',
    "quotes": '"' * 900_000,
    "apostrophes": "'" * 900_000,
    "values": "x = [" + "1," * 120_000 + "]",
}


@pytest.mark.parametrize("text", HOSTILE_TOML.values(), ids=HOSTILE_TOML)
def test_toml_that_would_take_long_is_refused_at_once(text: str) -> None:
    """Linear in the size of the text: what `tomllib` would take minutes for takes no second."""
    began = time.process_time()
    with pytest.raises(
        ValueError, match=r"more than|deeper|finite|null|Unterminated|Expected|Inval"
    ):
        toml_child.parse(text)
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "text",
    [
        'x = "a.b.c.d.e.f.g.h.i.j.k.l.m" # n.o.p.q.r.s.t.u.v.w.x.y.z',
        "x = '[[[[[[[[[[[[[[[['",
        'x = """\n[a.b.c.d.e.f.g.h.i.j.k]\n"""',
        "x = [1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5, 1.5]",
        "a.b.c.d.e.f.g.h = 1",
        "x = " + "[" * 8 + "]" * 8,
    ],
)
def test_toml_that_only_looks_deep_is_taken(text: str) -> None:
    assert toml_child.parse(text)


async def test_a_dotted_key_of_24000_parts_does_not_hold_the_loop(api: Api) -> None:
    """The named input: 400 that names the limit, while the loop goes on turning."""
    late = 0.0

    async def turns() -> None:
        nonlocal late
        while True:
            began = time.thread_time()
            await asyncio.sleep(0)
            late = max(late, time.thread_time() - began)

    turning = asyncio.create_task(turns())
    answer = await api.call(
        "POST", VALIDATE, data=HOSTILE_TOML["dotted key"].encode(), headers=TOML
    )
    turning.cancel()
    assert (answer.status, answer.code) == (400, "400-BAD-REQUEST")
    assert f"more than {toml_child.DEPTH_MAX} parts" in answer.message
    assert late < 1.0


async def test_toml_is_still_taken(api: Api) -> None:
    answer = await api.call("POST", VALIDATE, data=RULES.encode(), headers=TOML)
    assert (answer.status, answer.body["valid"]) == (200, True)
    answer = await api.call("POST", VALIDATE, data=b"x = \xff", headers=TOML)
    assert (answer.status, "UTF-8" in answer.message) == (400, True)


@pytest.mark.parametrize(
    ("body", "limit"),
    [
        (nested(strict_json.DEPTH_MAX + 1), "32 levels"),
        (nested(100_000), "32 levels"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "32 levels"),
        (b"[" + b"[]," * 200_000 + b"1]", "100000 values"),
        (b'{"name":"a","name":"b"}', "is twice in an object"),
        (b'{"x":[{"name":"a","name":"b"}]}', "is twice in an object"),
        (b'{"name":"\\u0000"}', "null character"),
        (b'{"name":"\xff"}', "UTF-8"),
        (b'{"name":' + b"9" * 5000 + b"}", "out of range"),
        (b'{"name":1e999}', "out of range"),
    ],
    ids=range(10),
)
async def test_json_out_of_its_limits_is_400_and_names_the_limit(
    api: Api, body: bytes, limit: str
) -> None:
    answer = await api.call("POST", VDC, data=body, headers=JSON)
    assert (answer.status, answer.code) == (400, "400-BAD-REQUEST")
    assert limit in answer.message


@pytest.mark.parametrize(
    "text",
    [
        *(b'{"a:b":"c:d"}', b'{"a\\":":[{},{}],"\\\\":1}', b'"\\\\u0000"', b'{"a":"[[[[{{{{"}'),
        *(nested(strict_json.DEPTH_MAX), json.dumps([["é", ",", ":"]] * 1000).encode()),
    ],
)
def test_json_within_its_limits_is_what_it_is(text: bytes) -> None:
    assert strict_json.decode(text) == json.loads(text)


@pytest.mark.parametrize(
    ("coding", "body", "status"),
    [
        ("gzip", gzip.compress(b'{"name":"packed"}', mtime=0), 201),
        ("x-gzip", gzip.compress(b'{"name":"packed"}', mtime=0), 201),
        ("deflate", zlib.compress(b'{"name":"packed"}'), 201),
        ("identity", b'{"name":"packed"}', 201),
        ("gzip", gzip.compress(b" " * (BODY_MAX + 1), mtime=0), 413),
        ("gzip", gzip.compress(b" " * 100_000_000, 1, mtime=0), 413),
        ("gzip", gzip.compress(b'{"name":"packed"}', mtime=0)[:-1], 400),
        ("gzip", gzip.compress(b"{}", mtime=0) * 1000, 400),
        ("gzip", b'{"name":"plain"}', 400),
        ("br", b"", 415),
        ("gzip, gzip", gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0), 415),
        ("\u00ff", b"{}", 415),
    ],
)
async def test_packed_bodies_have_the_same_limits(
    api: Api, coding: str, body: bytes, status: int
) -> None:
    headers = {**JSON, "Content-Encoding": coding}
    answer = await api.call("POST", VDC, data=body or b"x", headers=headers)
    assert answer.status == status, answer.body


async def test_a_body_of_more_than_the_limit_is_413(api: Api) -> None:
    for headers in (JSON, TOML):
        answer = await api.call(
            "POST", VALIDATE, data=io.BytesIO(b" " * (BODY_MAX + 1)), headers=headers
        )
        assert (answer.status, answer.code) == (413, "413-REQUEST-ENTITY-TOO-LARGE")
        assert str(BODY_MAX) in answer.message


@pytest.mark.parametrize(
    "content", [nested(40), b'{"a":1,"a":2}', b"\xff", b"[" + b"9" * 5000 + b"]", nested(10**6)]
)
def test_a_cluster_file_of_a_stranger_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cluster.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"cluster\.json: no JSON"):
        offline.read_cluster(path)


def test_a_cluster_file_has_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offline, "CLUSTER_MAX", 1000)
    with pytest.raises(ConfigError, match="more than 1000 bytes"):
        offline.read_cluster(Path("/dev/zero"))
