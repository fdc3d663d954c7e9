"""A record as a busy service leaves it: decisions, and the changes that the feed told of them.

Written without the service, but by its own parts: the fleet decides, `AheadOfFeed` says what was
ahead of the feed, and rows go to the feed as the ledger tells them. So all of it comes back.
"""

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from bench.place_speed import GIB, SHAPES
from gateway.placement.decision_log import AheadOfFeed, Subject, to_store
from gateway.store import cluster_snapshot
from gateway.store.capacity import checkpoints, decisions, ledger
from gateway.store.capacity.decisions import NewDecision
from gateway.store.db.pool import Connection, Store
from scheduler.decisions.decision import DecisionQuestion, of_answer
from scheduler.fleet.fleet import Fleet
from scheduler.fleet.usage_ledger import Key
from scheduler.model.demand import Demand
from scheduler.model.inventory import Datastore, Host
from scheduler.model.placement import Placement
from scheduler.model.serialization import with_usage

SEED = 7
BATCH_MAX = 4
"""Requests that are decided before the feed tells of the first of them, at most."""
STAYING = 5_500
"""VMs that are there at once, at most: they fill nine tenths of 1,000 hosts."""
CPUS, RAM_MIB = 32, 131_072
ENTERPRISES = 20
_ROWS = 5_000
_DATASTORES = """
insert into datastore (datacenter_id, name, pool, shared, capacity_bytes, free_bytes)
  select 1, 'disks-' || i, 'disks-' || i, false, $2::bigint, $2::bigint
  from generate_series(1, $1::bigint) i
"""
_SEEN = """update host set cpus = $1, memory_mib = $2, reachable = true, version = '1.0',
  product = 'simulated KVM', observed_at = clock_timestamp()"""
_LOAD = """
insert into rule (kind, level, element_id, cpu_percent, ram_percent)
  values ('machine_load', 'datacenter', 1, $1, $2)
"""
_POLICY = (
    "insert into rule (kind, level, fit_policy) values ('fit_policy', 'global', 'PROGRESSIVE')"
)


@dataclass(slots=True)
class Recorder:
    """Decides and tells; `changes` and `made` are what is not written yet."""

    fleet: Fleet
    position: int
    rows: dict[Key, Host | Datastore]
    changes: list[tuple[int, str, str, Mapping[str, Any]]] = field(default_factory=list)
    made: list[NewDecision] = field(default_factory=list)
    there: list[tuple[int, Placement, Demand]] = field(default_factory=list)
    decided: int = 0
    refused: int = 0
    _owners: dict[int, Counter[int]] = field(default_factory=dict)
    _chance: random.Random = field(default_factory=lambda: random.Random(SEED))

    def batch(self, most: int) -> None:
        """Some requests that no feed told each other of, then the feed, then who leaves."""
        ahead = AheadOfFeed(self._present)
        placed = []
        position = self.position
        for _ in range(min(most, self._chance.randint(1, BATCH_MAX))):
            demand = self._demand()
            policy = self.fleet.rules.policy(1)
            question = DecisionQuestion(
                demand, policy, position, self.fleet.rules.version, ahead.rows()
            )
            answer = self.fleet.place(demand, policy)
            subject = Subject("deploy", demand.vm.int, demand.enterprise or 0)
            self.made.append(to_store(subject, of_answer(question, answer)))
            self.decided += 1
            if isinstance(answer, Placement):
                ahead.touch((row.kind, row.id) for row in answer.seen)
                self.fleet.claim(answer, demand)
                placed.append((demand.vm.int, answer, demand))
            else:
                self.refused += 1
        for one in placed:
            self._book(*one, 1)
        self.there += placed
        while len(self.there) > STAYING or (self.there and self._chance.random() < 0.4):
            self._book(*self.there.pop(self._chance.randrange(len(self.there))), -1)

    def _demand(self) -> Demand:
        cpu, ram_mib, gib = self._chance.choice(SHAPES)
        owner = self._chance.randint(1, ENTERPRISES)
        vm = UUID(int=self.decided + 1)
        return Demand(vm, cpu, ram_mib, gib * GIB, "KVM", 1, "default", enterprise=owner)

    def _book(self, vm: int, placed: Placement, demand: Demand, sign: int) -> None:
        host = self.rows["host", placed.host]
        store = self.rows["datastore", placed.datastore]
        assert isinstance(host, Host)
        assert isinstance(store, Datastore)
        owners = self._owners.setdefault(host.id, Counter())
        owners[demand.enterprise or 0] += sign
        disk = store.used_bytes + sign * demand.disk_bytes
        self._tell(store, cpu_used=0, ram_used=0, disk_used=disk)
        self._tell(
            host,
            cpu_used=host.cpu_used + sign * demand.cpu,
            ram_used=host.ram_used_mib + sign * demand.ram_mib,
            disk_used=0,
            enterprises=sorted(one for one, count in owners.items() if count),
            layers=[],
            **({"vms": {str(vm): None}} if sign < 0 else {}),
        )

    def _tell(self, row: Host | Datastore, **told: Any) -> None:
        told |= {"generation": row.generation + 1, "character": row.character}
        kind = "host" if isinstance(row, Host) else "datastore"
        self.position += 1
        self.changes.append((self.position, kind, str(row.id), told))
        changed = with_usage(row, told)
        assert isinstance(changed, Host | Datastore)
        self.rows[kind, row.id] = changed
        self.fleet.apply(changed)

    def _present(self, key: Key) -> Host | Datastore | None:
        return self.fleet.host(key[1]) if key[0] == "host" else self.fleet.datastore(key[1])


