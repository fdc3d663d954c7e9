"""Random operations on a fleet: each answer is the one that asking every host gives (I17).

`python -m tests.scheduler.fuzz OPERATIONS SEED` is the long run. The index's sizes are made so
small that windows end, logs are cut and datastores get wide all the time.
"""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any
from uuid import UUID

from scheduler.fleet import datastore_columns, host_columns, ranked_window
from scheduler.fleet import request_class as sort
from scheduler.fleet.candidates import verdicts
from scheduler.fleet.fleet import Fleet
from scheduler.fleet.ranking import score
from scheduler.fleet.usage_ledger import Row
from scheduler.model.datastore_choice import choose
from scheduler.model.demand import Demand, Origin, RelocationScope
from scheduler.model.fit_policy import FitPolicy
from scheduler.model.host_partition import HostPartition, partition_of, rendezvous_weight
from scheduler.model.inventory import (
    AggregateScope,
    Datastore,
    Host,
    HostState,
    RuleSet,
    Tier,
    Tombstone,
)
from scheduler.model.placement import Placement, Refusal
from scheduler.model.values import replace
from scheduler.rule_registry import objections
from scheduler.scores.best_fit_residue import short_of_unused
from tests.scheduler.places import DATASTORE, HOST, SCOPE

HOSTS = 24
STORES = 9
SMALL: dict[Any, dict[str, int]] = {
    ranked_window: {"KEPT": 2, "TRIES": 2},
    datastore_columns: {"WIDE": 3},
    host_columns: {"LOG_MAX": 20},
    sort: {"SHAPES_MAX": 2, "NEW_MAX": 12},
}
TIERS = (
    None,
    None,
    Tier(1, "gold"),
    Tier(2, "silver", progressive=True),
    Tier(1, "gold", enabled=False),
    Tier(3, "iron", enterprises=frozenset({1, 2})),
)


@contextmanager
def small() -> Iterator[None]:
    """Every size of the index next to nothing."""
    before = {of: {name: getattr(of, name) for name in sizes} for of, sizes in SMALL.items()}
    for of, sizes in SMALL.items():
        for name, size in sizes.items():
            setattr(of, name, size)
    try:
        yield
    finally:
        for of, sizes in before.items():
            for name, size in sizes.items():
                setattr(of, name, size)


