"""How long the scheduler takes to decide, by the size of the fleet; no store, no HTTP.

In a fresh fleet each next VM is placed and claimed, so that every decision sees a changed fleet.
In a crowded one every second host is full and ranked first: all those are passed over.
"""

import time
from collections.abc import AsyncGenerator
from itertools import count
from uuid import UUID

from bench.figures import Line, line, middle, share
from scheduler.decisions import explanation
from scheduler.fleet.fleet import Fleet
from scheduler.fleet.ranking import FitPolicy
from scheduler.model.demand import Demand
from scheduler.model.inventory import Datastore, Host, HostState
from scheduler.model.placement import Placement, Refusal
from scheduler.model.values import replace

SIZES = (1_000, 10_000)
DECISIONS = 200
REFUSALS = 20
_CPUS = 64
_RAM_MIB = 262_144
_PER_RACK = 40
_numbers = count(1)


async def measure() -> AsyncGenerator[Line, None]:
    """Placements at each size, then a refusal at the smallest with its explanation."""
    cases = [(size, crowded) for size in SIZES for crowded in (False, True)]
    fleets = {each: fleet_of(*each) for each in cases}
    seconds: dict[tuple[int, bool], list[float]] = {each: [] for each in cases}
    for _ in range(DECISIONS):
        # In turns, so that noise meets all alike.
        for each, fleet in fleets.items():
            seconds[each].append(_place(fleet))
    for (size, crowded), taken in seconds.items():
        figure = "place, every second host full" if crowded else "place"
        yield _line(figure, taken, hosts=size)
    refusing, explaining = _refuse(fleets[SIZES[0], False])
    yield _line("refuse", refusing, hosts=SIZES[0])
    yield _line("explain a refusal", explaining, hosts=SIZES[0])


def fleet_of(size: int, crowded: bool) -> Fleet:
    """Equal hosts, 40 to a rack, on one shared datastore."""
    fleet = Fleet()
    fleet.apply(Datastore(1, "shared", 1, True, True, 2**60, 0, "", 1, 1))
    for n in range(1, size + 1):
        unused = host(n)
        full = crowded and n % 2 == 0
        fleet.apply(replace(unused, cpu_used=_CPUS) if full else unused)
    return fleet


def host(n: int) -> Host:
    """An unused host with 64 CPUs and 256 GiB."""
    rack = 1 + n // _PER_RACK
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
        datastores=(1,),
        generation=1,
        character=1,
    )


def _demand(cpu: int = 1) -> Demand:
    return Demand(UUID(int=next(_numbers)), cpu, 1024, 10 * 2**30, "KVM", 1, "default")


def _place(fleet: Fleet) -> float:
    """The seconds one decision took; it is claimed, uncounted."""
    demand = _demand()
    began_s = time.perf_counter()
    found = fleet.place(demand, FitPolicy.PROGRESSIVE)
    taken_s = time.perf_counter() - began_s
    assert isinstance(found, Placement)
    fleet.claim(found, demand)
    return taken_s


def _refuse(fleet: Fleet) -> tuple[list[float], list[float]]:
    """The seconds of refusals of more than any host has, and of saying why."""
    refusing: list[float] = []
    explaining: list[float] = []
    for _ in range(REFUSALS):
        began_s = time.perf_counter()
        found = fleet.place(_demand(_CPUS + 1), FitPolicy.PROGRESSIVE)
        decided_s = time.perf_counter()
        assert isinstance(found, Refusal)
        explanation.summary(found)
        explanation.rows(found)
        explaining.append(time.perf_counter() - decided_s)
        refusing.append(decided_s - began_s)
    return refusing, explaining


def _line(figure: str, taken_s: list[float], **more: object) -> Line:
    milliseconds = [1000 * one for one in taken_s]
    return line(
        "decide", figure, "ms", p50=middle(milliseconds), p99=share(milliseconds, 99.0), **more
    )
