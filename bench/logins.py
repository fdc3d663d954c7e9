"""How long a good caller waits while others guess, and while credentials lapse: as ratios.

Each round measures five phases, one after the other: calm, 150 wrong log-ins in flight, 150 good
Basic clients that come as often, 64 Basic clients with different users at the moment their
credentials lapse, and the same 64 while they are remembered. The good caller sends 40 requests a
second with Basic credentials in all of them. The figures are over all rounds. A phase is compared
with the one that has as many requests; wrong log-ins are compared with the calm, too.
"""

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from typing import Any

from aiohttp import ClientSession, TCPConnector
from argon2 import PasswordHasher

from bench.figures import Line, line, share
from bench.ground import Ground, fill, ground
from bench.service import PASSWORD, Service, served
from gateway.store.db.pool import Store

CLIENTS = 64
GUESSES = 150
ROUNDS = 3
PHASE_S = 3.0
REMEMBERED_S = 2.0
"""Short, so that each phase of a round sees credentials lapse; 180 s is the default."""
_ROUTE = "config/hypervisortypes"
"""It reads nothing from the store, so what is measured is the guard."""
_GOOD_EACH_S = 0.025
_CLIENT_EACH_S = 1.0
_SENT_S = 1.0
"""So long, and all guesses are on their way."""
_USERS = """
insert into app_user (nick, enterprise_id, password_hash)
select 'client-' || n, 1, $2 from generate_series(0, $1::int - 1) n
"""


async def measure() -> AsyncGenerator[Line, None]:
    """Calm, under guesses, at the lapse."""
    async with ground() as made, Store.open(made.store()) as store:
        await fill(store, hosts=10, vms=10)
        _configure(made)
        async with served(made) as service, _session() as session:
            await _add_clients(store)
            bench = _Bench(service, session)
            await bench.warm_up()
            calm_s: list[float] = []
            guessed_s: list[float] = []
            as_many_s: list[float] = []
            lapsed_s: list[float] = []
            crowd_s: list[float] = []
            statuses: list[int] = []
            for _ in range(ROUNDS):
                calm_s += await bench.good(PHASE_S)
                async with bench.guessing(statuses):
                    guessed_s += await bench.good(PHASE_S)
                async with bench.coming(GUESSES):
                    as_many_s += await bench.good(PHASE_S)
                async with bench.lapsing(CLIENTS):
                    lapsed_s += await bench.good(PHASE_S)
                async with bench.coming(CLIENTS):
                    crowd_s += await bench.good(PHASE_S)
            yield _line("calm", calm_s, calm_s)
            wrong = sum(status == 401 for status in statuses)
            yield _line("150 Basic clients, remembered", as_many_s, calm_s)
            yield _line(
                "150 wrong log-ins in flight",
                guessed_s,
                as_many_s,
                calm_ratio=share(guessed_s, 99.0) / share(calm_s, 99.0),
                guesses=len(statuses),
                tried=wrong,
            )
            yield _line("64 Basic clients, remembered", crowd_s, crowd_s)
            yield _line("64 Basic clients at the lapse", lapsed_s, crowd_s)


def _configure(made: Ground) -> None:
    text = made.configuration.read_text()
    made.configuration.write_text(f"{text}\n[logins]\nremembered_s = {REMEMBERED_S}\n")


async def _add_clients(store: Store) -> None:
    """After the start, which makes users inactive that are not declared.

    Their password is quick to verify: the first log-ins are not measured, and no other needs it.
    """
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    async with store.transaction() as c:
        await c.execute(_USERS, GUESSES, quick)


def _session() -> ClientSession:
    return ClientSession(connector=TCPConnector(limit=0))


def _line(figure: str, taken_s: list[float], calm_s: list[float], **more: object) -> Line:
    p99, calm = share(taken_s, 99.0), share(calm_s, 99.0)
    return line(
        "logins",
        figure,
        "ms",
        p50=1000 * share(taken_s, 50.0),
        p99=1000 * p99,
        p99_ratio=p99 / calm,
        requests=len(taken_s),
        **more,
    )


class _Bench:
    """Callers of one service."""

    def __init__(self, service: Service, session: ClientSession) -> None:
        self._session = session
        self._url = f"http://127.0.0.1:{service.ground.port}/api/{_ROUTE}"

    async def ask(self, login: str, password: str) -> tuple[int, float]:
        """The status of one request, and how long it took."""
        given = base64.b64encode(f"{login}:{password}".encode()).decode()
        began_s = time.perf_counter()
        async with self._session.get(self._url, headers={"Authorization": f"Basic {given}"}) as got:
            await got.read()
            return got.status, time.perf_counter() - began_s

    async def warm_up(self) -> None:
        """Every client and the good caller log in once."""
        logins = ["admin", *(f"client-{n}" for n in range(GUESSES))]
        found = await asyncio.gather(*(self.ask(login, PASSWORD) for login in logins))
        assert {status for status, _ in found} == {200}

    async def good(self, for_s: float) -> list[float]:
        """What the good caller waits; the next request is not sent later for it."""
        asked = []
        ends_s = time.monotonic() + for_s
        while time.monotonic() < ends_s:
            asked.append(asyncio.create_task(self.ask("admin", PASSWORD)))
            await asyncio.sleep(_GOOD_EACH_S)
        found = await asyncio.gather(*asked)
        assert {status for status, _ in found} == {200}
        return [taken_s for _, taken_s in found]

    @contextlib.asynccontextmanager
    async def guessing(self, statuses: list[int]) -> AsyncIterator[None]:
        """150 who guess as fast as they are let, each another login."""

        async def guess(number: int, turn: int) -> None:
            status, _ = await self.ask(f"guest-{number}", f"wrong {turn}")
            statuses.append(status)
            if status == 429:
                await asyncio.sleep(1.0)  # as Retry-After says at least

        async with self._beside(GUESSES, guess):
            await asyncio.sleep(_SENT_S)
            yield

    @contextlib.asynccontextmanager
    async def lapsing(self, clients: int) -> AsyncIterator[None]:
        """As `coming`, after all credentials have lapsed."""
        await asyncio.sleep(REMEMBERED_S + 0.5)
        async with self.coming(clients):
            yield

    @contextlib.asynccontextmanager
    async def coming(self, clients: int) -> AsyncIterator[None]:
        """Run `clients` callers that all ask at the same moment, once a second."""

        async def come(number: int, turn: int) -> None:
            status, _ = await self.ask(f"client-{number}", PASSWORD)
            assert status == 200
            await asyncio.sleep(_CLIENT_EACH_S)

        async with self._beside(clients, come):
            yield

    @contextlib.asynccontextmanager
    async def _beside(
        self, count: int, each: Callable[[int, int], Coroutine[Any, Any, None]]
    ) -> AsyncIterator[None]:
        """So many callers at once, who go on until the block ends."""

        async def caller(number: int) -> None:
            turn = 0
            while True:
                await each(number, turn)
                turn += 1

        tasks = [asyncio.create_task(caller(n)) for n in range(count)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            found = await asyncio.gather(*tasks, return_exceptions=True)
        wrong = [one for one in found if not isinstance(one, asyncio.CancelledError)]
        assert not wrong, wrong[0]
