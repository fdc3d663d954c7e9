"""Workload rules as administrators set them; one of a kind for each element."""

from dataclasses import dataclass

from gateway.store.db.pool import Connection
from gateway.store.rules import rule_set


@dataclass(frozen=True, slots=True)
class Rule:
    """`kind` machine_load, datastore_load, fit_policy or enterprise_exclusion; `level` names
    what `element_id` is of.

    Percentages of the physical amount; the fields of other kinds are None. A fit policy for
    everything has the level `global` and the element 0; `packing` goes with PROGRESSIVE. An
    exclusion is about the enterprises `element_id` and `other_id`, the lower first. The other ids
    say where the element is, as far as it has such.
    """

    id: int
    kind: str
    level: str
    element_id: int
    other_id: int
    cpu_percent: int | None
    ram_percent: int | None
    storage_percent: int | None
    aggregated: bool
    fit_policy: str | None
    packing: bool
    datacenter_id: int | None
    rack_id: int | None
    cluster_id: int | None
    tier_id: int | None


@dataclass(frozen=True, slots=True)
class NewRule:
    """A rule to add."""

    kind: str
    level: str
    element_id: int
    other_id: int = 0
    cpu_percent: int | None = None
    ram_percent: int | None = None
    storage_percent: int | None = None
    aggregated: bool = False
    fit_policy: str | None = None
    packing: bool = False


_SELECT = """
select r.id, r.kind, r.level, r.element_id, r.other_id, r.cpu_percent, r.ram_percent,
  r.storage_percent, r.aggregated, r.fit_policy, r.packing,
  coalesce(d.id, k.datacenter_id, kc.datacenter_id, h.datacenter_id, t.datacenter_id,
    s.datacenter_id),
  coalesce(k.id, cl.rack_id, h.rack_id), coalesce(cl.id, h.cluster_id), coalesce(t.id, s.tier_id)
from rule r
left join datacenter d on r.level = 'datacenter' and d.id = r.element_id
left join rack k on r.level = 'rack' and k.id = r.element_id
left join cluster cl on r.level = 'cluster' and cl.id = r.element_id
left join rack kc on kc.id = cl.rack_id
left join host h on r.level = 'machine' and h.id = r.element_id
left join tier t on r.level = 'datastoretier' and t.id = r.element_id
left join datastore s on r.level = 'datastore' and s.id = r.element_id
"""
_TABLES = {
    "datacenter": "datacenter",
    "rack": "rack",
    "cluster": "cluster",
    "machine": "host",
    "datastoretier": "tier",
    "datastore": "datastore",
    "enterprise": "enterprise",
}


async def of_kind(c: Connection, kind: str) -> list[Rule]:
    """All rules of a kind, by id."""
    rows = await c.fetch(_SELECT + "where r.kind = $1 order by r.id", kind)
    return [Rule(*row.values()) for row in rows]


async def get(c: Connection, kind: str, rule_id: int) -> Rule | None:
    """One rule of a kind."""
    row = await c.fetchrow(_SELECT + "where r.kind = $1 and r.id = $2", kind, rule_id)
    return Rule(*row.values()) if row else None


async def add(c: Connection, new: NewRule) -> int | None:
    """A new rule's id; None when the element has one of that kind."""
    made: int | None = await c.fetchval(
        """insert into rule (kind, level, element_id, other_id, cpu_percent, ram_percent,
             storage_percent, aggregated, fit_policy, packing)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
           on conflict (kind, level, element_id, other_id) do nothing returning id""",
        new.kind,
        new.level,
        new.element_id,
        new.other_id,
        new.cpu_percent,
        new.ram_percent,
        new.storage_percent,
        new.aggregated,
        new.fit_policy,
        new.packing,
    )
    return made


async def change(c: Connection, rule_id: int, to: NewRule) -> None:
    """Have a rule say what `to` says of the element it is about."""
    await c.execute(
        """update rule set cpu_percent = $2, ram_percent = $3, storage_percent = $4,
             aggregated = $5, fit_policy = $6, packing = $7 where id = $1""",
        rule_id,
        to.cpu_percent,
        to.ram_percent,
        to.storage_percent,
        to.aggregated,
        to.fit_policy,
        to.packing,
    )


async def drop(c: Connection, rule_id: int) -> None:
    """Delete a rule."""
    await c.execute("delete from rule where id = $1", rule_id)


async def about(c: Connection, level: str, element_id: int) -> list[Rule]:
    """The rules about an element."""
    rows = await c.fetch(
        _SELECT + "where r.level = $1 and $2 in (r.element_id, r.other_id) order by r.id",
        level,
        element_id,
    )
    return [Rule(*row.values()) for row in rows]


async def element_exists(c: Connection, level: str, element_id: int) -> bool:
    """Whether the element a rule is to be about exists; a rule goes with its element."""
    found = await c.fetchval(
        f"select exists (select from {_TABLES[level]} where id = $1)", element_id
    )
    return bool(found)


async def hold(c: Connection) -> None:
    """Keep claims and other edits of rules away until the caller's transaction ends.

    Rows of hosts, datastores and VMs are locked before, as observers and claims do.
    """
    await rule_set.lock_exclusive(c)
