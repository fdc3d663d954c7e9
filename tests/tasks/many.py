"""Many processes on one PostgreSQL, killed at random: no over-commit, no leaked claim.

`python -m tests.tasks.many --processes 8 --operations 100000` is the long run. It prints what it
did and saw; what must hold at any load is asserted, also in the small run of the tests.
"""

import argparse
import asyncio
import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bench.ground import fill
from gateway.store.capacity import ledger, recompute
from gateway.store.db.embedded_server import Supervisor
from gateway.store.db.pool import Store, StoreSettings
from gateway.store.rules import rule_set
from tests.postgres import QUICK, create_database
from tests.tasks.rig import books_balance, records_balance

CHILD = "tests.tasks.many_child"
LOOK_S = 0.5
_WORLD = """
create unlogged table many_tally (name text primary key, granted bigint, conflicts bigint,
  fenced bigint);
create unlogged table many_refusal (vms bigint, cpu bigint, ram_mib bigint);
create table many_world as select {fill} as fill;
create unlogged table many_over_limit (kind text, id bigint);
create function many_over_limit() returns trigger language plpgsql as $$
  begin insert into many_over_limit values (new.kind, new.id); return null; end $$;
create trigger many_over_limit after update on ledger for each row
  when (new.cpu_used > new.cpu_limit or new.ram_used > new.ram_limit
        or new.disk_used > new.disk_limit) execute function many_over_limit();
insert into enterprise (name) values ('second'), ('third');
insert into layer (virtualappliance_id, name) select 1, 'layer-' || i from generate_series(1, 4) i;
update vm set cpu = (array[1, 1, 2, 2, 4, 8])[1 + id * 7919 % 6],
  ram_mib = 1024 * (array[1, 4, 4, 8, 8, 16, 32])[1 + id * 104729 % 7],
  enterprise_id = 1 + id % 3, layer_id = case when id % 40 = 0 then 1 + id / 40 % 4 end;
update host set cpus = 64, memory_mib = 262144, reachable = true, version = '1.0',
  product = 'simulated KVM', observed_at = clock_timestamp();
insert into task (id, kind, vm_id, vm_name, user_id, enterprise_id, payload)
  select gen_random_uuid(), 'DEPLOY', id, name, 1, enterprise_id,
    jsonb_build_object('left', {left} + case when id <= {more} then 1 else 0 end)
  from vm order by id;
insert into job (task_id, n, uuid, type, description)
  select id, 0, gen_random_uuid(), 'SCHEDULE', '' from task;
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """A run: `operations` is the sum over the VMs, none for a fill up to the first refusal."""

    processes: int
    hosts: int
    vms: int
    operations: int = 0
    kills: int = 0
    seed: int = 0
    batch: int = 8


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of it; `vms` and `cpu` are those booked at the first refusal of a fill."""

    operations: int
    refused: int
    kills: int
    taken_over: int
    granted: int
    conflicts: int
    fenced: int
    over_commits: int
    vms: int
    cpu: int
    seconds: float

    @property
    def conflict_share(self) -> float:
        """Of all claims."""
        return self.conflicts / max(1, self.granted + self.conflicts)


async def run(settings: StoreSettings, plan: Plan) -> Seen:
    """Fill a fresh database, let the processes work, and look at what is left."""
    async with Store.open(settings) as store:
        await fill(store, hosts=plan.hosts, vms=plan.vms)
        left, more = divmod(plan.operations, plan.vms) if plan.operations else (1, 0)
        async with store.transaction() as c:
            world = _WORLD.format(left=left, more=more, fill=not plan.operations)
            await c.execute(world)
            await ledger.refresh_limits(c)
        began_s = time.monotonic()
        kills = await _work(settings, store, plan)
        seconds = time.monotonic() - began_s
        await nothing_leaked(store, over=bool(plan.operations))
        return await _seen(store, kills, seconds)


