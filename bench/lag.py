"""How late the service's event loop wakes under load, as it tells in its metrics.

It deploys as fast as it can while clients ask. Beside it: the service at rest, and how late our
own idle loop woke meanwhile, which is the computer's noise.
"""

import asyncio
import math
import time
from collections.abc import AsyncGenerator

from bench.deploys import HOSTS, all_on, deploy, hosts_answer
from bench.figures import Line, line, share
from bench.ground import fill, ground
from bench.service import Service, served
from gateway.service.probes import LAG_EACH_S
from gateway.store.db.pool import Store

EACH = 400
VMS_MAX = 6000
LOADED_S = 15.0
REST_S = 5.0
_HOSTS = 3 * HOSTS


async def measure() -> AsyncGenerator[Line, None]:
    """One line at rest and one under load."""
    async with ground() as made, Store.open(made.store()) as store:
        await fill(store, hosts=_HOSTS, vms=VMS_MAX)
        async with served(made) as service:
            token = await service.token()
            await hosts_answer(service, _HOSTS)
            await deploy(service, token, range(1, 101))
            before = await service.lag()
            await asyncio.sleep(REST_S)
            yield _line("at rest", before, await service.lag())
            before = await service.lag()
            noise_s: list[float] = []
            listening = asyncio.create_task(_listen(noise_s))
            try:
                last = await _load(service, token)
            finally:
                listening.cancel()
            after = await service.lag()
            await all_on(service, token, last)
            yield _line(
                "under load",
                before,
                after,
                deploys=last - 100,
                own_idle_loop_p99=1000 * share(noise_s, 99.0),
            )


async def _load(service: Service, token: str) -> int:
    """Deploy until enough was seen; the last VM's number."""
    ends_s = time.monotonic() + LOADED_S
    last = 100
    while time.monotonic() < ends_s and last + EACH <= VMS_MAX:
        await deploy(service, token, range(last + 1, last + EACH + 1))
        last += EACH
    return last


async def _listen(late_s: list[float]) -> None:
    """As the service measures itself."""
    while True:
        began_s = time.perf_counter()
        await asyncio.sleep(LAG_EACH_S)
        late_s.append(max(0.0, time.perf_counter() - began_s - LAG_EACH_S))


def _line(
    figure: str, before: dict[float, float], after: dict[float, float], **more: object
) -> Line:
    """The histogram tells upper bounds only, and so do we."""
    counts = {le: after[le] - before.get(le, 0.0) for le in sorted(after)}
    return line(
        "lag",
        figure,
        "ms",
        p50_at_most=_bound(counts, 50.0),
        p99_at_most=_bound(counts, 99.0),
        all_at_most=_bound(counts, 100.0),
        wakings=counts[math.inf],
        **more,
    )


def _bound(counts: dict[float, float], percent: float) -> float | None:
    """The first bucket's bound, in milliseconds, under which that many lie; None for over all."""
    wanted = counts[math.inf] * percent / 100
    found = next(le for le, count in counts.items() if count >= wanted)
    return None if math.isinf(found) else 1000 * found
