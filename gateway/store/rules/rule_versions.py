"""Rule sets as versions: every edit of the workload rules is one, and none is ever changed.

Drafts are what an edit may become. Activating one is a single transaction: the rules, their
limits, the version and its event are there at once, or nothing is.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.store.db.pool import Connection
from gateway.store.rules import rule_set

_VERSION = "version, rules, tests, author, comment, at, parent"
_DRAFT = "id, base, rules, tests, author, author_id, comment, revision, at"
# Rules stay the same rule, by id, as long as they are about the same thing.
_KEPT = """
delete from rule r where not exists (
  select from jsonb_to_recordset($1::jsonb) as n(kind text, level text, element_id bigint,
    other_id bigint)
  where (n.kind, n.level, n.element_id, n.other_id)
    = (r.kind, r.level, r.element_id, r.other_id))
"""
_PUT = """
insert into rule as r (kind, level, element_id, other_id, cpu_percent, ram_percent,
  storage_percent, aggregated, fit_policy, packing)
select n.kind, n.level, n.element_id, n.other_id, n.cpu_percent, n.ram_percent,
  n.storage_percent, n.aggregated, n.fit_policy, n.packing
from jsonb_to_recordset($1::jsonb) as n(kind text, level text, element_id bigint,
  other_id bigint, cpu_percent int, ram_percent int, storage_percent int, aggregated bool,
  fit_policy text, packing bool)
order by n.kind, n.level, n.element_id, n.other_id
on conflict (kind, level, element_id, other_id) do update set
  cpu_percent = excluded.cpu_percent, ram_percent = excluded.ram_percent,
  storage_percent = excluded.storage_percent, aggregated = excluded.aggregated,
  fit_policy = excluded.fit_policy, packing = excluded.packing
"""

Body = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Version:
    """What the rules said, from when on, and by whom."""

    version: int
    rules: Body
    tests: Body
    author: str
    comment: str
    at: datetime
    parent: int | None


@dataclass(frozen=True, slots=True)
class Draft:
    """What the rules may say; `base` was in force when it was made."""

    id: int
    base: int
    rules: Body
    tests: Body
    author: str
    author_id: int
    comment: str
    revision: int
    at: datetime


@dataclass(frozen=True, slots=True)
class RuleSetContent:
    """What a person writes in a draft, and who it is."""

    rules: Body
    tests: Body
    comment: str
    author: str
    author_id: int


async def versions(c: Connection, limit: int) -> list[Version]:
    """The newest ones, newest first."""
    rows = await c.fetch(
        f"select {_VERSION} from rule_set_version order by version desc limit $1", limit
    )
    return [Version(*row.values()) for row in rows]


async def version(c: Connection, number: int) -> Version | None:
    """One version."""
    row = await c.fetchrow(f"select {_VERSION} from rule_set_version where version = $1", number)
    return Version(*row.values()) if row else None


async def in_force(c: Connection) -> Version:
    """The newest version."""
    (newest,) = await versions(c, 1)
    return newest


async def drafts(c: Connection) -> list[Draft]:
    """All drafts, by id."""
    rows = await c.fetch(f"select {_DRAFT} from rule_draft order by id")
    return [Draft(*row.values()) for row in rows]


async def draft(c: Connection, id_: int, *, lock: bool = False) -> Draft | None:
    """One draft; locked until the caller's transaction ends, if so wanted."""
    locked = " for update" if lock else ""
    row = await c.fetchrow(f"select {_DRAFT} from rule_draft where id = $1{locked}", id_)
    return Draft(*row.values()) if row else None


async def add_draft(c: Connection, base: int, content: RuleSetContent) -> Draft:
    """A new draft."""
    row = await c.fetchrow(
        f"""insert into rule_draft (base, rules, tests, author, author_id, comment)
            values ($1, $2, $3, $4, $5, $6) returning {_DRAFT}""",
        base,
        content.rules,
        content.tests,
        content.author,
        content.author_id,
        content.comment,
    )
    assert row is not None
    return Draft(*row.values())


async def change_draft(c: Connection, old: Draft, base: int, content: RuleSetContent) -> Draft:
    """The draft, which the caller has locked, says something else."""
    row = await c.fetchrow(
        f"""update rule_draft set base = $2, rules = $3, tests = $4, author = $5, author_id = $6,
              comment = $7, revision = revision + 1, at = clock_timestamp()
            where id = $1 returning {_DRAFT}""",
        old.id,
        base,
        content.rules,
        content.tests,
        content.author,
        content.author_id,
        content.comment,
    )
    assert row is not None
    return Draft(*row.values())


async def drop_draft(c: Connection, id_: int) -> None:
    """The draft is no more."""
    await c.execute("delete from rule_draft where id = $1", id_)


async def put_in_force(c: Connection, content: RuleSetContent) -> None:
    """These rules instead of all others; the caller holds the rules and refreshes limits next.

    That gives them their version, also when they say what the present ones do.
    """
    await c.execute(_KEPT, content.rules)
    await c.execute(_PUT, content.rules)
    await rule_set.bump_version(c)


async def complete(c: Connection, content: RuleSetContent) -> Version:
    """The version that `put_in_force` led to, signed and with its tests."""
    await c.execute(
        """insert into rule_set_version as v (version, rules, tests, author, comment, parent)
           select s.version, $1, $2, $3, $4, (select max(version) from rule_set_version)
           from rule_set s
           on conflict (version) do update set tests = $2, author = $3, comment = $4""",
        content.rules,
        content.tests,
        content.author,
        content.comment,
    )
    return await in_force(c)
