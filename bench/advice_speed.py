"""How long a refusal and its advice take, by the size of the fleet.

`python -m bench.advice_speed --hosts 1000,10000` prints one JSON line for each size: the refusal
itself and the cutting out of its vicinity, which the service does between other work, and
the advice in a child process, sending and receiving counted in.
"""

import argparse
import random
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from uuid import UUID

from bench.figures import Line, middle, show
from bench.place_speed import GIB, SEED, host
from scheduler.advice.local_inventory import LocalInventory
from scheduler.advice.nearby_hosts import vicinity
from scheduler.advice.search import advise
from scheduler.fleet.fleet import Fleet
from scheduler.fleet.ranking import FitPolicy
from scheduler.model.demand import Demand, RelocationScope
from scheduler.model.inventory import Datastore, Host, RuleSet, Tier
from scheduler.model.limits import Level, LoadKind, LoadRule, Rules, resolve
from scheduler.model.placement import HostVerdict, Refusal
from scheduler.model.values import replace
from scheduler.snapshot.snapshot import SnapshotHold, SnapshotVm

REFUSALS = 30
VMS_A_HOST = 8
LOADS = (LoadRule(1, LoadKind.COMPUTE, Level.DATACENTER, 1, 400, 100),)


@dataclass(slots=True)
class Taken:
    """Milliseconds of each refusal."""

    refuse: list[float] = field(default_factory=list)
    vicinity: list[float] = field(default_factory=list)
    advise: list[float] = field(default_factory=list)
    given: list[int] = field(default_factory=list)


def full_fleet(size: int, draw: random.Random) -> Fleet:
    """Hosts that are nearly full of VMs of the same size, with two tiers and a rule for all."""
    hosts = [_crowded(n, draw) for n in range(1, size + 1)]
    tiers = (None, Tier(1, "gold", enterprises=frozenset({1})))
    stores = [
        Datastore(
            n,
            f"disks-{n}",
            1,
            True,
            False,
            0,
            0,
            "",
            1,
            1,
            tiers[n % 2],
            draw.randint(1, 4000) * GIB,
        )
        for n in range(1, size + 1)
    ]
    fleet = Fleet()
    for row in resolve(Rules(loads=LOADS), hosts, stores).rows[:-1]:
        fleet.apply(row)
    fleet.apply(RuleSet(1, excluded={1: frozenset({2}), 2: frozenset({1})}))
    return fleet


def _crowded(n: int, draw: random.Random) -> Host:
    cores = draw.choice([32, 48, 64, 96])
    used = 0.85 + draw.random() * 0.15
    plain = host(n, cores, used)
    cpu, ram = plain.cpu_used // VMS_A_HOST, plain.ram_used_mib // VMS_A_HOST
    owners = frozenset({draw.randint(1, 4)})
    return replace(
        plain, cpu_used=cpu * VMS_A_HOST, ram_used_mib=ram * VMS_A_HOST, enterprises=owners
    )


def peopled(scene: LocalInventory) -> LocalInventory:
    """The scene with the VMs that fill its hosts, and a hold for every one of them."""
    residents, holds = [], []
    for each in scene.hosts.values():
        cpu, ram = each.cpu_used // VMS_A_HOST, each.ram_used_mib // VMS_A_HOST
        owner = min(each.enterprises)
        for n in range(VMS_A_HOST - 1):
            vm = UUID(int=each.id * 100 + n)
            residents.append(SnapshotVm(vm, f"vm-{vm.int}", each.id, each.id, cpu, ram, 0, owner))
        until = f"2030-01-01T10:{each.id % 60:02}:00Z"
        hold = SnapshotHold(UUID(int=each.id), each.id, each.id, cpu, ram, 0, owner, until=until)
        holds.append(hold)
    around = replace(scene.around, loads=LOADS, residents=tuple(residents), holds=tuple(holds))
    return replace(scene, around=around)


def advised(scene: LocalInventory, misses: tuple[HostVerdict, ...]) -> int:
    """How much advice there is."""
    return len(advise(scene, misses))


def measure(size: int, pool: ProcessPoolExecutor) -> Line:
    """One line."""
    draw = random.Random(SEED)
    fleet, taken = full_fleet(size, draw), Taken()
    while len(taken.given) < REFUSALS:
        cpu, ram, disk = draw.choice([(64, 200_000, 100), (32, 65_536, 3900), (64, 131_072, 640)])
        demand = Demand(UUID(int=1), cpu, ram, disk * GIB, "KVM", 1, "default")
        demand = replace(demand, enterprise=draw.randint(1, 4), tier=draw.choice([None, 1]))
        began_s = time.perf_counter()
        answer = fleet.place(demand, FitPolicy.PROGRESSIVE)
        if not isinstance(answer, Refusal):
            continue
        refused_s = time.perf_counter()
        scene, misses = vicinity(fleet, answer, FitPolicy.PROGRESSIVE, RelocationScope.DATACENTER)
        cut_s = time.perf_counter()
        scene = peopled(scene)
        asked_s = time.perf_counter()
        taken.given.append(pool.submit(advised, scene, misses).result())
        taken.refuse.append(1e3 * (refused_s - began_s))
        taken.vicinity.append(1e3 * (cut_s - refused_s))
        taken.advise.append(1e3 * (time.perf_counter() - asked_s))
    return {
        "bench": "advice",
        "hosts": size,
        "refuse_ms": round(middle(taken.refuse), 2),
        "vicinity_ms": round(middle(taken.vicinity), 2),
        "advise_ms": round(middle(taken.advise), 1),
        "advise_max_ms": round(max(taken.advise), 1),
        "given": middle(taken.given),
        "without": taken.given.count(0),
    }


def main(arguments: list[str] | None = None) -> None:
    """Print the lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", default="1000,10000")
    given = parser.parse_args(arguments)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        for size in given.hosts.split(","):
            show(measure(int(size), pool))


if __name__ == "__main__":
    main()
