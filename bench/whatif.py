"""How long it takes to ask what other rules would do: to recorded requests, and to what is there.

`python -m bench.whatif` prints three JSON lines. `replay`: 100,000 recorded requests over 1,000
hosts decided again in memory, first under their own rules (all must come back bit for bit), then
under a draft. `preview`: the effect of one edit on the same hosts, full of VMs. `recorded`: as many
decisions on record in PostgreSQL, asked of the service's own process: read with the feed, made
again under their own rules, and under a draft that puts nearly every VM elsewhere.
"""

import argparse
import asyncio
import os
import random
import time
from typing import Any
from uuid import UUID

from bench import recorded as record
from bench.figures import Line, middle, show
from bench.ground import fill, ground
from bench.place_speed import GIB, SHAPES, host
from gateway.analysis.rule_simulation import SimulationRequest
from gateway.events.sequencer import Sequencer
from gateway.service.analysis_process import AnalysisPool
from gateway.store.capacity import checkpoints
from gateway.store.capacity.checkpoints import CheckpointPace
from gateway.store.db.pool import Store
from gateway.store.rules.rule_versions import Body
from scheduler.model.demand import Demand
from scheduler.model.fit_policy import FitPolicy
from scheduler.model.inventory import Datastore
from scheduler.model.limits import Level, LoadKind, LoadRule, Rules
from scheduler.model.placement import Placement
from scheduler.model.values import replace
from scheduler.simulation.history_events import Happened, ReleaseEvent, RequestEvent
from scheduler.simulation.rule_impact import effect
from scheduler.simulation.whatif import Replayed, replay
from scheduler.snapshot.snapshot import InventorySnapshot, SnapshotVm, fleet

SEED = 7
STAYING = 15_000
"""VMs that are there at once, at most: the hosts are nearly full."""
PREVIEWS = 5


def cluster_of(hosts: int, rules: Rules) -> InventorySnapshot:
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
    return InventorySnapshot(rows, stores).under(rules)


def recorded(cluster: InventorySnapshot, requests: int) -> tuple[list[Happened], list[SnapshotVm]]:
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
            history.append(
                RequestEvent(n, demand, policy, found.host, found.datastore, found.score)
            )
        else:
            history.append(RequestEvent(n, demand, policy))
        if len(there) > STAYING or (there and chance.random() < 0.3):
            left = there.pop(chance.randrange(len(there)))
            known.release(*left)
            history.append(ReleaseEvent(n, left[1].vm))
    residents = [
        SnapshotVm(d.vm, str(d.vm), p.host, p.datastore, d.cpu, d.ram_mib, d.disk_bytes)
        for p, d in there
    ]
    return history, residents


def main() -> None:
    """Measure, and print the lines."""
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
    show(asyncio.run(_looked_back(given.hosts, given.requests)))


def _replayed(
    cluster: InventorySnapshot, history: list[Happened], rules: Rules, draft: Rules
) -> Line:
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


def _previewed(cluster: InventorySnapshot, residents: list[SnapshotVm], draft: Rules) -> Line:
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


async def _looked_back(hosts: int, requests: int) -> Line:
    async with ground() as made, Store.open(made.store()) as store:
        await fill(store, hosts=hosts, vms=requests)
        await record.prepare(store, hosts)
        position = await checkpoints.take(store, CheckpointPace(), Sequencer(store).flush)
        assert position is not None
        written = await record.write(store, requests, position)
        async with store.read() as c:
            rules = [dict(row) for row in await c.fetch("select * from rule order by id")]
        (unchanged_s, unchanged_cpu_s), same = await _asked(store, rules)
        stricter = [
            row | ({"cpu_percent": 300, "ram_percent": 95} if row["kind"] == "machine_load" else {})
            for row in rules
        ]
        (draft_s, draft_cpu_s), other = await _asked(store, stricter)
    return {
        "bench": "whatif",
        "figure": "recorded",
        "hosts": hosts,
        "requests": same["requests"],
        "changes": written.position - position,
        "unchanged_s": round(unchanged_s, 2),
        "draft_s": round(draft_s, 2),
        "unchanged_cpu_s": round(unchanged_cpu_s, 2),
        "draft_cpu_s": round(draft_cpu_s, 2),
        "same": same["same"],
        "bit_for_bit": same["exact"] and same["complete"] and same["same"] == requests,
        "draft_complete": other["complete"],
        "draft_refused_more": other["refusedMore"]["count"],
        "draft_moved": other["moved"]["count"],
    }


async def _asked(store: Store, rules: Body) -> tuple[tuple[float, float], dict[str, Any]]:
    """The answer, and how long it took: by the clock, and of the process that gave it."""
    began_s, before = time.perf_counter(), os.times()
    found = await AnalysisPool().foresee(store, SimulationRequest(rules, [], effect=False, days=1))
    after = os.times()
    cpu_s = after.children_user + after.children_system
    cpu_s -= before.children_user + before.children_system
    return (time.perf_counter() - began_s, cpu_s), found["history"]


if __name__ == "__main__":
    main()
