"""How long deciding and claiming take in memory, beside a bare scan of the same inventory.

`python -m bench.place_speed --hosts 1000,10000,100000` prints one JSON line for each size and
for each of two sorts of requests: of 15 shapes, as clouds have them, and each of another shape.
A decision is `place` and `claim`: choice, score, tie-break and the versions of what was seen. The
fleet is kept at its level: each VM beyond it ends the oldest one, uncounted. The scan is the
least that numpy can do: filter, score and argmin over 32-bit floats in place, of the same
inventory in the same run, in turns with the decisions so that noise meets both.
"""

import argparse
import gc
import os
import random
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import numpy as np

from bench.figures import Line, middle, share, show
from scheduler.fleet.fleet import Fleet
from scheduler.fleet.ranking import FitPolicy
from scheduler.model.demand import Demand
from scheduler.model.inventory import Datastore, Host, HostState
from scheduler.model.placement import Placement

SHAPES = (
    (1, 2048, 20),
    (2, 4096, 40),
    (4, 8192, 80),
    (8, 16384, 160),
    (1, 1024, 20),
    (2, 8192, 40),
    (4, 16384, 80),
    (8, 32768, 160),
    (16, 65536, 320),
    (2, 2048, 40),
    (4, 4096, 80),
    (8, 8192, 160),
    (1, 4096, 20),
    (16, 32768, 320),
    (32, 131072, 640),
)
"""Virtual CPUs, MiB, GiB."""
GIB = 2**30
DECISIONS = 4000
WARM = 1000
SEED = 7
_OVERSUBSCRIPTION = 4


def host(n: int, cores: int, used: float, **more: Any) -> Host:
    """A host with 4 GiB a core, oversubscribed four times in CPUs, on a datastore of its own."""
    return Host(
        id=n,
        name=f"host-{n}",
        datacenter=1,
        rack=1 + n // 40,
        rack_name=f"rack-{1 + n // 40}",
        hypervisor="sim",
        type="KVM",
        state=HostState.MANAGED,
        reachable=True,
        cpus=cores,
        memory_mib=cores * 4096,
        cpu_limit=cores * _OVERSUBSCRIPTION,
        cpu_used=int(cores * _OVERSUBSCRIPTION * used),
        ram_limit_mib=cores * 4096,
        ram_used_mib=int(cores * 4096 * used),
        cpu_rule="",
        ram_rule="",
        networks=frozenset({"default"}),
        datastores=(n,),
        generation=1,
        character=1,
        **more,
    )


def fleet_of(size: int) -> tuple[Fleet, tuple[Any, Any, Any]]:
    """Hosts of four sizes, up to 80 % in use; and the scan's columns of the same."""
    draw = np.random.default_rng(SEED)
    cores = draw.choice([32, 48, 64, 96], size)
    used = draw.random(size) * 0.8
    free_gib = (draw.random(size) * 4000).astype(int)
    fleet = Fleet()
    for n in range(size):
        fleet.apply(host(n + 1, int(cores[n]), float(used[n])))
        room = int(free_gib[n]) * GIB
        fleet.apply(Datastore(n + 1, f"disks-{n}", 1, True, False, room, 0, "", 1, 1))
    columns = (
        np.array([each.cpu_limit - each.cpu_used for each in fleet.hosts()], np.float32),
        np.array([each.ram_limit_mib - each.ram_used_mib for each in fleet.hosts()], np.float32),
        free_gib.astype(np.float32),
    )
    return fleet, columns


def scan_of(columns: tuple[Any, Any, Any]) -> Callable[[tuple[int, int, int]], int]:
    """Filter, score (the least left over) and argmin, in place."""
    cpu, ram, disk = columns
    passing, more = np.empty(len(cpu), bool), np.empty(len(cpu), bool)
    score = np.empty(len(cpu), np.float32)
    unit = np.float32(1 / 4096)

    def scan(wanted: tuple[int, int, int]) -> int:
        np.greater_equal(cpu, np.float32(wanted[0]), out=passing)
        np.greater_equal(ram, np.float32(wanted[1]), out=more)
        np.logical_and(passing, more, out=passing)
        np.greater_equal(disk, np.float32(wanted[2]), out=more)
        np.logical_and(passing, more, out=passing)
        np.logical_not(passing, out=passing)
        np.multiply(ram, unit, out=score)
        np.add(score, cpu, out=score)
        score[passing] = 3e38
        return int(score.argmin())

    return scan


def few(draw: random.Random) -> Iterator[tuple[int, int, int]]:
    """One of 15 shapes each time."""
    while True:
        yield draw.choice(SHAPES)


def distinct(draw: random.Random) -> Iterator[tuple[int, int, int]]:
    """Never the same twice: a shape of the 15, a few MiB larger each time."""
    for n in range(sys.maxsize):
        cpu, ram_mib, disk_gib = draw.choice(SHAPES)
        yield cpu, ram_mib + 1 + n % 1021, disk_gib + n // 1021


@dataclass(slots=True)
class Run:
    """One fleet under one sort of requests."""

    fleet: Fleet
    shapes: Iterator[tuple[int, int, int]]
    live: deque[tuple[Placement, Demand]] = field(default_factory=deque)
    seconds: list[float] = field(default_factory=list)
    number: int = 0

    def demand(self, wanted: tuple[int, int, int]) -> Demand:
        """A VM of that shape."""
        cpu, ram_mib, disk_gib = wanted
        return Demand(UUID(int=self.number), cpu, ram_mib, disk_gib * GIB, "KVM", 1, "default")

    def turn(self, level: int) -> tuple[int, int, int]:
        """Decide and claim once, timed; the shape that was asked for."""
        wanted = next(self.shapes)
        self.number += 1
        demand = self.demand(wanted)
        began_s = time.perf_counter()
        found = self.fleet.place(demand, FitPolicy.PROGRESSIVE)
        if isinstance(found, Placement):
            self.fleet.claim(found, demand)
        self.seconds.append(time.perf_counter() - began_s)
        if isinstance(found, Placement):
            self.live.append((found, demand))
        while len(self.live) > level or (self.live and not isinstance(found, Placement)):
            self.fleet.release(*self.live.popleft())
            found = self.live[0][0] if self.live else found
        return wanted


def measure(size: int, sort: str, decisions: int) -> Line:
    """One line."""
    fleet, columns = fleet_of(size)
    scan = scan_of(columns)
    draw = random.Random(SEED)
    run = Run(fleet, few(draw) if sort == "15" else distinct(draw))
    level = min(size * 2, WARM + decisions // 2)
    scans: list[float] = []
    for n in range(WARM + decisions):
        if n == WARM:
            run.seconds.clear()
        wanted = run.turn(level)
        began_s = time.perf_counter()
        scan(wanted)
        scans.append(time.perf_counter() - began_s)
    taken = [1e6 * one for one in run.seconds]
    return {
        "bench": "place",
        "hosts": size,
        "shapes": sort,
        "median_us": round(middle(taken), 2),
        "p99_us": round(share(taken, 99.0), 2),
        "scan_median_us": round(middle([1e6 * one for one in scans[WARM:]]), 2),
    }


def pin() -> None:
    """Stay on one core, where the system lets us say so."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def main(arguments: list[str] | None = None) -> None:
    """Print the lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", default="1000,10000,100000")
    parser.add_argument("--decisions", type=int, default=DECISIONS)
    given = parser.parse_args(arguments)
    pin()
    gc.disable()
    for size in given.hosts.split(","):
        for sort in ("15", "distinct"):
            show(measure(int(size), sort, given.decisions))
            gc.collect()


if __name__ == "__main__":
    main()
