"""The whole cluster at one moment, as the scheduler's own value: one read sees all of it."""

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.store.capacity import inventory
from gateway.store.db.pool import Connection
from gateway.store.feed import feed
from gateway.store.rules import rule_set
from scheduler.model.fit_policy import FitPolicy
from scheduler.model.limits import Level, LoadKind, LoadRule, Rules
from scheduler.snapshot.snapshot import InventorySnapshot, SnapshotHold, SnapshotVm

# A VM that relocates is booked twice, and stands where it came from first.
_RESIDENTS = """
select v.uuid as vm, v.name, b.host_id as host, b.datastore_id as datastore, b.cpu, b.ram_mib,
  b.disk_bytes, v.enterprise_id as enterprise, v.layer_id as layer, v.type,
  (select n.tag from nic join network n on n.id = nic.network_id
   where nic.vm_id = v.id order by nic.n limit 1) as network,
  v.tier_id as tier, v.protected, v.known_state = 'ON' as on
from booking b join vm v on v.id = b.vm_id
order by v.id, (b.host_id = v.host_id) desc, b.host_id
"""
# Each place that is held is a hold of its own there, under an id that stays the same.
_HOLDS = """
select md5(h.id::text || '/' || s.id)::uuid as id, s.host_id as host, s.datastore_id as datastore,
  s.cpu, s.ram_mib, s.disk_bytes, h.enterprise_id as enterprise, s.layer_id as layer,
  to_char(h.expires_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as until
from hold_booking s join hold h on h.id = s.hold_id where s.vm_id is null order by s.id
"""
_RULES = "select * from rule order by id"
_PEOPLE = "select id, name, reservation_restricted from enterprise order by id"
_TIERS = "select id, name from tier order by id"
_LOADS = {each.value for each in LoadKind}


async def read(c: Connection) -> InventorySnapshot:
    """The cluster; every change of the feed up to `position` is in it."""
    rows = [dict(row) for row in await c.fetch(_RULES)]
    return InventorySnapshot(
        tuple(await inventory.hosts(c)),
        tuple(await inventory.datastores(c)),
        tuple(await inventory.scopes(c)),
        await rules_of(c, rows),
        tuple([SnapshotVm(**dict(row)) for row in await c.fetch(_RESIDENTS)]),
        tuple([SnapshotHold(**dict(row)) for row in await c.fetch(_HOLDS)]),
        position=await feed.head(c),
    )


async def rules_of(c: Connection, rows: Iterable[Mapping[str, Any]]) -> Rules:
    """Rows of the table rule, with the enterprises and tiers of today around them.

    A row without an id is known by that of the rule it takes the place of, 0 for a new one.
    """
    named = {_about(dict(row)): row["id"] for row in await c.fetch(_RULES)}
    listed = [{"id": named.get(_about(row), 0), **row} for row in rows]
    people = await c.fetch(_PEOPLE)
    return Rules(
        tuple([_load(row) for row in listed if row["kind"] in _LOADS]),
        {row["element_id"]: _policy(row) for row in listed if row["kind"] == "fit_policy"},
        frozenset(
            (row["element_id"], row["other_id"])
            for row in listed
            if row["kind"] == rule_set.EXCLUSION
        ),
        frozenset(row["id"] for row in people if row["reservation_restricted"]),
        {row["id"]: row["name"] for row in people},
        {row["id"]: row["name"] for row in await c.fetch(_TIERS)},
        await c.fetchval("select version from rule_set"),
    )


def _about(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return (row["kind"], row["level"], row["element_id"], row["other_id"])


def _load(row: Mapping[str, Any]) -> LoadRule:
    return LoadRule(
        row["id"],
        LoadKind(row["kind"]),
        Level(row["level"]),
        row["element_id"],
        row["cpu_percent"],
        row["ram_percent"],
        row["storage_percent"],
        row["aggregated"],
    )


def _policy(row: Mapping[str, Any]) -> FitPolicy:
    policy = FitPolicy(row["fit_policy"])
    return FitPolicy.PACKING if row["packing"] and policy is FitPolicy.PROGRESSIVE else policy
