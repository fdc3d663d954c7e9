"""How long it takes to ask what other rules would do: to recorded requests, and to what is there.

`python -m bench.whatif` prints two JSON lines. `replay`: 100,000 recorded requests over 1,000
hosts decided again, first under their own rules (all must come back bit for bit), then under a
draft. `preview`: the effect of one edit on the same hosts, full of VMs.
"""

import argparse
import random
import time
from dataclasses import replace
from uuid import UUID

from bench.figures import Line, middle, show
from bench.place_speed import GIB, SHAPES, host
from scheduler.cluster import Cluster, Resident, fleet
from scheduler.demand import Demand
from scheduler.effect import effect
from scheduler.fit_policy import FitPolicy
from scheduler.happened import Asked, Freed, Happened
from scheduler.inventory import Datastore
from scheduler.limits import Level, LoadKind, LoadRule, Rules
from scheduler.placement import Placement
from scheduler.whatif import Replayed, replay

SEED = 7
STAYING = 15_000
"""VMs that are there at once, at most: the hosts are nearly full."""
PREVIEWS = 5


def cluster_of(hosts: int, rules: Rules) -> Cluster:
    """Empty hosts with a datastore each."""
    rows = tuple(replace(host(n, 32, 0.0), cpu_used=0, ram_used_mib=0) for n in range(hosts))
    stores = tuple(
        Datastore(
            id=each,
            name=f"disks{each}",
            datacenter=row.datacenter,
            enabled=True,
            shared=False,
            limit_bytes=0,
            used_bytes=0,
            rule="",
            generation=1,
            character=1,
            capacity_bytes=20_000 * GIB,
        )
        for row in rows
        for each in row.datastores
    )
    return Cluster(rows, stores).under(rules)


def recorded(cluster: Cluster, requests: int) -> tuple[list[Happened], list[Resident]]:
    """Requests with the outcomes that a fleet gives them, the oldest leaving one by one; and
    who is there in the end."""
    chance = random.Random(SEED)
    known = fleet(cluster)
    datacenter = cluster.hosts[0].datacenter
    history: list[Happened] = []
    there: list[tuple[Placement, Demand]] = []
    for n in range(requests):
        cpu, ram_mib, gib = chance.choice(SHAPES)
        vm = UUID(int=n)
        demand = Demand(vm, cpu, ram_mib, gib * GIB, cluster.hosts[0].type, datacenter)
        policy = FitPolicy.PROGRESSIVE
        found = known.place(demand, policy)
        if isinstance(found, Placement):
            known.claim(found, demand)
            there.append((found, demand))
            history.append(Asked(n, demand, policy, found.host, found.datastore, found.score))
        else:
            history.append(Asked(n, demand, policy))
        if len(there) > STAYING or (there and chance.random() < 0.3):
            left = there.pop(chance.randrange(len(there)))
            known.release(*left)
            history.append(Freed(n, left[1].vm))
    residents = [
        Resident(d.vm, str(d.vm), p.host, p.datastore, d.cpu, d.ram_mib, d.disk_bytes)
        for p, d in there
    ]
    return history, residents


def main() -> None:
    """Measure, and print both lines."""
    read = argparse.ArgumentParser(description=__doc__)
    read.add_argument("--hosts", type=int, default=1000)
    read.add_argument("--requests", type=int, default=100_000)
    given = read.parse_args()
    rules = Rules((LoadRule(1, LoadKind.COMPUTE, Level.DATACENTER, 1, 400, 100),), version=1)
    draft = Rules((LoadRule(1, LoadKind.COMPUTE, Level.DATACENTER, 1, 300, 95),), version=2)
    cluster = cluster_of(given.hosts, rules)
    history, residents = recorded(cluster, given.requests)
    show(_replayed(cluster, history, rules, draft))
    show(_previewed(cluster, residents, draft))


def _replayed(cluster: Cluster, history: list[Happened], rules: Rules, draft: Rules) -> Line:
    began_s = time.perf_counter()
    same: Replayed = replay(cluster, history, rules)
    unchanged_s = time.perf_counter() - began_s
    began_s = time.perf_counter()
    other = replay(cluster, history, draft)
    draft_s = time.perf_counter() - began_s
    return {
        "bench": "whatif",
        "figure": "replay",
        "hosts": len(cluster.hosts),
        "requests": same.requests,
        "unchanged_s": round(unchanged_s, 2),
        "draft_s": round(draft_s, 2),
        "same": same.same,
        "bit_for_bit": same.same == same.requests,
        "draft_refused_more": other.refused_more,
        "draft_moved": other.moved,
    }


def _previewed(cluster: Cluster, residents: list[Resident], draft: Rules) -> Line:
    used = {row.id: [0, 0] for row in cluster.hosts}
    disks = {row.id: 0 for row in cluster.datastores}
    for each in residents:
        used[each.host][0] += each.cpu
        used[each.host][1] += each.ram_mib
        disks[each.datastore] += each.disk_bytes
    full = replace(
        cluster,
        hosts=tuple(
            replace(row, cpu_used=used[row.id][0], ram_used_mib=used[row.id][1])
            for row in cluster.hosts
        ),
        datastores=tuple(replace(row, used_bytes=disks[row.id]) for row in cluster.datastores),
        residents=tuple(residents),
    )
    taken_ms = []
    for _ in range(PREVIEWS):
        began_s = time.perf_counter()
        found = effect(full, draft)
        taken_ms.append((time.perf_counter() - began_s) * 1000)
    return {
        "bench": "whatif",
        "figure": "preview",
        "hosts": len(full.hosts),
        "vms": len(residents),
        "median_ms": round(middle(taken_ms), 1),
        "most_ms": round(max(taken_ms), 1),
        "over": found.over_count,
        "stranded": found.stranded_count,
    }


if __name__ == "__main__":
    main()
