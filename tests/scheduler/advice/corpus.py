"""A corpus of refusals as they are met: lived-in clusters, and requests that did not fit."""

from collections.abc import Iterator
from random import Random
from uuid import UUID

from scheduler.fleet.ranking import FitPolicy
from scheduler.model.demand import Demand, RelocationScope
from scheduler.model.inventory import AggregateScope, Datastore, Host, HostState, RuleSet, Tier
from scheduler.model.limits import Level, LoadKind, LoadRule, Rules
from scheduler.model.placement import Refusal
from scheduler.model.values import replace
from scheduler.snapshot.snapshot import InventorySnapshot, SnapshotHold, SnapshotVm
from tests.scheduler.advice.towns import Town, moving
from tests.scheduler.places import DATASTORE, DEMAND, HOST, SCOPE

GIB = 2**30
TIERS = (None, None, Tier(1, "gold", enterprises=frozenset({1, 2})), Tier(2, "silver"))
SIZES = ((1, 1024), (2, 4096), (4, 8192), (8, 16384), (16, 65536))


def refused(count: int, seed: int) -> Iterator[Town]:
    """So many towns whose demand is refused."""
    chance = Random(seed)
    while count:
        town = _town(chance)
        for _ in range(20):
            asked = replace(town, demand=_demand(chance, town))
            if isinstance(asked.fleet().place(asked.demand, asked.policy), Refusal):
                count -= 1
                yield asked
                break


def _town(chance: Random) -> Town:
    hosts = [_host(chance, id) for id in range(1, chance.randint(3, 12))]
    stores = [_store(chance, id) for id in range(1, len(hosts) + 3)]
    racks = {host.rack for host in hosts}
    scopes: list[AggregateScope] = [replace(SCOPE, id=id, name=f"rack{id}") for id in sorted(racks)]
    residents = [_resident(chance, hosts, n) for n in range(chance.randint(2, 6) * len(hosts))]
    holds = [_hold(chance, hosts, n) for n in range(chance.randint(0, 4))]
    apart = {1: frozenset({2}), 2: frozenset({1})} if chance.random() < 0.3 else {}
    cluster = InventorySnapshot(
        tuple(hosts),
        tuple(stores),
        tuple(scopes),
        Rules(loads=_loads(chance)),
        tuple(residents),
        tuple(holds),
    )
    rules = RuleSet(1, excluded=apart, restricted=frozenset({3} if chance.random() < 0.3 else ()))
    return Town(
        cluster, DEMAND, chance.choice(list(FitPolicy)), chance.choice(list(RelocationScope)), rules
    )


def _host(chance: Random, id: int) -> Host:
    rack = chance.choice([1, 1, 2])
    state = HostState.MANAGED if chance.random() < 0.9 else HostState.STOPPED
    cluster = chance.choice([None, 1])
    return replace(
        HOST,
        id=id,
        name=f"host{id:02}",
        rack=rack,
        rack_name=f"rack{rack}",
        cluster=cluster,
        cluster_name="" if cluster is None else "blades",
        type="KVM" if chance.random() < 0.9 else "VMX_04",
        state=state,
        reachable=chance.random() < 0.95,
        cpus=chance.choice([8, 16, 32]),
        memory_mib=chance.choice([16384, 32768, 65536]),
        networks=frozenset({"lan", "san"} if chance.random() < 0.7 else {"lan"}),
        datastores=(id, 98, 99) if chance.random() < 0.7 else (id,),
        reserved_for=None if chance.random() < 0.9 else chance.randint(1, 3),
    )


def _store(chance: Random, id: int) -> Datastore:
    shared = id % 7 == 0
    return replace(
        DATASTORE,
        id=98 + id % 2 if shared else id,
        name=f"disks{id:02}",
        shared=shared,
        enabled=chance.random() < 0.93,
        capacity_bytes=chance.choice([200, 500, 2000]) * GIB,
        tier=chance.choice(TIERS),
    )


def _loads(chance: Random) -> tuple[LoadRule, ...]:
    rules = [
        (Level.DATACENTER, 1, False),
        (Level.RACK, 1, False),
        (Level.RACK, 2, True),
        (Level.CLUSTER, 1, False),
        (Level.HOST, 1, False),
    ]
    percents = [80, 100, 150, 400]
    found = [
        LoadRule(
            n,
            LoadKind.COMPUTE,
            level,
            element,
            chance.choice(percents),
            chance.choice([70, 90, 100]),
            aggregated=summed,
        )
        for n, (level, element, summed) in enumerate(rules, 1)
        if chance.random() < 0.5
    ]
    stored = LoadRule(9, LoadKind.STORAGE, Level.DATACENTER, 1, storage_percent=85)
    return (*found, stored) if chance.random() < 0.5 else tuple(found)


def _resident(chance: Random, hosts: list[Host], n: int) -> SnapshotVm:
    host = chance.choice(hosts)
    cpu, ram = chance.choice(SIZES[:4])
    return SnapshotVm(
        UUID(int=n + 1),
        f"vm{n:03}",
        host.id,
        host.id,
        cpu,
        ram,
        chance.choice([10, 50, 100]) * GIB,
        chance.randint(1, 4),
        chance.choice([None, None, None, 1, 2]),
        host.type,
        "lan",
        protected=chance.random() < 0.1,
    )


def _hold(chance: Random, hosts: list[Host], n: int) -> SnapshotHold:
    host = chance.choice(hosts)
    cpu, ram = chance.choice(SIZES)
    until = f"2030-01-0{chance.randint(1, 9)}T10:00:00Z"
    return SnapshotHold(UUID(int=1000 + n), host.id, host.id, cpu, ram, 10 * GIB, until=until)


def _demand(chance: Random, town: Town) -> Demand:
    if chance.random() < 0.2:
        return moving(town.cluster, chance.choice(town.cluster.residents), town.reach)
    cpu, ram = chance.choice(SIZES)
    return replace(
        DEMAND,
        cpu=cpu,
        ram_mib=ram,
        disk_bytes=chance.choice([10, 100, 600]) * GIB,
        network=chance.choice([None, "lan", "san"]),
        enterprise=chance.randint(1, 4),
        layer=chance.choice([None, None, 1, 2]),
        tier=chance.choice([None, None, None, 1, 2]),
        only=frozenset({chance.randint(1, 12)}) if chance.random() < 0.1 else None,
    )
