"""What a task waits for, since when, and whether an event has told it."""

from typing import Any
from uuid import UUID

from gateway.store.db.pool import Connection


async def clear(c: Connection, task: UUID) -> None:
    """Record that a fenced task goes on."""
    await c.execute("update task set waiting = '', waiting_since = null where id = $1", task)


async def show(c: Connection, task: UUID, epoch: int, text: str, tell_after_s: float) -> Any:
    """Record what a held task waits for, empty when it goes on; the row with its names when an
    event has to tell it, which is once for each text, after it lasted `tell_after_s`."""
    return await c.fetchrow(
        """update task set waiting = $3,
             waiting_since = case when $3 = '' then null
                             else coalesce(waiting_since, clock_timestamp()) end,
             waiting_told = case when told.now then $3 else waiting_told end
           from (select id, $3 <> '' and waiting_told <> $3 and ($4::float8 <= 0 or coalesce(
                   waiting_since <= clock_timestamp() - make_interval(secs => $4), false)) as now
                 from task where id = $1 and epoch = $2 and state = 'running' for update) told
           where task.id = told.id
           returning told.now, vm_id, vm_name, enterprise_id, user_id""",
        task,
        epoch,
        text,
        tell_after_s,
    )
