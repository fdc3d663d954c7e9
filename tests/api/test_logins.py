"""Faults S5: log-ins are verified seldom and in turn, and whoever guesses waits longer each time.

Time is a clock of the test's own; the passwords are verified with argon2 as ever.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import ClientSession, TCPConnector

from gateway.api.auth.authenticator import ADDRESS_FREE, PAIR_FREE, network_of
from gateway.api.auth.passwords import hash_password
from gateway.api.auth.refused_logins import EVENTS_A_MINUTE, LoginCounts, LoginRefusal
from gateway.api.services import LoginTerms
from gateway.store.db.pool import Store
from tests.api.test_guard import PASSWORD, basic
from tests.api.vm_client import Answer, Api, serving

REMEMBERED_S = 180.0
QUIET = "config/hypervisortypes"
"""A route that reads nothing from the store."""


@dataclass
class Clock:
    """A steady clock that stands still unless the test moves it."""

    at: float = 1000.0

    def __call__(self) -> float:
        return self.at


@dataclass
class World:
    """The API, its clock and its counts."""

    api: Api
    clock: Clock
    counts: LoginCounts = field(default_factory=LoginCounts)

    async def enter(self, login: str = "admin", password: str = PASSWORD) -> Answer:
        """One request with Basic credentials."""
        return await self.api.call("GET", QUIET, headers={"Authorization": basic(login, password)})

    async def change_password(self, login: str, password: str) -> None:
        """As a start of another process with another password does."""
        hashed = await asyncio.to_thread(hash_password, password)
        async with self.api.store.transaction() as c:
            await c.execute("update app_user set password_hash = $2 where nick = $1", login, hashed)

    async def renewed(self, count: int) -> None:
        """Wait until so many entries were renewed."""
        async with asyncio.timeout(30):
            while self.counts.renewed < count:  # noqa: ASYNC110
                await asyncio.sleep(0)

    async def events(self) -> list[dict[str, object]]:
        """Events of refused log-ins, oldest first, once those under way are written."""
        async with asyncio.timeout(30):
            while any("RefusedLogins._write" in repr(one) for one in asyncio.all_tasks()):  # noqa: ASYNC110
                await asyncio.sleep(0)
        await self.api.sequence()
        listed = await self.api.call("GET", "events?action=LOGIN_REFUSED&asc=true&limit=0")
        found: list[dict[str, object]] = listed.body["collection"]
        return found


@pytest.fixture
async def world(store: Store) -> AsyncIterator[World]:
    """The small world; admin, reader and actor have a password."""
    clock, counts = Clock(), LoginCounts()
    terms = LoginTerms(remembered_s=REMEMBERED_S, counts=counts, now=clock)
    async with serving(store, logins=terms) as api:
        hashed = hash_password(PASSWORD)
        async with store.transaction() as c:
            await c.execute(
                "update app_user set password_hash = $1 where nick <> 'stranger'", hashed
            )
        yield World(api, clock, counts)


@pytest.mark.parametrize(("password", "status"), [(PASSWORD, 200), ("wrong", 401)])
async def test_equal_credentials_are_verified_once(
    world: World, password: str, status: int
) -> None:
    """Fifty requests at once; also if they are wrong, and then it was one guess."""
    answers = await asyncio.gather(*(world.enter(password=password) for _ in range(50)))
    assert {one.status for one in answers} == {status}
    assert world.counts.verified == 1


async def test_no_request_waits_at_the_moment_credentials_lapse(world: World) -> None:
    """They were renewed before: users cannot even be read at that moment."""
    logins = ("admin", "reader", "actor")
    for login in logins:
        assert (await world.enter(login)).status == 200
    world.clock.at += REMEMBERED_S * 0.8
    for login in logins:
        assert (await world.enter(login)).status == 200
    await world.renewed(len(logins))
    world.clock.at += REMEMBERED_S * 0.3
    async with world.api.store.transaction() as c:
        await c.execute("lock table app_user in access exclusive mode")
        async with asyncio.timeout(2):
            answers = await asyncio.gather(*(world.enter(login) for login in logins))
    assert [one.status for one in answers] == [200, 200, 200]
    assert world.counts.verified == len(logins)


async def test_what_lapsed_is_not_verified_again_while_the_password_is_the_same(
    world: World,
) -> None:
    """A day later: the user is read, and argon2 is not asked."""
    assert (await world.enter()).status == 200
    world.clock.at += 86_400
    answers = await asyncio.gather(*(world.enter() for _ in range(20)))
    assert {one.status for one in answers} == {200}
    assert world.counts.verified == 1


@pytest.mark.parametrize("later_s", [REMEMBERED_S * 0.8, REMEMBERED_S + 1])
async def test_a_changed_password_ends_what_was_remembered(world: World, later_s: float) -> None:
    """At the renewal, and after the lapse; the new password is good at once."""
    assert (await world.enter()).status == 200
    await world.change_password("admin", "new")
    assert (await world.enter(password="new")).status == 200
    world.clock.at += later_s
    async with asyncio.timeout(30):
        while (await world.enter()).status != 401:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert (await world.enter(password="new")).status == 200


async def test_a_user_made_inactive_is_dropped_at_the_renewal(world: World) -> None:
    assert (await world.enter("reader")).status == 200
    async with world.api.store.transaction() as c:
        await c.execute("update app_user set active = false where nick = 'reader'")
    world.clock.at += REMEMBERED_S * 0.8
    async with asyncio.timeout(30):
        while (await world.enter("reader")).status != 401:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_three_hundred_guesses_are_slowed_and_recorded(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Five are tried at once; the others are 429 until the time that Retry-After names."""
    assert (await world.enter("admin")).status == 200
    answers = [await world.enter("reader", f"guess {n}") for n in range(300)]
    assert Counter(one.status for one in answers) == {401: PAIR_FREE, 429: 300 - PAIR_FREE}
    assert {one.code for one in answers[PAIR_FREE:]} == {"429-TOO-MANY-REQUESTS"}
    assert world.counts.verified == 1 + PAIR_FREE
    assert world.counts.refused == {
        LoginRefusal.CREDENTIALS: PAIR_FREE,
        LoginRefusal.THROTTLED: 300 - PAIR_FREE,
    }
    waits = []
    for n in range(6):
        waits.append(int((await world.enter("reader", PASSWORD)).headers["Retry-After"]))
        world.clock.at += waits[-1]
        assert (await world.enter("reader", f"more {n}")).status == 401
    assert waits == [1, 2, 4, 8, 16, 32]
    lines = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert sum("log-in as reader from 127.0.0.1 refused" in one for one in lines) == PAIR_FREE + 6
    assert not any("guess" in one or PASSWORD in one for one in lines)
    told = await world.events()
    assert [one["details"]["failures"] for one in told] == [1, 2, 4, 5, 8]  # type: ignore[index]
    assert {(one["entityName"], one["severity"]) for one in told} == {("reader", "WARN")}
    assert {one["entityURI"] for one in told} == {"/api/admin/enterprises/1/users/2"}
    assert "guess" not in str(told)


