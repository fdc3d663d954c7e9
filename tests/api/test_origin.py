"""Faults S10: what a browser sends by itself changes nothing for a page of another origin."""

from collections.abc import AsyncIterator

import pytest

from gateway.api.auth.passwords import hash_password
from gateway.store.db.pool import Store
from tests.api.test_guard import PASSWORD, basic
from tests.api.vm_client import Api, serving

FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://gateway.test.evil.example"},
    {"Origin": "http://gateway.test:81"},
    {"Origin": "https://gateway.test"},
    {"Origin": "http://[::1"},
    {"Origin": "http://gateway.test:99999"},
    {"Origin": "file://gateway.test"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "http://gateway.test", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
]
OWN = [
    {},
    {"Origin": "http://gateway.test"},
    {"Origin": "http://gateway.test:80", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
]


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API at http://gateway.test over the small world."""
    async with serving(store) as opened:
        hashed = hash_password(PASSWORD)
        async with store.transaction() as c:
            await c.execute("update app_user set password_hash = $1 where nick = 'admin'", hashed)
        yield opened


@pytest.fixture
async def cookie(api: Api) -> dict[str, str]:
    """The cookie of a log-in."""
    login = await api.call("GET", "login", headers={"Authorization": basic("admin", PASSWORD)})
    return {"Cookie": login.headers["Set-Cookie"].split(";")[0]}


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize("body", [b"", b'{"forceEnterpriseSoftLimits": false}'], ids=["", "body"])
async def test_a_foreign_page_changes_nothing(
    api: Api, cookie: dict[str, str], headers: dict[str, str], body: bytes
) -> None:
    vm = await api.make()
    for ambient in (cookie, {"Authorization": basic("admin", PASSWORD)}):
        for method, path in (("POST", f"{vm}/action/deploy"), ("DELETE", vm), ("PUT", vm)):
            answer = await api.plain(method, f"/api/{path}", {**ambient, **headers}, data=body)
            assert (answer.status, answer.code) == (403, "403-FORBIDDEN"), (method, headers)
        refused = await api.plain("POST", "/api/logout", {**ambient, **headers}, data=body)
        assert refused.status == 403
    assert (await api.call("GET", vm)).body["state"] == "NOT_ALLOCATED"


@pytest.mark.parametrize("headers", OWN, ids=str)
async def test_our_own_pages_and_programs_do(
    api: Api, cookie: dict[str, str], headers: dict[str, str]
) -> None:
    vm = await api.make()
    answer = await api.plain("POST", f"/api/{vm}/action/deploy", {**cookie, **headers})
    assert answer.status == 202


async def test_the_host_that_the_browser_named_is_our_own(api: Api, cookie: dict[str, str]) -> None:
    """Without the public name, such as behind a proxy that ends TLS."""
    vm = await api.make()
    own = {"Host": "inside.test:8443", "Origin": "https://inside.test:8443"}
    assert (await api.plain("POST", f"/api/{vm}/action/deploy", {**cookie, **own})).status == 202


async def test_reading_and_tokens_are_not_asked(api: Api, cookie: dict[str, str]) -> None:
    """A foreign page cannot read the answer, and cannot send a token without being allowed to."""
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert (await api.plain("GET", "/api/events", {**cookie, **foreign})).status == 200
    vm = await api.make()
    assert (await api.call("POST", f"{vm}/action/deploy", headers=foreign)).status == 202


async def test_no_reply_is_stored_or_guessed_at(api: Api, cookie: dict[str, str]) -> None:
    """Log-in, log-out, every other answer, and errors of handlers, guard and router."""
    vm = await api.make()
    for method, path, headers in (
        ("GET", "/api/login", {"Authorization": basic("admin", PASSWORD)}),
        ("GET", "/api/login", cookie),
        ("GET", f"/api/{vm}", cookie),
        ("GET", f"/api/{vm}9999", cookie),
        ("GET", "/api/login", {}),
        ("GET", "/api/version", {}),
        ("GET", "/nowhere", {}),
        ("POST", "/api/logout", cookie),
    ):
        answer = await api.plain(method, path, headers)
        assert answer.headers["Cache-Control"] == "no-store", path
        assert answer.headers["X-Content-Type-Options"] == "nosniff", path
