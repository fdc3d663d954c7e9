"""Every route goes through the guard: who calls, by which credentials, and what they may do."""

import base64
from collections import defaultdict
from collections.abc import AsyncIterator

import pytest

from gateway.api.auth.guard import Access
from gateway.api.auth.passwords import hash_password
from gateway.api.routes import ROUTES
from gateway.store.db.pool import Store
from tests.api.vm_client import Api, serving

NAMES = defaultdict(lambda: 1, task="7b7e3a52-0000-4000-8000-000000000000", type="KVM")
CLOSED = [(method, path, needs) for method, path, _, needs in ROUTES if needs is not Access.PUBLIC]
GUARDED = [(method, path, needs) for method, path, needs in CLOSED if isinstance(needs, str)]
PASSWORD = "correct: horse ✓"


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world, with a password for admin."""
    async with serving(store) as opened:
        async with store.transaction() as c:
            await c.execute(
                "update app_user set password_hash = $1 where nick = 'admin'",
                hash_password(PASSWORD),
            )
        yield opened


def test_each_write_needs_a_privilege() -> None:
    """M-138: except the end of the caller's own session, and a question that has a body."""
    question = "/cloud/locations/{dc}/datastoretiers/action/compatibles"
    writes = [(path, needs) for method, path, _, needs in ROUTES if method != "GET"]
    assert [path for path, needs in writes if isinstance(needs, Access)] == ["/logout", question]


def test_only_the_version_is_public() -> None:
    """M-138: deny by default."""
    assert [path for _, path, _, needs in ROUTES if needs is Access.PUBLIC] == ["/version"]


async def test_nobody_gets_in_without_credentials(api: Api) -> None:
    """M-138: every closed route answers 401, whatever it would have found."""
    for method, path, _ in CLOSED:
        url = f"/api{path.format_map(NAMES)}"
        answer = await api.call(method, url, headers={"Authorization": ""})
        assert (answer.status, answer.code) == (401, "401-UNAUTHORIZED"), (method, path)
        assert "WWW-Authenticate" in answer.headers


async def test_nobody_does_what_they_may_not(api: Api) -> None:
    """M-130, M-134, M-135, M-137: a user without the privilege is refused by its name."""
    for method, path, needs in GUARDED:
        answer = await api.call(method, f"/api{path.format_map(NAMES)}", {}, user="reader")
        assert (answer.status, answer.code) == (403, "403-FORBIDDEN"), (method, path)
        assert needs in answer.message


@pytest.mark.parametrize(
    "credentials",
    [
        basic("admin", "wrong"),
        basic("admin", ""),
        basic("nobody", PASSWORD),
        basic("admin\x00", PASSWORD),
        "Basic not-base64!",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:x").decode(),
        "Basic",
        "Token nonsense",
        "Bearer abc",
        "Basic " + "A" * 6000,
    ],
)
async def test_wrong_credentials_are_all_refused_alike(api: Api, credentials: str) -> None:
    answer = await api.call("GET", "login", headers={"Authorization": credentials})
    assert (answer.status, answer.code) == (401, "401-UNAUTHORIZED")
    assert PASSWORD not in str(answer.body)


async def test_basic_logs_in_and_the_token_serves_until_logout(api: Api) -> None:
    """M-107: Basic first, then the token, which a logout ends."""
    login = await api.call("GET", "login", headers={"Authorization": basic("admin", PASSWORD)})
    assert login.status == 200
    assert login.body["nick"] == "admin"
    assert "password" not in str(login.body).lower()
    token = login.headers["X-Abiquo-Token"]
    carried = {"Authorization": f"Token {token}"}
    assert (await api.call("GET", "cloud/virtualmachines", headers=carried)).status == 200
    assert (await api.call("POST", "logout", headers=carried)).status == 204
    assert (await api.call("GET", "cloud/virtualmachines", headers=carried)).status == 401


async def test_the_cookie_serves_as_well(api: Api) -> None:
    login = await api.call("GET", "login", headers={"Authorization": basic("admin", PASSWORD)})
    assert "HttpOnly" in login.headers["Set-Cookie"]
    cookie = login.headers["Set-Cookie"].split(";")[0]
    answer = await api.plain("GET", "/api/cloud/virtualmachines", {"Cookie": cookie})
    assert answer.status == 200


async def test_a_user_who_was_switched_off_gets_in_no_more(api: Api) -> None:
    async with api.store.transaction() as c:
        await c.execute("update app_user set active = false where nick = 'reader'")
    assert (await api.call("GET", "login", user="reader")).status == 401


async def test_another_tenant_sees_nothing(api: Api) -> None:
    """M-138: what belongs to others does not exist."""
    vm = await api.make()
    for path in (
        vm,
        "cloud/virtualdatacenters/1",
        "cloud/virtualdatacenters/1/virtualappliances/1",
        "admin/enterprises/1",
        "admin/enterprises/1/users",
    ):
        answer = await api.call("GET", path, user="stranger")
        assert answer.status == 404, path
    for path in ("cloud/virtualdatacenters", "cloud/virtualappliances", "cloud/virtualmachines"):
        listed = await api.call("GET", path, user="stranger")
        assert listed.status == 200
        assert "acme" not in str(listed.body)
        assert all(one["name"] in ("vdc", "theirs") for one in listed.body["collection"])
