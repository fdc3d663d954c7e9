"""The rule set: its version counts the edits of all that rules say, and never goes back.

Claims hold it for share and edits for update. A version stands for one content, so a decision
that names its version can be judged again later.
"""

from gateway.store.db.pool import Connection
from gateway.store.feed import outbox
from scheduler.model.fit_policy import FitPolicy
from scheduler.model.inventory import RuleSet
from scheduler.model.serialization import to_mapping

_ABOUT_NOTHING = """
delete from rule r where
  (level = 'machine' and not exists (select from host e where e.id = r.element_id)) or
  (level = 'cluster' and not exists (select from cluster e where e.id = r.element_id)) or
  (level = 'rack' and not exists (select from rack e where e.id = r.element_id)) or
  (level = 'datacenter' and not exists (select from datacenter e where e.id = r.element_id)) or
  (level = 'datastore' and not exists (select from datastore e where e.id = r.element_id)) or
  (level = 'datastoretier' and not exists (select from tier e where e.id = r.element_id)) or
  (level = 'enterprise' and (select count(*) from enterprise e
                             where e.id in (r.element_id, r.other_id)) < 2)
"""
_BUMP = """
with content as (
  select md5(jsonb_build_array(
    (select jsonb_agg(to_jsonb(r) order by r.id) from rule r),
    (select jsonb_agg(to_jsonb(t) order by t.id) from tier t),
    (select jsonb_agg(to_jsonb(m) order by m.tier_id, m.enterprise_id) from tier_enterprise m),
    (select jsonb_agg(jsonb_build_array(e.id, e.name, e.reservation_restricted) order by e.id)
     from enterprise e))::text) as fingerprint)
update rule_set set version = version + 1, fingerprint = content.fingerprint
from content where rule_set.fingerprint <> content.fingerprint
returning version
"""
GATEWAY = "vmgate"
"""The author of versions that nobody asked for."""
# Not each version of all that rules say is one of the workload rules: tiers count there, too.
_RECORD = """
with content as (
  select coalesce(jsonb_agg(to_jsonb(r) - 'id' order by r.kind, r.level, r.element_id,
    r.other_id), '[]') as rules from rule r),
newest as (select * from rule_set_version order by version desc limit 1)
insert into rule_set_version (version, rules, tests, author, parent)
select $1, content.rules, coalesce(newest.tests, '[]'), $2, newest.version
from content left join newest on true
where newest.rules is distinct from content.rules
"""


async def lock_shared(c: Connection) -> int:
    """The version; no edit of rules commits before the caller's transaction ends."""
    version: int = await c.fetchval("select version from rule_set for share")
    return version


async def named(c: Connection, kind: str, id_: int) -> tuple[str, str]:
    """The rules behind the CPU and the memory limit of a ledger row; empty for none."""
    row = await c.fetchrow(
        "select cpu_rule, ram_rule from ledger where kind = $1 and id = $2", kind, id_
    )
    return ("", "") if row is None else (row["cpu_rule"], row["ram_rule"])


async def lock_exclusive(c: Connection) -> None:
    """Keep claims and other edits away until the caller's transaction ends."""
    await c.execute("select version from rule_set for update")


async def read(c: Connection) -> RuleSet:
    """What the rules say now beyond the limits that are in the ledger's rows."""
    policies = await c.fetch(
        "select element_id, fit_policy, packing from rule where kind = 'fit_policy'"
    )
    pairs = await c.fetch("select element_id, other_id from rule where kind = $1", EXCLUSION)
    enterprises = await c.fetch("select id, name, reservation_restricted from enterprise")
    tiers = await c.fetch("select id, name from tier")
    excluded: dict[int, frozenset[int]] = {}
    for pair in pairs:
        one, other = pair["element_id"], pair["other_id"]
        excluded[one] = excluded.get(one, frozenset()) | {other}
        excluded[other] = excluded.get(other, frozenset()) | {one}
    return RuleSet(
        await c.fetchval("select version from rule_set"),
        {row["element_id"]: _policy(row["fit_policy"], row["packing"]) for row in policies},
        excluded,
        frozenset(row["id"] for row in enterprises if row["reservation_restricted"]),
        {row["id"]: row["name"] for row in enterprises},
        {row["id"]: row["name"] for row in tiers},
    )


EXCLUSION = "enterprise_exclusion"
"""The kind of the rules that keep two enterprises apart."""


def _policy(name: str, packing: bool) -> FitPolicy:
    policy = FitPolicy(name)
    return FitPolicy.PACKING if packing and policy is FitPolicy.PROGRESSIVE else policy


async def changed(c: Connection, author: str) -> None:
    """Give what the rules say a new version and tell the feed; nothing when it is as it was.

    Rules about what exists no more are lifted. New rules are kept as a version of their
    own, made by `author`: a user, or whatever part of the gateway edits what rules are about.
    """
    await lock_exclusive(c)
    await c.execute(_ABOUT_NOTHING)
    version = await c.fetchval(_BUMP)
    if version is not None:
        await c.execute(_RECORD, version, author)
        told = to_mapping(await read(c))
        await outbox.put(c, outbox.Topic.INVENTORY, "rules", 0, told)


async def bump_version(c: Connection) -> None:
    """Have the next `changed` give a new version, whatever the rules say."""
    await c.execute("update rule_set set fingerprint = ''")
