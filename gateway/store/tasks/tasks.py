"""The task row is the queue: a claim gives a lease and a new epoch, and the epoch fences writes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from drivers.contract import LeaseLost
from gateway.lifecycle import Operation
from gateway.store.db.pool import Connection

WORK_CHANNEL = "vmgate_work"


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to insert; `jobs` are (type, description) in the order they will run."""

    id: UUID
    operation: Operation
    vm_id: int
    vm_name: str
    user_id: int
    enterprise_id: int
    payload: dict[str, Any]
    jobs: Sequence[tuple[str, UUID, str]]
    group_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Claimed:
    """A task this worker holds under `epoch`."""

    id: UUID
    operation: Operation
    vm_id: int
    vm_name: str
    user_id: int
    enterprise_id: int
    payload: dict[str, Any] = field(hash=False)
    epoch: int
    attempts: int
    started: bool
    lapses: int = 0
    resolved_as: str = ""
    waiting: str = ""
    cancel: "Cancel | None" = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """Who asked for a task to be cancelled, and how many seconds ago."""

    by: str
    age_s: float


_CANCEL = """case when cancel_at is null then null else cancel_by end cancel_by,
  extract(epoch from clock_timestamp() - cancel_at)::float8 cancel_age_s"""


def cancel_of(row: Any) -> Cancel | None:
    """The cancellation in a task's row that was read with `cancel_by` and `cancel_age_s`."""
    return None if row["cancel_by"] is None else Cancel(row["cancel_by"], row["cancel_age_s"])


async def insert(c: Connection, task: NewTask) -> bool:
    """Queue `task`; False, and nothing written, when the VM has an open one already."""
    row = await c.fetchrow(
        """insert into task (id, kind, vm_id, vm_name, user_id, enterprise_id, payload, group_id)
           values ($1, $2, $3, $4, $5, $6, $7, $8)
           on conflict (vm_id) where state in ('queued', 'running', 'stuck') do nothing
           returning n""",
        task.id,
        task.operation.value,
        task.vm_id,
        task.vm_name,
        task.user_id,
        task.enterprise_id,
        task.payload,
        task.group_id,
    )
    if row is None:
        return False
    await c.execute(
        """insert into job (task_id, n, uuid, type, description)
           select $1, r.n, r.uuid, r.type, r.description
           from unnest($2::int[], $3::uuid[], $4::text[], $5::text[])
             as r(n, uuid, type, description)""",
        task.id,
        list(range(len(task.jobs))),
        [uuid for _, uuid, _ in task.jobs],
        [type_ for type_, _, _ in task.jobs],
        [description for _, _, description in task.jobs],
    )
    return True


async def open_task(c: Connection, vm_id: int) -> UUID | None:
    """The task that holds the VM now, if one does."""
    found: UUID | None = await c.fetchval(
        "select id from task where vm_id = $1 and state in ('queued', 'running', 'stuck')", vm_id
    )
    return found


async def claim(
    c: Connection, worker: str, lease_s: float, limit: int, *, lapsed: bool
) -> list[Claimed]:
    """Take up to `limit` tasks, oldest first, each under a new epoch.

    `lapsed` also takes tasks whose holder let the lease run out, but never while the database
    itself was away within the last lease: then no holder could renew, and all look dead.
    """
    rows = await c.fetch(
        f"""with queued as (
             select id, n from task where state = 'queued' and run_at <= clock_timestamp()
             order by n limit $3 for update skip locked),
           lapsed as (
             select id, n from task where state = 'running' and lease_until < clock_timestamp()
               and $4 and pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => $2)
             order by n limit $3 for update skip locked),
           chosen as (
             select id from (select * from queued union all select * from lapsed) as either
             order by n limit $3)
           update task set epoch = epoch + 1, worker = $1, started = true,
             lapses = lapses + case when state = 'running' then 1 else 0 end, state = 'running',
             lease_until = clock_timestamp() + make_interval(secs => $2),
             updated_at = clock_timestamp()
           where id in (select id from chosen)
           returning id, kind, vm_id, vm_name, user_id, enterprise_id, payload, epoch, attempts,
             started, n, lapses, resolved_as, waiting, {_CANCEL}""",
        worker,
        lease_s,
        limit,
        lapsed,
    )
    return [
        Claimed(
            row["id"],
            Operation(row["kind"]),
            row["vm_id"],
            row["vm_name"],
            row["user_id"],
            row["enterprise_id"],
            row["payload"],
            row["epoch"],
            row["attempts"],
            row["started"],
            row["lapses"],
            row["resolved_as"],
            row["waiting"],
            cancel_of(row),
        )
        for row in sorted(rows, key=lambda row: int(row["n"]))
    ]


