"""How many VMs a second go from a request to ON, by one service on hypervisors without delays.

The VMs are asked for over HTTP by 32 clients. The clock stops when no task is left open, and
every VM is then seen to be ON over HTTP. Beside it, in turns: bare commits on the same server.
"""

import time
from collections.abc import AsyncGenerator

from bench import clients
from bench.accept import deploy_path
from bench.clients import Result, Work
from bench.commits import writers
from bench.figures import Line, line, middle, ratio, share
from bench.ground import APPLIANCE, fill, ground
from bench.service import BenchFailed, Service, served, until
from gateway.store.db.pool import Store

HOSTS = 40
ROUNDS = 3
VMS = 500
WARM = 50
_WITHIN_S = 60.0


async def measure() -> AsyncGenerator[Line, None]:
    """One line; the first VMs only warm everything."""
    rates: list[float] = []
    commits: list[float] = []
    accepted: list[float] = []
    late_ms: list[float] = []
    async with ground() as made, Store.open(made.store()) as store:
        await fill(store, hosts=HOSTS, vms=WARM + ROUNDS * VMS)
        async with served(made) as service, writers(store) as baseline:
            token = await service.token()
            await hosts_answer(service, HOSTS)
            await deploy(service, token, range(1, WARM + 1))
            for first in range(WARM + 1, WARM + ROUNDS * VMS, VMS):
                asked, seconds = await deploy(service, token, range(first, first + VMS))
                rates.append(VMS / seconds)
                accepted.append(VMS / asked.seconds)
                late_ms.append(1000 * share(asked.latencies_s, 99.0))
                commits.append(4 * VMS / (await baseline.commit(4 * VMS)).seconds)
            await all_on(service, token, WARM + ROUNDS * VMS)
            resident_mib = service.resident_mib()
    yield line(
        "deploys",
        "to ON",
        "1/s",
        rate=middle(rates),
        bare_commit=middle(commits),
        ratio_to_commit=ratio(rates, commits),
        rates=[round(rate) for rate in rates],
        accepted_meanwhile=middle(accepted),
        accepted_p99_ms=middle(late_ms),
        resident_mib=resident_mib,
        vms=VMS,
        hosts=HOSTS,
    )


async def hosts_answer(service: Service, hosts: int) -> None:
    """Wait until each was surveyed: before, nothing is placed there."""

    async def seen() -> bool:
        return await service.hosts_seen() == hosts

    await until(seen, within_s=_WITHIN_S)


async def deploy(service: Service, token: str, vms: range) -> tuple[Result, float]:
    """Ask for VMs and wait for the end of their tasks: the asking, and seconds in all."""
    paths = [deploy_path(vm) for vm in vms]
    asked = await clients.drive(Work(service.ground.port, paths, token))

    async def ended() -> bool:
        return await service.open_tasks() == 0

    await until(ended, within_s=_WITHIN_S, each_s=0.05)
    return asked, time.monotonic() - asked.began_s


async def all_on(service: Service, token: str, vms: int) -> None:
    """BenchFailed unless that many VMs are seen to be ON."""
    found = await service.get(f"{APPLIANCE}/virtualmachines?limit=0", token)
    on = sum(one["state"] == "ON" for one in found["collection"])
    if on != vms:
        raise BenchFailed(f"{on} of {vms} VMs are ON")
