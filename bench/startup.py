"""How long a service takes from its start until it is ready, and its memory then, with 1,000
hosts and 10,000 running VMs in the record.

Once with its PostgreSQL to start first, and once beside one that runs. Being ready is not all:
also told is when every host was surveyed, and how slowly `/readyz` answered meanwhile.
"""

import time
from collections.abc import AsyncGenerator
from datetime import datetime

from bench.figures import Line, line
from bench.ground import fill, ground, populate
from bench.service import Service, served, until
from gateway.store.db.pool import Store

HOSTS = 1_000
VMS = 10_000
_SURVEYED_WITHIN_S = 60.0


async def measure() -> AsyncGenerator[Line, None]:
    """A line for each start."""
    async with ground(lasting=True) as made:
        async with Store.open(made.store()) as store:
            await fill(store, hosts=HOSTS, vms=VMS, running=True)
            await populate(store, made)
        async with served(made) as service:
            resident_mib = service.resident_mib()
        yield _line("with PostgreSQL to start", service, resident_mib)
        async with Store.open(made.store()) as store:
            since = await _now(store)
            async with served(made) as service:
                resident_mib = service.resident_mib()
                surveyed_s, slowest_s = await _surveyed(service, store, since)
                surveyed_mib = service.resident_mib()
            on = await _on(store)
        yield _line(
            "with PostgreSQL running",
            service,
            resident_mib,
            all_surveyed=surveyed_s,
            readyz_slowest_meanwhile=slowest_s,
            resident_mib_surveyed=surveyed_mib,
            vms_still_on=on,
        )


async def _surveyed(service: Service, store: Store, since: datetime) -> tuple[float, float]:
    """Seconds from the start until every host was surveyed, and of the slowest probe until then."""
    began_s = time.perf_counter() - service.ready_s
    slowest_s = 0.0

    async def surveyed() -> bool:
        nonlocal slowest_s
        asked_s = time.perf_counter()
        await service.ready()
        slowest_s = max(slowest_s, time.perf_counter() - asked_s)
        async with store.read() as c:
            return not await c.fetchval("select count(*) from host where observed_at < $1", since)

    await until(surveyed, within_s=_SURVEYED_WITHIN_S)
    return time.perf_counter() - began_s, slowest_s


async def _now(store: Store) -> datetime:
    async with store.read() as c:
        found: datetime = await c.fetchval("select clock_timestamp()")
    return found


async def _on(store: Store) -> int:
    """How many VMs the record still holds for running: all, as nothing happened to them."""
    async with store.read() as c:
        found: int = await c.fetchval("select count(*) from vm where state = 'ON'")
    return found


def _line(figure: str, service: Service, resident_mib: float, **more: object) -> Line:
    return line(
        "startup",
        figure,
        "s",
        ready=service.ready_s,
        resident_mib=resident_mib,
        hosts=HOSTS,
        vms=VMS,
        **more,
    )
