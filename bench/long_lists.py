"""What four callers that list all of 8,000 VMs do to a fifth caller, and to the service's memory.

The phases take turns, so noise affects both alike. Each of the four asks as a user of its own for
`limit=0` and follows `next` to the end, again and again. The good caller asks for one VM.
"""

import asyncio
import base64
import contextlib
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator

from aiohttp import ClientSession, TCPConnector
from argon2 import PasswordHasher

from bench.figures import Line, line, middle, ratio, share
from bench.ground import fill, ground
from bench.service import PASSWORD, BenchFailed, Service, served
from gateway.store.db.pool import Store

VMS = 8000
CALLERS = 4
ROUNDS = 3
PHASE_S = 5.0
_GAP_S = 0.02
_USERS = """
insert into app_user (nick, enterprise_id, privileges, password_hash)
select 'lister-' || n, 1, admin.privileges, $2
from generate_series(0, $1::int - 1) n, app_user admin where admin.nick = 'admin'
"""
_HEAD = 4096
"""Bytes of a page that hold its links: to search all of it would take the good caller's time."""
_NEXT = re.compile(r'"href":"([^"]+)","rel":"next"|"rel":"next","href":"([^"]+)"')


async def measure() -> AsyncGenerator[Line, None]:
    """The p99 of the good caller alone and beside the four, and the memory in use."""
    async with ground() as made, Store.open(made.store()) as store:
        await fill(store, hosts=100, vms=VMS)
        async with store.read() as c:
            await c.execute("analyze")
        async with served(made) as service, ClientSession(connector=TCPConnector(limit=0)) as s:
            quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
            async with store.transaction() as c:
                await c.execute(_USERS, CALLERS, quick)
            token = await service.token()
            memory_mib = {"alone": 0.0, "beside": 0.0}
            p99s: dict[str, list[float]] = {"alone": [], "beside": []}
            counts = [0, 0]
            for _ in range(ROUNDS):
                p99s["alone"].append(await _good(service, token, memory_mib, "alone"))
                async with _listing(service, s, counts):
                    p99s["beside"].append(await _good(service, token, memory_mib, "beside"))
    if not counts[0]:
        raise BenchFailed("no page was answered")
    for name, taken in p99s.items():
        yield line(
            "long_lists",
            name,
            "ms",
            p99=middle(taken),
            ratio_to_alone=ratio(taken, p99s["alone"]),
            memory_mib=memory_mib[name],
            pages=counts[0] if name == "beside" else 0,
            refused_429=counts[1] if name == "beside" else 0,
        )


async def _good(service: Service, token: str, memory_mib: dict[str, float], name: str) -> float:
    """The p99 of a caller that asks for one VM, in ms; keep the most memory seen."""
    taken_s = []
    ends_s = time.monotonic() + PHASE_S
    while time.monotonic() < ends_s:
        began_s = time.perf_counter()
        await service.get("cloud/virtualmachines?limit=1", token)
        taken_s.append(time.perf_counter() - began_s)
        memory_mib[name] = max(memory_mib[name], service.resident_mib())
        await asyncio.sleep(_GAP_S)
    return 1000 * share(taken_s, 99.0)


@contextlib.asynccontextmanager
async def _listing(
    service: Service, session: ClientSession, counts: list[int]
) -> AsyncIterator[None]:
    """Four callers that list everything, until the block ends."""
    tasks = [asyncio.create_task(_list(service, session, n, counts)) for n in range(CALLERS)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
    wrong = [one for one in found if not isinstance(one, asyncio.CancelledError)]
    if wrong:
        raise BenchFailed(repr(wrong[0]))


async def _list(service: Service, session: ClientSession, number: int, counts: list[int]) -> None:
    given = base64.b64encode(f"lister-{number}:{PASSWORD}".encode()).decode()
    first = f"http://127.0.0.1:{service.ground.port}/api/cloud/virtualmachines?limit=0"
    url = first
    while True:
        async with session.get(url, headers={"Authorization": f"Basic {given}"}) as answer:
            page = (await answer.read())[:_HEAD].decode()
        if answer.status == 429:
            counts[1] += 1
            await asyncio.sleep(float(answer.headers["Retry-After"]))
            continue
        if answer.status != 200:
            raise BenchFailed(f"{url} answered {answer.status}")
        counts[0] += 1
        following = _NEXT.search(page)
        url = (following[1] or following[2]) if following else first
