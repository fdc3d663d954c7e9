"""I2, I3, I16, P20: claims, moves, layers and edits that truly run at the same time.

Whoever decides looks first and claims later, in another transaction; edits fall in between. Every
lock is taken in one order, so that nothing here ever waits for each other in a circle.
"""

import asyncio
import random
from collections import Counter

import pytest

from gateway.store.capacity import bookings, claims, ledger
from gateway.store.capacity.claims import Granted
from gateway.store.db.pool import Connection, Store
from gateway.store.rules import rule_set
from tests.store.ruled import build, wish
from tests.store.test_books import balance

CLAIMERS = 6
EACH = 25
APART = """
insert into rule (kind, level, element_id, other_id)
values ('enterprise_exclusion', 'enterprise', 1, 2)
"""
WRONG = """
select 'closed', h.id from booking b join host h on h.id = b.host_id
  join vm v on v.id = b.vm_id join enterprise e on e.id = v.enterprise_id
  where b.vm_id = $1 and b.host_id = $2 and (h.state <> 'MANAGED' or not h.reachable
    or coalesce(h.reserved_for, v.enterprise_id) <> v.enterprise_id
    or (e.reservation_restricted and h.reserved_for is distinct from v.enterprise_id))
union all
select 'neighbour', o.vm_id from booking b join vm v on v.id = b.vm_id
  join booking o on o.host_id = b.host_id and o.vm_id <> b.vm_id join vm w on w.id = o.vm_id
  where b.vm_id = $1 and b.host_id = $2 and (v.layer_id = w.layer_id
    or (least(v.enterprise_id, w.enterprise_id), greatest(v.enterprise_id, w.enterprise_id)) in
      (select element_id, other_id from rule where kind = 'enterprise_exclusion'))
union all
select 'full', l.id from ledger l where (l.cpu_used > l.cpu_limit or l.ram_used > l.ram_limit)
  and l.kind = 'host' and l.id = $2
"""


class Walk:
    """One who decides, and counts what became of it."""

    def __init__(self, store: Store, seed: int, vms: list[int]) -> None:
        self.store = store
        self.chance = random.Random(seed)
        self.vms = vms
        self.seen: Counter[str] = Counter()

    async def run(self) -> None:
        for _ in range(EACH):
            await self.step()

    async def step(self) -> None:
        vm, host = self.chance.choice(self.vms), self.chance.randint(1, 6)
        async with self.store.read() as c:
            held = await bookings.of_vm(c, vm)
            open_ = await c.fetchval("select state = 'MANAGED' from host where id = $1", host)
            if not open_ or (held and (len(held) > 1 or held[0].host_id == host)):
                made = None
            else:
                cpu = held[0].cpu if held else self.chance.randint(1, 3)
                made = await wish(c, vm, host, cpu=cpu, moving=bool(held))
        if made is not None:
            await self.claim(made)
        if self.chance.random() < 0.5:
            await self.leave(vm)
        if self.chance.random() < 0.2:
            await self.join(vm)

    async def claim(self, made: claims.Claim) -> None:
        async with self.store.transaction() as c:
            (answer,) = await claims.claim(c, [made])
            self.seen[type(answer).__name__] += 1
            if isinstance(answer, Granted):
                # Under the locks of the grant: nothing can have been edited since.
                assert await c.fetch(WRONG, made.vm_id, made.host_id) == []

    async def leave(self, vm: int) -> None:
        async with self.store.transaction() as c:
            held = await bookings.of_vm(c, vm)
            if len(held) == 1:
                await bookings.resize(c, held[0], self.chance.randint(1, 3), 100)
        async with self.store.transaction() as c:
            if len(held) == 2 and self.chance.random() < 0.5:
                await bookings.release(c, held[0], lives_on=held[1])
            else:
                await bookings.release_all(c, vm)

    async def join(self, vm: int) -> None:
        async with self.store.transaction() as c:
            layer = self.chance.choice([None, 1, 2])
            self.seen[f"joined {await bookings.join_layer(c, vm, layer) is None}"] += 1


EDITS = (
    "update host set state = 'HALTED' where id = 2",
    "update host set reserved_for = 3 where id = 3",
    "update host set cluster_id = 1 where id = 3",
    "update enterprise set reservation_restricted = true where id = 3",
    "update host set foreign_cpu = 2 where id = 1",
    "update host set cluster_id = null where id = 1",
    "update host set state = 'MANAGED', reserved_for = null",
    "update enterprise set reservation_restricted = false",
)


async def edit(store: Store, done: asyncio.Event) -> None:
    n = 0
    while not done.is_set():
        async with store.transaction() as c:
            await rule_set.lock_exclusive(c)
            await c.execute(EDITS[n % len(EDITS)])
            await ledger.refresh_limits(c)
        n += 1
        for _ in range(3):  # let others decide between two edits
            async with store.read() as c:
                await c.fetchval("select count(*) from outbox")


async def prepare(c: Connection) -> None:
    await c.execute(APART)
    await c.execute(
        """insert into rule (kind, level, element_id, cpu_percent, ram_percent, aggregated)
           values ('machine_load', 'cluster', 1, 60, 100, true),
             ('machine_load', 'rack', 1, 70, 100, true)"""
    )
    await ledger.refresh_limits(c)


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_interleaving_books_what_a_rule_forbids(store: Store, seed: int) -> None:
    """Each grant is right at the moment it is made, the books balance, and nobody deadlocks."""
    await build(store)
    async with store.transaction() as c:
        await prepare(c)
    walks = [
        Walk(store, seed * 100 + n, list(range(1 + n * 4, 5 + n * 4))) for n in range(CLAIMERS)
    ]
    done = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(edit(store, done))
        walking = [group.create_task(walk.run()) for walk in walks]
        await asyncio.wait(walking)
        done.set()
    seen = sum((walk.seen for walk in walks), Counter())
    assert seen["Granted"] > 10
    assert seen["Conflict"] > 10
    assert seen["joined True"] > 0
    async with store.transaction() as c:
        await balance(c)
