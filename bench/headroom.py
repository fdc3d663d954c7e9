"""How long it takes to say whether the VMs of any one host would find a place on the others.

`python -m bench.headroom [--hosts 100,1000,10000]` prints one JSON line for each size. Timed is
the whole answer for all hosts, from columns whose caches are cold; building the columns from the
fleet and its VMs is `build_ms`, once for each change of the fleet. The fleet is filled with VMs of
15 shapes on some 60 % of the hosts; then, `tight`, until only one host in twenty is left.
"""

import argparse
import json
import time
from collections.abc import AsyncGenerator, Iterator
from itertools import cycle
from uuid import UUID

from bench.figures import Line, line, middle, share
from scheduler.capacity.host_failure import FailureAnalysis
from scheduler.fleet.fleet import Fleet
from scheduler.model.demand import Demand, Origin, RelocationScope
from scheduler.model.inventory import Datastore, Host, HostState
from scheduler.model.values import replace

SIZES = (100, 1_000, 10_000)
QUESTIONS = {100: 100, 1_000: 60, 10_000: 15}
_CPUS = 64
_RAM_MIB = 262_144
_GIB = 2**30
SHAPES = tuple(
    (cpu, cpu * per, cpu * 20 * _GIB) for cpu in (1, 2, 4, 8, 16) for per in (2048, 4096, 8192)
)


async def measure() -> AsyncGenerator[Line, None]:
    """The lines that `python -m bench headroom` shows."""
    for size in SIZES:
        for tight in (False, True):
            found = one(size, tight=tight)
            yield line(
                "headroom",
                "capacity with any one host lost" + (", tight" if tight else ""),
                "ms",
                p50=found["median_ms"],
                p99=found["p99_ms"],
                hosts=size,
            )


def one(size: int, *, tight: bool) -> dict[str, object]:
    """The figures for one size of fleet."""
    fleet, peopled = full(size, tight=tight)
    building, asking, computing = [], [], []
    for _ in range(QUESTIONS.get(size, 15)):
        began_s = time.perf_counter()
        losses = FailureAnalysis(fleet, peopled)
        built_s, built_cpu_s = time.perf_counter(), time.process_time()
        found = losses.survey()
        asking.append(1000 * (time.perf_counter() - built_s))
        computing.append(1000 * (time.process_time() - built_cpu_s))
        building.append(1000 * (built_s - began_s))
    return {
        "bench": "headroom",
        "hosts": size,
        "tight": tight,
        "vms": sum(len(vms) for vms in peopled.values()),
        "median_ms": round(middle(asking), 3),
        "p99_ms": round(share(asking, 99.0), 3),
        "median_cpu_ms": round(middle(computing), 3),
        "build_ms": round(middle(building), 1),
        "safe": found.safe,
        "unsafe": len(found.unsafe),
        "placed": found.placed,
    }


def full(size: int, *, tight: bool) -> tuple[Fleet, dict[int, list[Demand]]]:
    """Equal hosts, 40 to a rack, 500 to a shared datastore, filled one after the other."""
    fleet = Fleet()
    filled = size - max(size // 20, 1) if tight else size * 6 // 10
    for n in range(1, size // 500 + 2):
        fleet.apply(Datastore(n, f"disks-{n}", 1, True, True, 2**52, 0, "", 1, 1))
    shapes, numbers = cycle(SHAPES), iter(range(1, 10**9))
    peopled = {}
    for n in range(1, size + 1):
        host = _host(n)
        vms = list(_vms(host, shapes, numbers)) if n <= filled else []
        peopled[n] = vms
        cpu, ram = sum(vm.cpu for vm in vms), sum(vm.ram_mib for vm in vms)
        fleet.apply(replace(host, cpu_used=cpu, ram_used_mib=ram))
    return fleet, peopled


def _vms(
    host: Host, shapes: Iterator[tuple[int, int, int]], numbers: Iterator[int]
) -> Iterator[Demand]:
    """VMs of the next shapes, until one does not fit."""
    cpu = ram = 0
    origin = Origin(
        host.id, host.rack, host.hypervisor, host.datastores[0], True, RelocationScope.DATACENTER
    )
    for shape in shapes:
        cpu, ram = cpu + shape[0], ram + shape[1]
        if cpu > _CPUS or ram > _RAM_MIB:
            return
        yield Demand(UUID(int=next(numbers)), *shape, "KVM", 1, "default", origin)


def _host(n: int) -> Host:
    rack = 1 + n // 40
    return Host(
        id=n,
        name=f"host-{n}",
        datacenter=1,
        rack=rack,
        rack_name=f"rack-{rack}",
        hypervisor="sim",
        type="KVM",
        state=HostState.MANAGED,
        reachable=True,
        cpus=_CPUS,
        memory_mib=_RAM_MIB,
        cpu_limit=_CPUS,
        cpu_used=0,
        ram_limit_mib=_RAM_MIB,
        ram_used_mib=0,
        cpu_rule="",
        ram_rule="",
        networks=frozenset({"default"}),
        datastores=(1 + n // 500,),
        generation=1,
        character=1,
    )


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--hosts", default=",".join(map(str, SIZES)), help="sizes, by commas")
    for text in asked.parse_args().hosts.split(","):
        for crowded in (False, True):
            print(json.dumps(one(int(text), tight=crowded)), flush=True)
