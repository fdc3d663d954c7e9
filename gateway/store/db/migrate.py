"""Brings the schema to this version: each numbered file once, in order, whole or not at all."""

import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from gateway.store.db.faults import MigrationError
from gateway.store.db.pool import Connection, Store

_FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
# Any number will do that nobody else locks; held to the end of each migration's transaction.
_LOCK_KEY = 0x766D_6761_7465
_PATIENCE_S = 3600.0
_RECORD = """
create table if not exists migration (
  number int primary key,
  name text not null,
  checksum text not null,
  applied_at timestamptz not null default clock_timestamp()
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file; the checksum is the SHA-256 of its bytes, in hex."""

    number: int
    name: str
    sql: str
    checksum: str


async def migrate(store: Store, folder: Traversable | None = None) -> list[str]:
    """Apply what is missing and return its names; any number of processes may do so at once.

    Raises MigrationError when the database has a migration that this version does not know, or
    knows otherwise; StoreError as transactions do.
    """
    known = load(folder or resources.files("gateway.store") / "migrations")
    applied: list[str] = []
    while True:
        async with store.transaction() as c:
            pending = await _pending(c, known)
            if not pending:
                return applied
            await _apply(c, pending[0])
        applied.append(pending[0].name)


def load(folder: Traversable) -> list[Migration]:
    """All migrations of `folder` in order; raises MigrationError unless they count 1, 2, 3, ..."""
    found = []
    for file in folder.iterdir():
        if not file.name.endswith(".sql"):
            continue
        named = _FILE_NAME.fullmatch(file.name)
        if named is None:
            raise MigrationError(f"{file.name} is not named like 0001_words.sql")
        content = file.read_bytes()
        checksum = hashlib.sha256(content).hexdigest()
        name = file.name.removesuffix(".sql")
        found.append(Migration(int(named[1]), name, content.decode(), checksum))
    found.sort(key=lambda migration: (migration.number, migration.name))
    for expected, migration in enumerate(found, start=1):
        if migration.number != expected:
            raise MigrationError(f"{migration.name} stands where number {expected:04} should")
    return found


async def _pending(c: Connection, known: list[Migration]) -> list[Migration]:
    """What is yet to apply, in a transaction that no other migrator shares."""
    # Waiting for another's long migration is no fault.
    await c.execute("set local lock_timeout = 0; set local statement_timeout = 0")
    await c.execute("select pg_advisory_xact_lock($1)", _LOCK_KEY, timeout=_PATIENCE_S)
    await c.execute(_RECORD)
    rows = await c.fetch("select number, name, checksum from migration order by number")
    for row, migration in zip(rows, known, strict=False):
        if row["number"] != migration.number or row["checksum"] != migration.checksum:
            raise MigrationError(
                f"the database has {row['name']}, which is not this version's {migration.name}:"
                " an applied migration is never edited, add a new one"
            )
    if len(rows) > len(known):
        raise MigrationError(
            f"the database has {rows[-1]['name']}, which this version does not know:"
            " run the version that applied it, or a newer one"
        )
    return known[len(rows) :]


async def _apply(c: Connection, migration: Migration) -> None:
    await c.execute(migration.sql, timeout=_PATIENCE_S)
    if not c.is_in_transaction():
        raise MigrationError(f"{migration.name} ends its transaction")
    await c.execute(
        "insert into migration (number, name, checksum) values ($1, $2, $3)",
        migration.number,
        migration.name,
        migration.checksum,
    )