async def test_the_right_password_ends_the_wait(world: World) -> None:
    for n in range(PAIR_FREE):
        await world.enter("reader", f"guess {n}")
    assert (await world.enter("reader")).status == 429
    world.clock.at += 1
    assert (await world.enter("reader")).status == 200
    assert (await world.enter("reader", "slip")).status == 401
    assert (await world.enter("reader", "slip")).status == 401


async def test_who_was_let_in_is_served_whatever_others_guess(world: World) -> None:
    """From the same address: remembered credentials, lapsed ones, tokens, and the cookie."""
    login = await world.api.call(
        "GET", "login", headers={"Authorization": basic("admin", PASSWORD)}
    )
    token = login.headers["X-Abiquo-Token"]
    for n in range(20):
        await world.enter("admin", f"guess {n}")
        await world.enter(f"nobody-{n}", "guess")
    assert (await world.enter("admin", "guess")).status == 429
    for later_s in (0, REMEMBERED_S * 0.8, REMEMBERED_S * 2):
        world.clock.at += later_s
        await world.enter("admin", "guess")
        assert (await world.enter()).status == 200
        for headers in (
            {"Authorization": f"Token {token}"},
            {"Authorization": "Token token-of-actor"},
        ):
            assert (await world.api.call("GET", "login", headers=headers)).status == 200
        cookie = {"Cookie": f"auth={token}"}
        assert (await world.api.plain("GET", f"/api/{QUIET}", cookie)).status == 200