class Fuzz:
    """One fleet and its random life."""

    def __init__(self, seed: int) -> None:
        self.draw = Random(seed)
        self.fleet = Fleet()
        self.generation = 0
        self.live: list[tuple[Placement, Demand]] = []
        self.answers: Counter[str] = Counter()
        for number in range(1, HOSTS + 1):
            self.fleet.apply(self.host(number))
        for number in range(1, STORES + 1):
            self.fleet.apply(self.datastore(number))
        # Clouds ask for a few sorts of VMs over and over: so do we, that windows live.
        self.usual = [self.sort() for _ in range(6)]

    def sort(self) -> tuple[Demand, FitPolicy, HostPartition | None]:
        """One sort of request."""
        share = HostPartition(self.draw.randrange(3), 3) if self.draw.random() < 0.3 else None
        return self.demand(), self.draw.choice(list(FitPolicy)), share

    def step(self) -> None:
        """One operation: mostly requests, else a change of the world."""
        kind = self.draw.random()
        if kind < 0.62:
            self.request()
        elif kind < 0.80 and self.live:
            self.fleet.release(*self.live.pop(self.draw.randrange(len(self.live))))
        else:
            self.fleet.apply(self.change())

    def request(self) -> None:
        """Ask, compare with every host, and mostly claim what was found."""
        draw = self.draw
        if draw.random() < 0.1:
            self.usual[draw.randrange(len(self.usual))] = self.sort()
        demand, policy, share = draw.choice(self.usual)
        demand = replace(demand, vm=UUID(int=draw.getrandbits(100)))
        answer = self.fleet.place(demand, policy, share)
        check(self.fleet, demand, (policy, share), answer)
        if isinstance(answer, Refusal):
            self.answers["refused"] += 1
            self.answers.update(lack.value for lacks, _ in answer.patterns for lack in lacks)
            return
        self.answers["placed"] += 1
        if draw.random() < 0.8:
            self.fleet.claim(answer, demand)
            self.live.append((answer, demand))

    def change(self) -> Row | Tombstone:
        """A newer row of something, or its end."""
        draw, kind = self.draw, self.draw.random()
        self.generation += 1
        if kind < 0.45:
            return self.host(draw.randint(1, HOSTS))
        if kind < 0.7:
            return self.datastore(draw.randint(1, STORES))
        if kind < 0.77:
            of, number = draw.choice([("host", HOSTS), ("datastore", STORES), ("rack", 3)])
            return Tombstone(of, draw.randint(1, number), self.generation)
        if kind < 0.97:
            return self.scope()
        return self.rules()

    def host(self, number: int) -> Host:
        draw = self.draw
        limit, memory = draw.choice([4, 8, 16, 16]), draw.choice([8, 16, 32, 32])
        rack = draw.choice([1, 1, 2, 3])
        return replace(
            HOST,
            id=number,
            name=f"host{number}",
            datacenter=2 if rack == 3 else 1,
            rack=rack,
            cluster=draw.choice([None, 1, 2]) if rack == 1 else None,
            hypervisor=draw.choice(["lab", "lab", "other"]),
            type=draw.choice(["KVM"] * 7 + ["VMX_04"]),
            state=draw.choice([HostState.MANAGED] * 9 + [HostState.HALTED]),
            reachable=draw.random() < 0.95,
            cpu_limit=limit,
            ram_limit_mib=memory,
            cpu_used=draw.choice([0, 0, 1, 2, 4, limit]),
            ram_used_mib=draw.choice([0, 0, 1, 4, memory]),
            networks=frozenset(draw.choice([("lan",), ("lan",), ("lan", "san"), ()])),
            datastores=tuple(draw.sample(range(1, STORES + 1), draw.choice([0, 1, 1, 2, 3]))),
            reserved_for=draw.choice([None] * 14 + [1, 2]),
            enterprises=frozenset(draw.sample([1, 2, 3], draw.choice([0, 0, 1, 2]))),
            layers=frozenset(draw.sample([1, 2], draw.choice([0, 0, 0, 1]))),
            generation=self.generation,
        )

    def datastore(self, number: int) -> Datastore:
        draw = self.draw
        return replace(
            DATASTORE,
            id=number,
            name=f"disks{number}",
            enabled=draw.random() < 0.9,
            shared=draw.random() < 0.5,
            tier=draw.choice(TIERS),
            limit_bytes=draw.choice([4, 10, 30, 30]),
            used_bytes=draw.choice([0, 2, 4, 10]),
            generation=self.generation,
        )

    def scope(self) -> AggregateScope:
        draw = self.draw
        kind, number = draw.choice(
            [("rack", 1), ("rack", 2), ("cluster", 1), ("cluster", 2), ("datacenter", 1)]
        )
        return replace(
            SCOPE,
            kind=kind,
            id=number,
            name=f"{kind}{number}",
            cpu_limit=draw.choice([None, None, 40, 90]),
            cpu_used=draw.choice([0, 10, 19, 30]),
            ram_limit_mib=draw.choice([None, None, 80, 150]),
            ram_used_mib=draw.choice([0, 10, 39, 50]),
            disk_limit_bytes=draw.choice([None, None, None, 60]),
            disk_used_bytes=draw.choice([0, 10, 40, 59]),
            generation=self.generation,
        )

    def rules(self) -> RuleSet:
        draw = self.draw
        apart = draw.choice([{}, {}, {1: frozenset({2}), 2: frozenset({1})}])
        restricted = frozenset(draw.sample([1, 2, 3], draw.choice([0] * 7 + [1])))
        return RuleSet(self.generation, excluded=apart, restricted=restricted)

    def demand(self) -> Demand:
        draw = self.draw
        origin = only = None
        refused: tuple[tuple[int, str], ...] = ()
        if draw.random() < 0.12:
            host = self.fleet.host(draw.randint(1, HOSTS))
            if host is not None:
                store = draw.choice(host.datastores or (99,))
                reach = draw.choice(list(RelocationScope))
                origin = Origin(
                    host.id, host.rack, host.hypervisor, store, draw.random() < 0.5, reach
                )
        if draw.random() < 0.06:
            only = frozenset(draw.sample(range(1, HOSTS + 1), draw.randint(1, 3)))
        if draw.random() < 0.06:
            refused = tuple((host, "full") for host in draw.sample(range(1, HOSTS + 1), 3))
        return Demand(
            UUID(int=draw.getrandbits(100)),
            draw.choice([0, 1, 1, 1, 2, 4]),
            draw.choice([0, 1, 1, 2, 2, 6]),
            draw.choice([0, 1, 1, 3]),
            draw.choice(["KVM"] * 9 + ["VMX_04"]),
            draw.choice([1] * 9 + [2]),
            draw.choice([None, "lan", "lan", "san"]),
            origin,
            only,
            draw.choice([None, 1, 2, 3, 4]),
            draw.choice([None, None, None, 1, 2]),
            draw.choice([None] * 5 + [1, 2, 3]),
            refused,
        )


