"""A store and a simulated world as JSON: every row of every table, to be put back as it was."""

import json
from pathlib import Path
from typing import Any

from drivers.simulated.world import World
from gateway.store.db.pool import Connection, Store

CORPUS = Path(__file__).parent / "corpus"
_TABLES = """
select table_name from information_schema.tables
where table_schema = 'public' and table_type = 'BASE TABLE' and table_name <> 'migration'
order by table_name
"""
_IDENTITIES = """
select table_name, column_name from information_schema.columns
where table_schema = 'public' and is_identity = 'YES'
"""
Rows = dict[str, list[dict[str, Any]]]


async def rows_of(store: Store) -> Rows:
    """Return every row by table, as one moment has them."""
    async with store.transaction() as c:
        await c.execute("set transaction isolation level repeatable read")
        found = {}
        for (table,) in await c.fetch(_TABLES):
            rows = await c.fetch(f"select to_jsonb(t)::text from {table} t order by t::text")
            if rows:
                found[table] = [json.loads(row[0]) for row in rows]
        return found


async def put_back(c: Connection, rows: Rows) -> None:
    """Put rows into an empty store whose tables are those of that time."""
    await c.execute("set session_replication_role = replica")  # in any order of foreign keys
    for table in rows:
        await c.execute(f"delete from {table}")
    for table, some in rows.items():
        await c.execute(
            f"""insert into {table} overriding system value
                select (jsonb_populate_record(null::{table}, one)).*
                from jsonb_array_elements($1::jsonb) one""",
            some,
        )
    for table, column in await c.fetch(_IDENTITIES):
        await c.execute(
            f"""select setval(pg_get_serial_sequence('{table}', '{column}'),
                  (select coalesce(max({column}), 0) + 1 from {table}), false)"""
        )
    await c.execute("set session_replication_role = origin")


def world_rows(world: World) -> Rows:
    """Return every row of the simulated world by table."""
    tables = world.rows("select name from sqlite_master where type = 'table' order by name")
    return {
        table["name"]: [dict(row) for row in world.rows(f"select * from {table['name']}")]
        for table in tables
    }


def world_of(rows: Rows) -> World:
    """Return a world with these rows."""
    world = World("")
    for table, some in rows.items():
        world.rows(f"delete from {table}")
        for row in some:
            marks = ", ".join("?" for _ in row)
            world.rows(f"insert into {table} ({', '.join(row)}) values ({marks})", *row.values())
    return world


def write(path: Path, rows: Rows) -> None:
    """Write one row a line, so that a reader and a diff can follow."""
    lines = []
    for table, some in rows.items():
        body = ",\n".join(json.dumps(row, sort_keys=True) for row in some)
        lines.append(f"{json.dumps(table)}: [\n{body}\n]")
    path.write_text("{" + ",\n".join(lines) + "}\n")


def read(path: Path) -> Rows:
    """Read what `write` wrote."""
    return dict(json.loads(path.read_text()))