async def prepare(store: Store, hosts: int) -> None:
    """Places as `bench.ground` made them, each host with disks of its own, and their rules."""
    async with store.transaction() as c:
        await c.execute("delete from host_datastore")
        await c.execute(_DATASTORES, hosts, 20_000 * GIB)
        await c.execute("insert into host_datastore select id, id + 1 from host")
        await c.execute(_SEEN, CPUS, RAM_MIB)
        await c.execute(_LOAD, 400, 100)
        await c.execute(_POLICY)
        await ledger.refresh_limits(c)


async def write(store: Store, requests: int, position: int) -> Recorder:
    """Decide so many requests from the checkpoint at `position` on, and put them on record."""
    async with store.read() as c:
        cluster = await cluster_snapshot.read(c)
        picture = await checkpoints.at(c, position)
    fleet = Fleet()
    for row in picture.rows.values():
        fleet.apply(row)
    places: tuple[Host | Datastore, ...] = (*cluster.hosts, *cluster.datastores)
    rows: dict[Key, Host | Datastore] = {
        ("host" if isinstance(row, Host) else "datastore", row.id): row for row in places
    }
    recorder = Recorder(fleet, position, rows)
    while recorder.decided < requests:
        recorder.batch(requests - recorder.decided)
        if len(recorder.changes) >= _ROWS:
            await _put(store, recorder)
    await _put(store, recorder)
    async with store.transaction() as c:
        await c.execute("analyze feed")
        await c.execute("analyze decision")
    return recorder


async def _put(store: Store, recorder: Recorder) -> None:
    async with store.transaction() as c:
        await _feed(c, recorder.changes)
        await decisions.put_many(c, recorder.made)
        await c.execute("update feed_head set position = $1", recorder.position)
    recorder.changes.clear()
    recorder.made.clear()


async def _feed(c: Connection, changes: Iterable[tuple[int, str, str, Mapping[str, Any]]]) -> None:
    told = list(changes)
    await c.execute(
        """insert into feed (position, topic, entity, entity_id, payload, at)
           select position, 'inventory', entity, entity_id, payload::jsonb, clock_timestamp()
           from unnest($1::bigint[], $2::text[], $3::text[], $4::text[])
             as new(position, entity, entity_id, payload)""",
        [one[0] for one in told],
        [one[1] for one in told],
        [one[2] for one in told],
        [msgspec.json.encode(one[3]).decode() for one in told],
    )