async def test_guesses_of_many_logins_make_the_address_wait_but_not_who_is_known(
    world: World,
) -> None:
    """Known is a login that was right from that address, even with a new password."""
    assert (await world.enter("reader")).status == 200
    answers = [await world.enter(f"nobody-{n}", "guess") for n in range(ADDRESS_FREE + 20)]
    assert Counter(one.status for one in answers) == {401: ADDRESS_FREE, 429: 20}
    assert (await world.enter("actor")).status == 429
    await world.change_password("reader", "new")
    assert (await world.enter("reader", "new")).status == 200
    assert len(await world.events()) <= EVENTS_A_MINUTE


async def test_another_address_locks_nobody_out(world: World) -> None:
    """Guesses from elsewhere, of the same login: the first log-in from here is served."""
    url = world.api.url(QUIET)
    async with ClientSession(connector=TCPConnector(local_addr=("127.0.0.2", 0))) as attacker:
        statuses: Counter[int] = Counter()
        for n in range(20):
            headers = {"Authorization": basic("admin", f"guess {n}")}
            async with attacker.get(url, headers=headers) as answer:
                statuses[answer.status] += 1
        assert statuses == {401: PAIR_FREE, 429: 20 - PAIR_FREE}
        assert (await world.enter("admin")).status == 200
        headers = {"Authorization": basic("admin", "another guess")}
        async with attacker.get(url, headers=headers) as answer:
            assert answer.status == 429


async def test_tokens_that_nobody_has_make_only_tokens_wait(world: World) -> None:
    """A wrong one is 401, then 429; a right one is served, and so is a first log-in."""
    statuses = Counter()
    for n in range(ADDRESS_FREE + 10):
        headers = {"Authorization": f"Token guess-{n}"}
        statuses[(await world.api.call("GET", "login", headers=headers)).status] += 1
    assert statuses == {401: ADDRESS_FREE, 429: 10}
    assert (await world.api.call("GET", "login")).status == 200
    assert (await world.enter("actor")).status == 200
    told = await world.events()
    assert [one["details"]["failures"] for one in told] == [ADDRESS_FREE]  # type: ignore[index]


async def test_a_hundred_and_fifty_wrong_log_ins_in_flight_hold_up_nobody_known(
    world: World,
) -> None:
    """At most those before the first wait are verified; others get 429 without argon2."""
    assert (await world.enter()).status == 200
    verified = world.counts.verified
    bad = [asyncio.create_task(world.enter("reader", f"guess {n}")) for n in range(150)]
    good = [await world.enter() for _ in range(20)]
    fresh = await world.enter("actor")
    answers = await asyncio.gather(*bad)
    assert {one.status for one in good} == {200}
    assert fresh.status == 200
    assert Counter(one.status for one in answers) == {401: PAIR_FREE, 429: 150 - PAIR_FREE}
    assert world.counts.verified - verified == PAIR_FREE + 1


async def test_a_login_in_logs_and_events_is_cut_and_forges_no_line(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    login = 'x\n{"event": "forged"}\r\x1b[31m\u202e' + "y" * 500
    assert (await world.enter(login, "guess")).status == 401
    (line,) = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert line.isprintable()
    assert len(line) < 200
    (event,) = await world.events()
    assert len(str(event["entityName"])) <= 67
    assert str(event["message"]).isprintable()


async def test_what_cannot_be_read_is_counted(world: World) -> None:
    for given in ("Basic not-base64!", "Bearer x", "Token \u202e", "Basic " + "A" * 6000):
        assert (await world.api.call("GET", QUIET, headers={"Authorization": given})).status == 401
    assert world.counts.refused == {LoginRefusal.MALFORMED: 4}


def test_an_ipv6_client_is_its_network() -> None:
    assert network_of("2001:db8:1:2:3::4") == network_of("2001:db8:1:2::9") == "2001:db8:1:2::/64"
    assert network_of("::ffff:10.0.0.1") == network_of("10.0.0.1") == "10.0.0.1"
    assert network_of("fe80::1%eth0") == "fe80::/64"
    assert network_of(None) == "local"
