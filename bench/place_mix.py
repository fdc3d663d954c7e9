"""How long deciding and claiming take where all rules are in use, and what a refusal costs.

`python -m bench.place_mix --hosts 1000,10000` prints one line for each size and figure. In the mix,
limits differ by host as rules at four levels make them, racks share two datastores of two tiers,
every fourth rack and the datacenter have an aggregated limit, one host in twenty is reserved,
five pairs of twenty enterprises are kept apart, and three of ten VMs are of a layer. The plain
case of `bench.place_speed` runs in turns with it. A refusal looks at every host, counts what each
lacks, and tells the nearest in full; it is of a size that fits nowhere.
"""

import argparse
import gc
import random
import time
from dataclasses import dataclass, field
from uuid import UUID

from bench.figures import Line, middle, share, show
from bench.place_speed import GIB, SEED, SHAPES, WARM, Run, few, fleet_of, host, pin
from scheduler.fleet.fleet import Fleet
from scheduler.fleet.ranking import FitPolicy
from scheduler.model.demand import Demand
from scheduler.model.inventory import AggregateScope, Datastore, RuleSet, Tier
from scheduler.model.placement import Refusal
from scheduler.model.values import replace

DECISIONS = 3000
REFUSALS = 20
_RACK = 40
_ENTERPRISES = 20
_TIERS = (Tier(1, "gold"), Tier(2, "silver", progressive=True))


def mixed(size: int) -> Fleet:
    """Hosts under every rule."""
    draw = random.Random(SEED)
    fleet = Fleet()
    apart = {n: frozenset({n + 1 if n % 2 else n - 1}) for n in range(1, 11)}
    fleet.apply(RuleSet(1, excluded=apart, restricted=frozenset({20})))
    for n in range(1, size + 1):
        rack = 1 + n // _RACK
        cores = draw.choice([32, 48, 64, 96])
        row = host(n, cores, draw.random() * 0.8)
        percent = draw.choice([100, 100, 150, 80])
        fleet.apply(
            replace(
                row,
                cpu_limit=row.cpu_limit * percent // 100,
                cluster=rack if rack % 3 == 0 else None,
                reserved_for=20 if n % 20 == 0 else None,
                enterprises=frozenset(draw.sample(range(1, _ENTERPRISES + 1), 3)),
                networks=frozenset({"default", "dmz"} if n % 2 else {"default"}),
                datastores=(2 * rack, 2 * rack + 1),
            )
        )
    for rack in range(1, 2 + size // _RACK):
        for of in (0, 1):
            room = 400_000 * GIB
            store = Datastore(2 * rack + of, f"d{rack}-{of}", 1, True, True, room, 0, "", 1, 1)
            fleet.apply(replace(store, tier=_TIERS[of]))
        if rack % 4 == 0:
            fleet.apply(_scope("rack", rack, 40 * 64 * 4))
        if rack % 3 == 0:
            fleet.apply(_scope("cluster", rack, 40 * 64 * 4))
    fleet.apply(_scope("datacenter", 1, size * 64 * 4))
    return fleet


def _scope(kind: str, id: int, cpu: int) -> AggregateScope:
    return AggregateScope(
        kind, id, f"{kind}-{id}", cpu, 0, cpu * 1024, 0, None, 0, "aggregated", 1, 1
    )


@dataclass(slots=True)
class Mixed(Run):
    """One fleet under requests of many tenants."""

    draw: random.Random = field(default_factory=lambda: random.Random(SEED))

    def demand(self, wanted: tuple[int, int, int]) -> Demand:
        """A demand of some tenant."""
        draw = self.draw
        return Demand(
            UUID(int=self.number),
            wanted[0],
            wanted[1],
            wanted[2] * GIB,
            "KVM",
            1,
            draw.choice(["default", "default", "dmz"]),
            enterprise=draw.randint(1, _ENTERPRISES),
            layer=draw.randint(1, 200) if draw.random() < 0.3 else None,
            tier=draw.choice([None, 1, 2]),
        )


def measure(size: int, decisions: int) -> list[Line]:
    """The mix beside the plain case, then refusals."""
    plain = Run(fleet_of(size)[0], few(random.Random(SEED)))
    mix = Mixed(mixed(size), few(random.Random(SEED)))
    level = min(size * 2, WARM + decisions // 2)
    for n in range(WARM + decisions):
        for run in (plain, mix):
            if n == WARM:
                run.seconds.clear()
            run.turn(level)
    lines = [_line("plain", size, plain.seconds), _line("mix", size, mix.seconds)]
    for figure, fleet in (("refusal, plain", plain.fleet), ("refusal, mix", mix.fleet)):
        lines.append(_line(figure, size, _refusals(fleet)))
    return lines


def _refusals(fleet: Fleet) -> list[float]:
    seconds: list[float] = []
    for n in range(REFUSALS):
        cpu, ram_mib, disk_gib = SHAPES[n % len(SHAPES)]
        demand = Demand(
            UUID(int=n + 1), cpu * 1000, ram_mib, disk_gib * GIB, "KVM", 1, "default", enterprise=1
        )
        began_s = time.perf_counter()
        answer = fleet.place(demand, FitPolicy.PROGRESSIVE)
        seconds.append(time.perf_counter() - began_s)
        assert isinstance(answer, Refusal)
    return seconds


def _line(figure: str, size: int, seconds: list[float]) -> Line:
    taken = [1e6 * one for one in seconds]
    return {
        "bench": "place_mix",
        "figure": figure,
        "hosts": size,
        "median_us": round(middle(taken), 2),
        "p99_us": round(share(taken, 99.0), 2),
    }


def main(arguments: list[str] | None = None) -> None:
    """Print the lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", default="1000,10000")
    parser.add_argument("--decisions", type=int, default=DECISIONS)
    given = parser.parse_args(arguments)
    pin()
    gc.disable()
    for size in given.hosts.split(","):
        for line in measure(int(size), given.decisions):
            show(line)
        gc.collect()


if __name__ == "__main__":
    main()