def check(
    fleet: Fleet,
    demand: Demand,
    asked: tuple[FitPolicy, HostPartition | None],
    answer: Placement | Refusal,
) -> None:
    """The answer is that of the scalar rules, asked of every host."""
    policy, share = asked
    every = [host for host in fleet.hosts() if host.datacenter == demand.datacenter]
    rest = {host.id: fleet.candidate(host.id) for host in every}
    passing = [host for host, at in rest.items() if not objections(demand, at)]
    if isinstance(answer, Refusal):
        assert not passing, (demand, passing)
        _check_refusal(fleet, demand, answer)
        return
    share = None if demand.only is not None else share
    own = (
        []
        if share is None
        else [host for host in passing if partition_of(host, share.parts) == share.part]
    )
    assert answer.share == (share if own else None)
    if share is not None and not own and policy is not FitPolicy.PERFORMANCE:
        # The share's own order of the others.
        marks = {host: rendezvous_weight(host, share.part) for host in passing}
        passing = [host for host in passing if marks[host] == max(marks.values())]
    passing = own or passing
    unused = sum(not host.cpu_used and not host.ram_used_mib for host in every)
    short = short_of_unused(unused, len(every))
    best = min(passing, key=lambda host: (-score(policy, rest[host].host, demand, short), host))
    assert answer.host == best, (demand, policy, answer, best)
    assert answer.score == score(policy, rest[best].host, demand, short)
    datastore = choose(demand, rest[best])
    assert datastore is not None
    assert answer.datastore == datastore.id


def _check_refusal(fleet: Fleet, demand: Demand, answer: Refusal) -> None:
    """Counted in columns as told host by host."""
    whole = verdicts(fleet, demand)
    counts: dict[tuple[str, ...], int] = {}
    for each in whole:
        lacks = {reason.lack.value for reason in each.reasons}
        told = tuple(lack.value for lack in type(each.reasons[0].lack) if lack.value in lacks)
        if "DATACENTER" in told:
            told = ("DATACENTER",)
        counts[told] = counts.get(told, 0) + 1
    got = {tuple(lack.value for lack in lacks): number for lacks, number in answer.patterns}
    assert got == counts, (demand, got, counts)
    lasting = all(any(reason.lasting for reason in each.reasons) for each in whole)
    assert answer.lasting == lasting, demand
    table = {each.host: each for each in whole}
    assert all(table[each.host] == each for each in answer.verdicts)


def run(operations: int, seed: int) -> Counter[str]:
    """A life of that many operations, in several worlds; counts answers and lacks of refusals."""
    counted: Counter[str] = Counter()
    with small():
        while operations > 0:
            fuzz = Fuzz(seed)
            for _ in range(min(operations, 2000)):
                fuzz.step()
            operations -= 2000
            seed += 1
            counted += fuzz.answers
    return counted


if __name__ == "__main__":
    began = time.monotonic()
    total, first = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    print(run(total, first), f"{time.monotonic() - began:.0f} s")
