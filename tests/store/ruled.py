"""A small record for rules: two datacenters, racks, clusters, hosts, tiers, datastores and VMs.

Datacenter 1 has the racks 1 and 2 with three hosts each (1-3, 4-6), datacenter 2 the rack 3 with
host 7. Hosts 1 and 2 are the cluster 1, host 4 the cluster 2. VMs 1-24 belong to the enterprises
1-3 in turn; the VMs of an enterprise are in the layers 1 (the first two), 2 (the next two), none.
"""

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from gateway.store.capacity import claims, ledger
from gateway.store.capacity.claims import Answer, Claim
from gateway.store.db.pool import Connection, Store

GIB = 2**30
DISK = GIB
_PLACES = f"""
insert into enterprise (name) values ('one'), ('two'), ('three');
insert into app_user (nick, enterprise_id, password_hash) values ('tester', 1, '');
insert into datacenter (name) values ('north'), ('south');
insert into rack (datacenter_id, name) values (1, 'r1'), (1, 'r2'), (2, 'r3');
insert into cluster (rack_id, name) values (1, 'c1'), (2, 'c2');
insert into host (rack_id, datacenter_id, cluster_id, hypervisor, name, type, address, cpus,
    memory_mib, reachable)
  select r, case when r = 3 then 2 else 1 end,
    case when i in (1, 2) then 1 when i = 4 then 2 end, 'sim', 'h' || i, 'KVM', '',
    7 + i, 10000 + 37 * i, true
  from generate_series(1, 7) i, lateral (select (i + 2) / 3 as r) s;
insert into tier (datacenter_id, name) values (1, 'gold'), (1, 'silver');
insert into datastore (datacenter_id, name, pool, shared, capacity_bytes, free_bytes, tier_id)
  select case when i = 4 then 2 else 1 end, 'd' || i, 'd', true, {100 * GIB}::bigint + i,
    {100 * GIB}::bigint + i, case i when 1 then 1 when 2 then 2 end
  from generate_series(1, 4) i;
insert into host_datastore select h.id, d.id from host h
  join datastore d on d.datacenter_id = h.datacenter_id;
insert into template (datacenter_id, name, source, disk_format, disk_bytes, cpu, ram_mib, types)
  values (1, 't', 's', 'RAW', {DISK}, 1, 100, '{{KVM}}');
insert into virtualdatacenter (name, enterprise_id, datacenter_id, type)
  select 'v' || i, i, 1, 'KVM' from generate_series(1, 3) i;
insert into virtualappliance (virtualdatacenter_id, enterprise_id, name)
  select i, i, 'a' || i from generate_series(1, 3) i;
insert into layer (virtualappliance_id, name)
  select a, 'l' || l from generate_series(1, 3) a, generate_series(1, 2) l order by a, l;
insert into vm (uuid, name, label, virtualappliance_id, virtualdatacenter_id, enterprise_id,
    datacenter_id, user_id, template_id, type, cpu, ram_mib, disk_bytes, layer_id)
  select gen_random_uuid(), 'vm-' || i, '', e, e, e, 1, 1, 1, 'KVM', 1, 100, {DISK},
    case when (i - 1) / 3 in (0, 1) then 2 * e - 1 when (i - 1) / 3 in (2, 3) then 2 * e end
  from generate_series(1, 24) i, lateral (select 1 + (i - 1) % 3 as e) s;
insert into task (id, kind, vm_id, vm_name, user_id, enterprise_id, state, epoch)
  select ('00000000-0000-0000-0000-' || lpad(id::text, 12, '0'))::uuid, 'DEPLOY', id, name, 1,
    enterprise_id, 'running', 1
  from vm;
"""


async def build(store: Store) -> None:
    """All of it, with every VM held by a running task of epoch 1."""
    async with store.transaction() as c:
        await c.execute(_PLACES)
        await ledger.refresh_limits(c)


def task_of(vm: int) -> UUID:
    """The running task of a VM."""
    return UUID(int=int(str(vm), 16))


async def wish(
    c: Connection, vm: int, host: int, *, datastore: int = 3, cpu: int = 1, moving: bool = False
) -> Claim:
    """A claim that rests on the ledger as it is now."""
    row = await c.fetchrow("select * from host where id = $1", host)
    assert row is not None
    keys = [("host", host), ("datastore", datastore), ("rack", row["rack_id"])]
    keys += [("datacenter", row["datacenter_id"]), ("cluster", row["cluster_id"])]
    seen = []
    for key in keys:
        found = await c.fetchval("select character from ledger where kind=$1 and id=$2", *key)
        if found is not None:
            seen.append((*key, found))
    return Claim(
        task=task_of(vm),
        epoch=1,
        step="reserve",
        vm_id=vm,
        host_id=host,
        rack_id=row["rack_id"],
        datacenter_id=row["datacenter_id"],
        datastore_id=datastore,
        cpu=cpu,
        ram_mib=100 * cpu,
        disk_bytes=DISK,
        characters=tuple(seen),
        detail={},
        event={},
        moving=moving,
        cluster_id=row["cluster_id"],
        rules=await c.fetchval("select version from rule_set"),
    )


async def claim(store: Store, *wanted: tuple[int, int], **more: Any) -> list[Answer]:
    """Claim (vm, host) pairs in one batch, each on what is known before it."""
    async with store.transaction() as c:
        wishes = [await wish(c, vm, host, **more) for vm, host in wanted]
    async with store.transaction() as c:
        return await claims.claim(c, wishes)


async def set_rules(c: Connection, rules: Iterable[Mapping[str, Any]]) -> None:
    """These rules take the place of all there were."""
    await c.execute("delete from rule")
    for rule in rules:
        names = list(rule)
        marks = ", ".join(f"${n + 1}" for n in range(len(names)))
        await c.execute(f"insert into rule ({', '.join(names)}) values ({marks})", *rule.values())
    await ledger.refresh_limits(c)


@asynccontextmanager
async def tried(store: Store) -> AsyncIterator[Connection]:
    """A transaction that leaves no trace, so that the next trial begins as this one did."""
    with contextlib.suppress(_Undone):
        async with store.transaction() as c:
            yield c
            raise _Undone


class _Undone(Exception):
    """Ends a trial."""
