"""How quickly a request is accepted, that is: is in PostgreSQL, and answered with 202.

Beside it, in turns so that noise meets all alike: a bare aiohttp handler (the same clients, the
same body), and bare commits of one row on the same PostgreSQL over as many sessions as the
service has. The service has the role `api`: what it accepts stays queued.
"""

from collections.abc import AsyncGenerator

from bench import clients
from bench.bare import PATH, bare
from bench.clients import Result, Work
from bench.commits import writers
from bench.figures import Line, line, middle, ratio, share
from bench.ground import APPLIANCE, Ground, fill, ground
from bench.service import served
from gateway.store.db.pool import Store

ROUNDS = 5
EACH = 1500
WARM = 200


async def measure() -> AsyncGenerator[Line, None]:
    """Rates and latencies, with ratios to the two baselines of the same rounds."""
    async with ground() as made, Store.open(made.store()) as store:
        await fill(store, hosts=10, vms=ROUNDS * EACH + WARM)
        async with bare() as bare_port:
            (ours, http, commits), cpu_s = await _rounds(made, store, bare_port)
    rates = [[_rate(one) for one in each] for each in (ours, http, commits)]
    yield line(
        "accept",
        "202s",
        "1/s",
        rate=middle(rates[0]),
        bare_http=middle(rates[1]),
        bare_commit=middle(rates[2]),
        ratio_to_http=ratio(rates[0], rates[1]),
        ratio_to_commit=ratio(rates[0], rates[2]),
        rates=[round(rate) for rate in rates[0]],
        service_cpu_ms_each=1000 * cpu_s / (ROUNDS * EACH),
        clients=clients.CONNECTIONS,
    )
    for name, percent in (("p50", 50.0), ("p99", 99.0)):
        late = [
            [1000 * share(one.latencies_s, percent) for one in each]
            for each in (ours, http, commits)
        ]
        yield line(
            "accept",
            name,
            "ms",
            latency=middle(late[0]),
            bare_http=middle(late[1]),
            bare_commit=middle(late[2]),
            ratio_to_http=ratio(late[0], late[1]),
            ratio_to_commit=ratio(late[0], late[2]),
        )


async def _rounds(
    made: Ground, store: Store, bare_port: int
) -> tuple[tuple[list[Result], list[Result], list[Result]], float]:
    """Our results, the bare handler's and the bare commits', one of each in every round, and
    the seconds of CPU that ours took."""
    ours: list[Result] = []
    http: list[Result] = []
    commits: list[Result] = []
    cpu_s = 0.0
    async with served(made, "api") as service, writers(store) as baseline:
        token = await service.token()
        vms = iter(range(1, ROUNDS * EACH + WARM + 1))
        for n in range(ROUNDS + 1):
            count = EACH if n else WARM
            paths = [deploy_path(next(vms)) for _ in range(count)]
            before_s = service.cpu_s()
            ours.append(await clients.drive(Work(made.port, paths, token)))
            cpu_s += service.cpu_s() - before_s if n else 0.0
            http.append(await clients.drive(Work(bare_port, [PATH] * count)))
            commits.append(await baseline.commit(count))
    # The first round only warmed everything.
    return (ours[1:], http[1:], commits[1:]), cpu_s


def deploy_path(vm: int) -> str:
    """Where a VM is asked to be deployed."""
    return f"/api/{APPLIANCE}/virtualmachines/{vm}/action/deploy"


def _rate(one: Result) -> float:
    return len(one.latencies_s) / one.seconds