async def _work(settings: StoreSettings, store: Store, plan: Plan) -> int:
    """Run the processes to their end and kill some on the way; how many were killed."""
    chance = random.Random(plan.seed)
    doomed_at = sorted(chance.randrange(plan.operations * 9 // 10) for _ in range(plan.kills))
    seeds = iter(range(plan.seed * 1000, plan.seed * 1000 + plan.processes + plan.kills))

    async def start() -> asyncio.subprocess.Process:
        assert settings.database_url is not None
        words = (settings.database_url, str(settings.home), str(next(seeds)), str(plan.batch))
        return await asyncio.create_subprocess_exec(sys.executable, "-m", CHILD, *words)

    living = [await start() for _ in range(plan.processes)]
    killed = 0
    try:
        while living:
            ends = [asyncio.create_task(each.wait()) for each in living]
            await asyncio.wait(ends, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
            await _dismiss(ends)
            for each in [one for one in living if one.returncode is not None]:
                assert each.returncode == 0, f"a process ended with {each.returncode}"
                living.remove(each)
            if doomed_at and living and await _done(store) >= doomed_at[0]:
                del doomed_at[0]
                doomed = living.pop(chance.randrange(len(living)))
                if doomed.returncode is None:
                    doomed.kill()
                    await doomed.wait()
                    killed += 1
                    living.append(await start())
    finally:
        for each in living:
            if each.returncode is None:
                each.kill()
            await each.wait()
    return killed


async def _dismiss(waits: Sequence[asyncio.Task[int]]) -> None:
    for each in waits:
        each.cancel()
    await asyncio.gather(*waits, return_exceptions=True)


async def _done(store: Store) -> int:
    async with store.read() as c:
        return int(await c.fetchval("select count(*) from task where state = 'done'"))


async def nothing_leaked(store: Store, *, over: bool) -> None:
    """Every booking is that of a VM recorded there, and the ledger is exactly their sum.

    `over`: no task is open any more, so that nothing is still on its way either.
    """
    await books_balance(store)
    await records_balance(store)
    async with store.transaction() as c:
        await rule_set.lock_exclusive(c)
        assert await recompute.recount(c, None, None) == {}, "the ledger is not what is booked"
        strange = await c.fetch(
            """select vm_id from booking b join vm v on v.id = b.vm_id
               where b.host_id is distinct from v.host_id
                 or b.datastore_id is distinct from v.datastore_id"""
        )
        open_tasks = await c.fetchval("select count(*) from task where state <> 'done'")
    if over:
        assert not strange
        assert open_tasks == 0


async def _seen(store: Store, kills: int, seconds: float) -> Seen:
    async with store.read() as c:
        row = await c.fetchrow(
            """select (select count(*) from task where state = 'done') operations,
                 (select count(*) from task where result = 'failure') refused,
                 (select count(*) from task where epoch > 1) taken_over,
                 (select count(*) from journal where step = 'reserve' and entry = 'DONE') granted,
                 (select coalesce(sum(conflicts), 0)::bigint from many_tally) conflicts,
                 (select coalesce(sum(fenced), 0)::bigint from many_tally) fenced,
                 (select count(*) from many_over_limit) over_commits,
                 coalesce((select min(vms) from many_refusal), 0) vms,
                 coalesce((select min(cpu) from many_refusal), 0)::bigint cpu"""
        )
    assert row is not None
    return Seen(**row, kills=kills, seconds=round(seconds, 1))


@asynccontextmanager
async def server() -> AsyncIterator[tuple[str, Path]]:
    """A PostgreSQL of our own, without fsync."""
    with tempfile.TemporaryDirectory() as folder:
        supervisor = Supervisor(Path(folder) / "postgres", options=QUICK)
        url = await asyncio.to_thread(supervisor.start)
        try:
            yield url, Path(folder)
        finally:
            await asyncio.to_thread(supervisor.stop)


async def packing(server_url: str, home: Path, plan: Plan) -> tuple[Seen, Seen]:
    """The same VMs placed until the first refusal: by one process, and by all of the plan."""
    found = []
    for processes in (1, plan.processes):
        url = await create_database(server_url, f"fill_{processes}")
        settings = StoreSettings(home, database_url=url)
        one = replace(plan, processes=processes, operations=0, kills=0, batch=4)
        found.append(await run(settings, one))
    return found[0], found[1]


async def _long(given: argparse.Namespace) -> None:
    async with server() as (url, home):
        mixed = Plan(
            given.processes, given.hosts, given.hosts * 12, given.operations, given.kills,
            given.seed,
        )  # fmt: skip
        settings = StoreSettings(home, database_url=await create_database(url, "mixed"))
        seen = await run(settings, mixed)
        print(
            json.dumps(asdict(seen) | {"conflict_share": round(seen.conflict_share, 5)}), flush=True
        )
        one, many = await packing(url, home, replace(mixed, hosts=60, vms=2000))
        print(json.dumps({"one": asdict(one), "many": asdict(many)}))
        print(json.dumps({"packing": round(many.vms / one.vms, 4)}))
    assert seen.over_commits == one.over_commits == many.over_commits == 0
    assert seen.conflict_share <= 0.01
    assert many.vms >= 0.9 * one.vms


def main(arguments: Sequence[str] | None = None) -> None:
    """The long run; a SIGTERM ends what it started, too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--operations", type=int, default=100_000)
    parser.add_argument("--hosts", type=int, default=200)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    asyncio.run(_long(parser.parse_args(arguments)))


if __name__ == "__main__":
    main()
