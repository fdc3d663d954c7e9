"""Durable placements a second: each one decided, and committed with its decision on record.

`python -m bench.durable --hosts 1000,10000 --callers 32`. Every caller has one VM at a time on its
way through the SCHEDULE step: the fleet proposes, the claim is granted on locked ledger rows, and
the booking, the VM's place, the journal, the event and the decision are in the same commit, with
fsync and `synchronous_commit` on. Claiming the task before and the driver afterwards are not in it.
"""

import argparse
import asyncio
import time
from collections.abc import AsyncGenerator

import uvloop

from bench.figures import Line, middle, share, show
from bench.ground import SIZE, fill, ground
from bench.placing import Placer, booked, make_ready
from gateway.service.gc_tuning import collect_seldom
from gateway.store.db.pool import Store
from gateway.tasks.step_actions import StepContext

CALLERS = 32
VMS = 6_000
WARM = 500


async def measure(hosts: int, callers: int, vms: int) -> AsyncGenerator[Line, None]:
    """One line."""
    async with ground() as made, Store.open(made.store()) as store:
        await fill(store, hosts=hosts, vms=vms)
        async with store.transaction() as c:
            await make_ready(c, SIZE.cpus, SIZE.ram_mib)
        placer = await Placer.of(store)
        waiting = []
        while taken := await placer.take("bench", 500):
            waiting += taken
        async with store.read() as c:
            commits = await c.fetchval("show synchronous_commit")
        collect_seldom()  # as the service does once it is ready
        seconds: list[float] = []
        await _all(placer, waiting[:WARM], callers, seconds)
        seconds.clear()
        began_s = time.perf_counter()
        await _all(placer, waiting[WARM:], callers, seconds)
        taken_s = time.perf_counter() - began_s
        async with store.read() as c:
            (found,) = await booked(c)
        assert found == (vms, vms, 0), found
        yield {
            "bench": "durable",
            "hosts": hosts,
            "callers": callers,
            "placements": len(seconds),
            "per_s": round(len(seconds) / taken_s),
            "median_ms": round(1e3 * middle(seconds), 2),
            "p99_ms": round(1e3 * share(seconds, 99.0), 2),
            "synchronous_commit": commits,
        }


async def _all(
    placer: Placer, waiting: list[StepContext], callers: int, seconds: list[float]
) -> None:
    left = iter(waiting)

    async def caller() -> None:
        for at in left:
            began_s = time.perf_counter()
            await placer.place(at)
            seconds.append(time.perf_counter() - began_s)

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller())


async def run(sizes: list[int], callers: int, vms: int) -> None:
    """Print a line for each size."""
    for size in sizes:
        async for one in measure(size, callers, vms):
            show(one)


def main(arguments: list[str] | None = None) -> None:
    """Print the lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", default="1000,10000")
    parser.add_argument("--callers", type=int, default=CALLERS)
    parser.add_argument("--vms", type=int, default=VMS)
    given = parser.parse_args(arguments)
    sizes = [int(size) for size in given.hosts.split(",")]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as the service runs
        runner.run(run(sizes, given.callers, given.vms))


if __name__ == "__main__":
    main()