async def renew(c: Connection, held: Sequence[tuple[UUID, int]], lease_s: float) -> set[UUID]:
    """Prolong leases, also lapsed ones, whose epoch is unchanged; returns those still ours."""
    rows = await c.fetch(
        """update task set lease_until = clock_timestamp() + make_interval(secs => $3)
           from unnest($1::uuid[], $2::int[]) as held(id, epoch)
           where task.id = held.id and task.epoch = held.epoch and task.state = 'running'
           returning task.id""",
        [task for task, _ in held],
        [epoch for _, epoch in held],
        lease_s,
    )
    return {row["id"] for row in rows}


async def fence(c: Connection, task: UUID, epoch: int) -> Cancel | None:
    """Lock the task's row and return its cancellation; raises LeaseLost unless it is still held
    under `epoch`.

    First in every transaction of a worker, so that no later holder slips in between.
    """
    held = await c.fetchrow(
        f"""select {_CANCEL} from task where id = $1 and epoch = $2 and state = 'running'
            for update""",
        task,
        epoch,
    )
    if held is None:
        raise LeaseLost(f"task {task} is no longer held under epoch {epoch}")
    return cancel_of(held)


async def cancelled(c: Connection, held: Sequence[tuple[UUID, int]]) -> dict[UUID, Cancel]:
    """Those of the held tasks that somebody asked to cancel."""
    rows = await c.fetch(
        f"""select task.id, {_CANCEL} from task
            join unnest($1::uuid[], $2::int[]) as held(id, epoch)
              on task.id = held.id and task.epoch = held.epoch
            where task.cancel_at is not null and task.state = 'running'""",
        [task for task, _ in held],
        [epoch for _, epoch in held],
    )
    return {row["id"]: Cancel(row["cancel_by"], row["cancel_age_s"]) for row in rows}


async def resolved(c: Connection, task: UUID) -> None:
    """Record that what a person said of a fenced task was acted on."""
    await c.execute("update task set resolved_as = '' where id = $1", task)


async def count_failure(c: Connection, task: UUID) -> int:
    """Count a failure of our own in a fenced task, and return how many there were."""
    failures: int = await c.fetchval(
        "update task set failures = failures + 1 where id = $1 returning failures", task
    )
    return failures


async def postpone(c: Connection, task: UUID, wait_s: float, why: str, attempts: int) -> None:
    """Put a fenced task back in the queue, to be taken after `wait_s` seconds."""
    await c.execute(
        """update task set state = 'queued', worker = null, lease_until = null, error = $3,
             run_at = clock_timestamp() + make_interval(secs => $2), attempts = $4,
             updated_at = clock_timestamp()
           where id = $1""",
        task,
        wait_s,
        why,
        attempts,
    )


async def mark_stuck(c: Connection, task: UUID, why: str) -> None:
    """Leave a fenced task to an administrator: looking could not decide what happened."""
    await c.execute(
        """update task set state = 'stuck', worker = null, lease_until = null, error = $2,
             waiting = '', waiting_since = null, resolved_as = '', ends_by = null,
             updated_at = clock_timestamp()
           where id = $1""",
        task,
        why,
    )


async def finish(c: Connection, task: UUID, result: str, error: str = "") -> None:
    """Close a fenced task with its result."""
    await c.execute(
        """update task set state = 'done', result = $2, error = $3, worker = null,
             lease_until = null, waiting = '', waiting_since = null, ends_by = null,
             updated_at = clock_timestamp()
           where id = $1""",
        task,
        result,
        error,
    )


async def set_job(c: Connection, task: UUID, n: int, state: str) -> None:
    """Record the state of one job of a fenced task that goes forward."""
    await c.execute(
        """update job set state = $3, rollback_state = 'UNKNOWN', updated_at = clock_timestamp(),
             progress = case when $3 = 'DONE' then 100 else progress end
           where task_id = $1 and n = $2""",
        task,
        n,
        state,
    )


async def set_rollback(c: Connection, task: UUID, n: int, state: str) -> None:
    """Record how far one job of a fenced task is taken back: STARTED, DONE or FAILED."""
    await c.execute(
        """update job set rollback_state = $3, updated_at = clock_timestamp()
           where task_id = $1 and n = $2""",
        task,
        n,
        state,
    )


async def fail_rollbacks(c: Connection, task: UUID) -> None:
    """Record that what was being taken back was not."""
    await c.execute(
        """update job set rollback_state = 'FAILED', updated_at = clock_timestamp()
           where task_id = $1 and rollback_state = 'STARTED'""",
        task,
    )


async def set_progress(c: Connection, task: UUID, n: int, percent: int) -> None:
    """Record how far a running job is; progress alone is not worth a fence."""
    await c.execute(
        "update job set progress = $3 where task_id = $1 and n = $2 and state = 'STARTED'",
        task,
        n,
        percent,
    )


async def notify_work(c: Connection) -> None:
    """Wake the workers of every process once the caller's transaction commits."""
    await c.execute(f"notify {WORK_CHANNEL}")
