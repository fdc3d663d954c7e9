"""Fault I7: no bytes from outside are answered 5xx, whatever they are (the long form of this test
is `make campaign`)."""

import logging

import pytest

from gateway.store.db.pool import Store
from tests.api.door_world import ADMIN, HOST, opened
from tests.api.hostile import HostileRequests
from tests.api.hostile_clients import attack

REQUESTS = 1000
LINE = b"GET /api/cloud/virtualmachines HTTP/1.1\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (LINE + HOST + b"Authorization: Token \xff\r\n\r\n", 401),
        (LINE + HOST + b"Authorization: Basic \xff\r\n\r\n", 401),
        (LINE + HOST + b"Cookie: auth=\xff\r\n\r\n", 400),
        (LINE + b"Host: x:99999\r\n" + ADMIN + b"\r\n", 400),
        (LINE + b'Host: a"b<script>\r\n' + ADMIN + b"\r\n", 400),
        (LINE + b"Host: [::1\r\n" + ADMIN + b"\r\n", 400),
        (LINE + b"Host: \r\n" + ADMIN + b"\r\n", 400),
        (LINE + b"Host: [::1]:8009\r\n" + ADMIN + b"\r\n", 200),
        (LINE.replace(b"1.1", b"1.0") + ADMIN + b"\r\n", 200),
        (LINE + HOST + ADMIN + b"Accept: \xff\r\n\r\n", 400),
        (b"GET /api/\xff HTTP/1.1\r\n" + HOST + ADMIN + b"\r\n", 400),
        (b"GET /api/%ff HTTP/1.1\r\n" + HOST + ADMIN + b"\r\n", 404),
        (b"GET /api/events?has=%00 HTTP/1.1\r\n" + HOST + ADMIN + b"\r\n", 400),
        (b"GET /api/events/" + b"9" * 40 + b" HTTP/1.1\r\n" + HOST + ADMIN + b"\r\n", 404),
        (b"GET /api/events?limit=" + b"9" * 40 + b" HTTP/1.1\r\n" + HOST + ADMIN + b"\r\n", 400),
        (b"GET http://evil.example/api/version HTTP/1.1\r\n" + HOST + b"\r\n", 200),
        (LINE + HOST + ADMIN + b"Expect: \xff\r\n\r\n", 417),
    ],
    ids=range(17),
)
async def test_the_named_bytes(store: Store, sent: bytes, status: int) -> None:
    async with opened(store) as door:
        answered = await door.send(sent)
    assert answered.status == status
    assert answered.headers["server"] == "vmgate"
    assert answered.headers["x-content-type-options"] == "nosniff"
    if status >= 400:
        assert answered.error["message"]


async def test_no_bytes_are_a_fault(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """Zero 5xx, an answer to each request that is whole, and no error in the log."""
    async with opened(store) as door:
        found = await attack(door.port, HostileRequests(15, b"token-of-admin"), REQUESTS)
    assert found.faults == []
    assert found.unanswered == []
    assert sum(found.statuses.values()) == REQUESTS
    assert {200, 400, 404, 415} <= set(found.statuses)
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []
