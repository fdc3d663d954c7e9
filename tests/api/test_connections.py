"""Faults S4 and S8: silent, slow and broken connections have deadlines and caps, and are answered
without a word of what they sent."""

import asyncio
import contextlib
import logging

import pytest
from aiohttp import web

from gateway.service import listener
from gateway.service.connections import (
    BODY_GRACE_S,
    ConnectionLimits,
    ConnectionTable,
    Ended,
    OpenConnection,
    Phase,
    group_of,
)
from gateway.store.db.pool import Store
from tests.acceptance.gateway import until
from tests.api.door_world import ADMIN, HOST, LIST, PUBLIC, answer, closed, opened

SHORT = ConnectionLimits(headers_s=0.2, body_s=0.2, idle_s=0.2, response_s=0.2)
SECRET = b"s3cret-of-nobody"


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the deadlines often."""
    monkeypatch.setattr(listener, "SWEEP_EACH_S", 0.02)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", Ended.HEADERS),
        (b"GET /api/version HTTP/1.1\r\n", Ended.HEADERS),
        (b"GET /api/version HTTP/1.1\r\n" + HOST + b"X: y", Ended.HEADERS),
        (PUBLIC + b"GET /api/ver", Ended.IDLE),
        (PUBLIC, Ended.IDLE),
    ],
    ids=["silent", "half a line", "half a header", "half a pipelined request", "kept and silent"],
)
async def test_who_sends_no_request_is_cut(store: Store, sent: bytes, reason: Ended) -> None:
    async with opened(store, SHORT) as door:
        reader, writer = await door.connect()
        writer.write(sent)
        rest = await closed(reader)
        assert rest.count(b"HTTP/1.1 200") == sent.count(b"\r\n\r\n")
        assert door.table.ended[reason] == 1


async def test_single_bytes_win_no_time(store: Store) -> None:
    """A slow sender of headers has the same deadline as a silent one."""
    async with opened(store, SHORT) as door:
        reader, writer = await door.connect()
        gone = asyncio.create_task(closed(reader))
        began = asyncio.get_running_loop().time()
        writer.write(b"GET /api/version HTTP/1.1\r\nX: ")
        while not gone.done():
            writer.write(b"a")
            await asyncio.wait([gone], timeout=0.02)
        assert asyncio.get_running_loop().time() - began < 10
        assert door.table.ended[Ended.HEADERS] == 1


async def test_a_body_that_never_ends_is_408_and_cut(store: Store) -> None:
    head = b"POST /api/cloud/virtualdatacenters HTTP/1.1\r\n" + HOST + ADMIN
    async with opened(store, SHORT, body_s=0.2) as door:
        reader, writer = await door.connect()
        writer.write(head + b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
        answered = await answer(reader)
        assert (answered.status, answered.error["code"]) == (408, "408-REQUEST-TIMEOUT")
        await closed(reader)


async def test_half_a_second_request_is_cut(store: Store) -> None:
    limits = ConnectionLimits(headers_s=0.2, idle_s=60)
    async with opened(store, limits) as door:
        reader, writer = await door.connect()
        writer.write(PUBLIC)
        assert (await answer(reader)).status == 200
        writer.write(b"GET /api/ver")
        assert await closed(reader) == b""
        assert door.table.ended == {Ended.HEADERS: 1}


async def test_who_takes_no_response_is_cut() -> None:
    async def big(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * 2**26)

    app = web.Application()
    app.router.add_get("/", big)
    table = ConnectionTable("api", ConnectionLimits(headers_s=60, idle_s=60, response_s=0.2))
    async with listener.listening(app, listener.ListenAddress("127.0.0.1", 0), table) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

        async def cut() -> bool:
            return table.ended[Ended.RESPONSE] == 1

        await until(cut)
        assert len(table) == 0
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_good_callers_get_in_beside_a_crowd_that_is_silent(store: Store) -> None:
    """More silent connections than there may be: the oldest of them go, good callers do not."""
    limits = ConnectionLimits(connections_max=40, connections_per_address=40)
    async with opened(store, limits) as door:
        kept, kept_writer = await door.connect()
        kept_writer.write(PUBLIC)
        assert (await answer(kept)).status == 200
        for _ in range(100):
            await door.connect()
        assert (await door.send(LIST)).status == 200
        kept_writer.write(PUBLIC)
        assert (await answer(kept)).status == 200
        assert len(door.table) <= 40
        assert door.table.ended[Ended.EVICTED] >= 60


def table(**limits: int) -> ConnectionTable:
    return ConnectionTable("api", ConnectionLimits(**limits), clock=lambda: 0.0)


def admitted(at: ConnectionTable, address: str, phase: Phase) -> tuple[OpenConnection, list[int]]:
    one = at.admit(address)
    assert one is not None
    cut: list[int] = []
    one.abort = lambda: cut.append(1)
    at.enter(one, phase)
    return one, cut


def test_the_order_of_eviction() -> None:
    at = table(connections_max=4, connections_per_address=9)
    phases = (Phase.BUSY, Phase.BODY, Phase.IDLE, Phase.FIRST)
    cuts = [admitted(at, "10.0.0.1", phase)[1] for phase in phases]
    for expected in (3, 2, 1):
        admitted(at, "10.0.0.2", Phase.BUSY)
        assert [bool(cut) for cut in cuts] == [n >= expected for n in range(4)]
    assert at.admit("10.0.0.3") is None
    assert at.ended == {Ended.EVICTED: 3, Ended.REFUSED: 1}


def test_one_address_fills_only_its_own_part() -> None:
    at = table(connections_max=10, connections_per_address=2)
    other = admitted(at, "10.0.0.2", Phase.IDLE)[1]
    for _ in range(2):
        admitted(at, "10.0.0.1", Phase.BUSY)
    assert at.admit("10.0.0.1") is None
    assert at.admit("10.0.0.3") is not None
    assert not other


def test_a_place_is_given_back_once() -> None:
    at = table(connections_max=1, connections_per_address=1)
    one, _ = admitted(at, "10.0.0.1", Phase.BUSY)
    at.release(one)
    at.release(one)
    at.enter(one, Phase.IDLE)
    assert len(at) == 0
    assert at.admit("10.0.0.1") is not None


@pytest.mark.parametrize(
    ("phase", "deadline"),
    [
        (Phase.FIRST, 1.0),
        (Phase.HEADERS, 1.0),
        (Phase.BODY, 2.0 + BODY_GRACE_S),
        (Phase.IDLE, 3.0),
        (Phase.BUSY, None),
    ],
)
def test_each_phase_has_its_deadline(phase: Phase, deadline: float | None) -> None:
    now = 0.0
    limits = ConnectionLimits(headers_s=1.0, body_s=2.0, idle_s=3.0)
    at = ConnectionTable("api", limits, clock=lambda: now)
    _, cut = admitted(at, "10.0.0.1", phase)
    now = deadline or 10_000.0
    at.sweep()
    assert not cut
    now += 0.1
    at.sweep()
    assert bool(cut) is (deadline is not None)


def test_addresses_of_one_client() -> None:
    assert group_of("10.0.0.1") == group_of("::ffff:10.0.0.1")
    assert (
        group_of("2001:db8:1:2::1") == group_of("2001:db8:1:2:ffff::9") != group_of("2001:db8::1")
    )
    assert group_of("fe80::1%eth0") == group_of("fe80::2")


MALFORMED = [
    b"GET /api/version HTTP/1.1\r\nHost: x\r\nAuthorization: Basic " + SECRET + b"\x01\r\n\r\n",
    b"GET /api/version HTTP/1.1\r\nHost: x\r\nAuthorization: Token " + SECRET + b"\x00\r\n\r\n",
    SECRET + b" / HTTP/1.1\r\n\r\n",
    b"GET /" + SECRET * 1000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: " + SECRET * 1000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: " + SECRET + b"\r\nB: b" * 300 + b"\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + SECRET + b"\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"
    + SECRET,
    b"GET / HTTP/1.1\r\nX: " + SECRET + b"\r\n\r\n",
    b"GET " + SECRET + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + SECRET,
]


@pytest.mark.parametrize("sent", MALFORMED, ids=range(len(MALFORMED)))
async def test_what_is_no_http_is_not_repeated(
    store: Store, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    """Fault S8: errors+json, short, without the input, and not a word of it in the log."""
    caplog.set_level(logging.DEBUG)
    async with opened(store) as door:
        answered = await door.send(sent)
    assert answered.status == 400
    assert answered.error["code"] == "400-BAD-REQUEST"
    assert SECRET not in answered.body
    assert len(answered.body) < 200
    assert "aiohttp" not in answered.headers["server"]
    logged = "".join(map(logging.Formatter().format, caplog.records))
    assert SECRET.decode() not in logged
