"""Cancelling and resolving: what a person asked of a task, on record before anybody acts on it."""

from typing import Any
from uuid import UUID

from gateway.store.db.pool import Connection

CANCEL_CHANNEL = "vmgate_cancel"


async def request(c: Connection, task: UUID, by: str, within_s: float) -> None:
    """Record that `by` cancels an open task, and wake whoever may hold it."""
    await c.execute(
        """update task set cancel_at = clock_timestamp(), cancel_by = $2,
             ends_by = clock_timestamp() + make_interval(secs => $3), resolved_as = '',
             state = case when state = 'stuck' then 'queued' else state end,
             run_at = least(run_at, clock_timestamp()), updated_at = clock_timestamp()
           where id = $1""",
        task,
        by,
        within_s,
    )
    await c.execute(f"notify {CANCEL_CHANNEL}")


async def resume(c: Connection, task: UUID, resolved_as: str) -> None:
    """Queue a stuck task again, with its failures forgotten; `resolved_as` is what a person says
    became of it, empty when it is only to be looked at again."""
    await c.execute(
        """update task set state = 'queued', worker = null, lease_until = null, attempts = 0,
             failures = 0, lapses = 0, resolved_as = $2, run_at = clock_timestamp(),
             updated_at = clock_timestamp()
           where id = $1""",
        task,
        resolved_as,
    )


async def says_when(c: Connection, task: UUID, epoch: int, within_s: float, why: str) -> None:
    """Record by when a cancelled task ends at the latest, and why not sooner."""
    await c.execute(
        """update task set ends_by = clock_timestamp() + make_interval(secs => $3), error = $4,
             updated_at = clock_timestamp()
           where id = $1 and epoch = $2 and state = 'running'""",
        task,
        epoch,
        within_s,
        why,
    )


async def leave_open(c: Connection, task: UUID) -> None:
    """Mark a task that ended before all was looked at."""
    await c.execute("update task set left_open = true where id = $1", task)


_ANSWERED = """
select t.id from task t
where t.left_open and t.state = 'done'
  and not exists (select from task o where o.vm_id = t.vm_id
    and o.state in ('queued', 'running', 'stuck'))
  and not exists (select from booking b join host h on h.id = b.host_id
    where b.vm_id = t.vm_id and not (coalesce(h.observed_at > t.updated_at, false)
      and h.unreachable_since is null))
  and t.updated_at + make_interval(secs => least(600, 5 * (power(2,
    coalesce((t.payload->>'taken_up')::int, 0)) - 1))) <= clock_timestamp()
order by t.n limit 16
"""


async def answered(c: Connection) -> list[UUID]:
    """The tasks left open whose VM's hosts were all seen since, and whose VM no task holds; those
    that were taken up before wait longer each time."""
    return [row["id"] for row in await c.fetch(_ANSWERED)]


async def close(c: Connection, task: UUID) -> Any:
    """Lock a task that is left open and mark it as taken up; its row, None when another did so."""
    return await c.fetchrow(
        "update task set left_open = false where id = $1 and left_open returning *", task
    )


async def superseded(c: Connection, vm_id: int, task_n: int) -> bool:
    """Whether another task of the VM began after the `task_n`th."""
    found: bool = await c.fetchval(
        "select exists (select from task where vm_id = $1 and n > $2)", vm_id, task_n
    )
    return found


async def copy_journal(c: Connection, old: UUID, new: UUID, without: str) -> None:
    """Give a new task the journal of an old one, but for lines of the word `without`."""
    await c.execute(
        """insert into journal (task_id, n, step, entry, epoch, detail)
           select $2, row_number() over (order by n) - 1, step, entry, 0, detail
           from journal where task_id = $1 and entry <> $3""",
        old,
        new,
        without,
    )


async def doubted(c: Connection, vm_id: int) -> bool:
    """Whether the VM is booked in two places though no task moves it: one was left open."""
    found: bool = await c.fetchval("select count(*) > 1 from booking where vm_id = $1", vm_id)
    return found
