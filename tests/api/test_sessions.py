"""Faults S9: a session ends for good, whatever was exchanged, and a log-out ends all of it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.api.auth.passwords import hash_password
from gateway.store import users
from gateway.store.db.pool import Store
from tests.api.test_guard import PASSWORD, basic
from tests.api.vm_client import Answer, Api, serving, started

HOUR_S = 3600


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world, with a password for admin."""
    async with serving(store) as opened:
        hashed = hash_password(PASSWORD)
        async with store.transaction() as c:
            await c.execute("update app_user set password_hash = $1 where nick = 'admin'", hashed)
        yield opened


async def enter(api: Api) -> str:
    """A token of a session that begins."""
    login = await api.call("GET", "login", headers={"Authorization": basic("admin", PASSWORD)})
    return login.headers["X-Abiquo-Token"]


async def carry(api: Api, token: str, method: str = "GET", path: str = "login") -> Answer:
    """One request with a token."""
    return await api.call(method, path, headers={"Authorization": f"Token {token}"})


async def exchange(api: Api, token: str) -> str:
    """A token for a token."""
    answer = await carry(api, token)
    assert answer.status == 200, answer.body
    return answer.headers["X-Abiquo-Token"]


async def pass_time(api: Api, seconds: float) -> None:
    """Every token is older by so much."""
    async with api.store.transaction() as c:
        await c.execute(
            """update token set expires_at = expires_at - make_interval(secs => $1),
                 ends_at = ends_at - make_interval(secs => $1)""",
            seconds,
        )


async def test_a_session_that_is_exchanged_on_and_on_ends(api: Api) -> None:
    """Twenty minutes between two exchanges; twelve hours in all, and the last is cut short."""
    token = await enter(api)
    exchanged = 0
    for _ in range(40):
        await pass_time(api, 20 * 60)
        answer = await carry(api, token)
        if answer.status != 200:
            break
        exchanged += 1
        token = answer.headers["X-Abiquo-Token"]
    assert exchanged == 12 * 60 // 20 - 1
    assert answer.status == 401
    assert (await carry(api, await enter(api))).status == 200


async def test_the_cookie_and_the_token_tell_the_same_end(api: Api) -> None:
    token = await enter(api)
    await pass_time(api, 12 * HOUR_S - 600)
    async with api.store.transaction() as c:
        await c.execute("update token set expires_at = ends_at where user_id = 1")
    cookie = (await carry(api, token)).headers["Set-Cookie"]
    (lasts,) = [one for one in cookie.split("; ") if one.lower().startswith("max-age=")]
    assert 0 < int(lasts.partition("=")[2]) <= 600


async def test_the_end_of_a_session_is_configured(store: Store) -> None:
    async with serving(store) as _:
        pass
    async with store.transaction() as c:
        lasts_s = await users.keep_token(c, "short", 1, 1800, 60)
        assert 59 <= lasts_s <= 60
        again_s = await users.exchange_token(c, "short", "shorter", 1800)
        assert again_s is not None
        assert again_s <= lasts_s


async def test_a_log_out_ends_every_token_of_the_session_and_no_other(api: Api) -> None:
    """Whichever of them it is sent with; at once in this process, though they are remembered."""
    other = await enter(api)
    first = await enter(api)
    second = await exchange(api, first)
    third = await exchange(api, second)
    family = (first, second, third)
    for token in (*family, other):
        assert (await carry(api, token, path="events")).status == 200
    assert (await carry(api, second, "POST", "logout")).status == 204
    assert [(await carry(api, token)).status for token in family] == [401] * 3
    assert (await carry(api, other)).status == 200
    async with started(api.store) as again:
        assert [(await carry(again, token)).status for token in family] == [401] * 3
        assert (await carry(again, other)).status == 200


async def test_a_cookie_logs_the_whole_session_out(api: Api) -> None:
    first = await enter(api)
    second = await exchange(api, first)
    assert (await api.plain("POST", "/api/logout", {"Cookie": f"auth={second}"})).status == 204
    assert (await carry(api, first)).status == 401


async def test_exchanges_and_a_log_out_at_once_leave_no_token(api: Api) -> None:
    """Three rounds: the log-out ends what an exchange made before it, and nothing comes after."""
    for _ in range(3):
        token = await enter(api)
        await carry(api, token, path="events")
        answers = await asyncio.gather(
            *(carry(api, token) for _ in range(3)),
            carry(api, token, "POST", "logout"),
            *(carry(api, token) for _ in range(3)),
        )
        made = [one.headers["X-Abiquo-Token"] for one in answers if one.status == 200]
        assert [(await carry(api, one)).status for one in made] == [401] * len(made)


async def test_a_token_is_not_remembered_beyond_its_end(api: Api) -> None:
    """What a process remembers of a token is no longer good than the token itself."""
    async with api.store.transaction() as c:
        await users.keep_token(c, "brief", 1, 0.5)
    assert (await carry(api, "brief", path="events")).status == 200
    statuses = {200}
    async with asyncio.timeout(20):
        while 401 not in statuses:
            statuses.add((await carry(api, "brief", path="events")).status)
    assert statuses == {200, 401}
