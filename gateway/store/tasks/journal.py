"""The journal of a task: append-only, written behind the fence, enough to resume from any line."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from gateway.store.db.pool import Connection


async def read(c: Connection, task: UUID) -> list[tuple[str, str, dict[str, Any]]]:
    """All lines of a task in order, as (step, entry, detail)."""
    rows = await c.fetch(
        "select step, entry, detail from journal where task_id = $1 order by n", task
    )
    return [(row["step"], row["entry"], row["detail"]) for row in rows]


async def append(
    c: Connection, task: UUID, epoch: int, line: tuple[str, str, Mapping[str, Any]]
) -> None:
    """Add one line; the caller's transaction has fenced the task, so numbers cannot collide."""
    step, entry, detail = line
    await c.execute(
        """insert into journal (task_id, n, step, entry, epoch, detail)
           select $1, count(*), $3, $4, $2, $5 from journal where task_id = $1""",
        task,
        epoch,
        step,
        entry,
        dict(detail),
    )
