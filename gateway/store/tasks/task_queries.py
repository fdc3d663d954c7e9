"""Tasks and their jobs as clients read them; what moves them is written elsewhere."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from gateway.store.db.pool import Connection

_SELECT = """
select task.id, task.kind, task.vm_id, task.vm_name, task.user_id, task.enterprise_id,
  task.group_id, task.state, task.result, task.error, task.acknowledged, task.started,
  task.attempts, task.waiting, task.waiting_since, task.ends_by,
  case when task.cancel_at is null then '' else task.cancel_by end cancelled_by, task.left_open,
  coalesce((task.payload->>'release')::boolean, false) as release,
  coalesce((task.payload->>'delete')::boolean, false) as deletes,
  task.created_at, task.updated_at, coalesce(app_user.nick, '') as user_nick,
  (select id from decision where decision.task_id = task.id order by at desc limit 1)
    as decision_id,
  coalesce((select detail->>'told' from journal where journal.task_id = task.id
    and entry in ('FAILED', 'ABANDONED') order by n desc limit 1), '') as told
from task left join app_user on app_user.id = task.user_id
"""


@dataclass(frozen=True, slots=True)
class Job:
    """One step of a task; `progress` in percent where it is known."""

    task_id: UUID
    uuid: UUID
    type: str
    description: str
    state: str
    rollback_state: str
    progress: int | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Task:
    """A task with its jobs in the order they run.

    `told` is why it failed, for who may not know of hosts, empty where that was not written;
    `waiting` is what a task waits for, `ends_by` when one that somebody cancelled ends at the
    latest, `left_open` that what it left is taken up later; `release` that a power off gives
    compute back, `deletes` that the VM's record goes with an undeploy.
    """

    id: UUID
    kind: str
    vm_id: int
    vm_name: str
    user_id: int
    enterprise_id: int
    group_id: UUID | None
    state: str
    result: str | None
    error: str
    acknowledged: bool
    started: bool
    attempts: int
    waiting: str
    waiting_since: datetime | None
    ends_by: datetime | None
    cancelled_by: str
    left_open: bool
    release: bool
    deletes: bool
    created_at: datetime
    updated_at: datetime
    user_nick: str
    decision_id: UUID | None
    told: str
    jobs: tuple[Job, ...]


async def of_vm(c: Connection, vm_id: int) -> tuple[Task, ...]:
    """All tasks of a VM, newest first."""
    rows = await c.fetch(f"{_SELECT} where task.vm_id = $1 order by task.n desc", vm_id)
    return await _with_jobs(c, rows)


async def get(c: Connection, vm_id: int, task_id: UUID) -> Task | None:
    """One task of a VM, or None."""
    rows = await c.fetch(f"{_SELECT} where task.vm_id = $1 and task.id = $2", vm_id, task_id)
    found = await _with_jobs(c, rows)
    return found[0] if found else None


async def _with_jobs(c: Connection, rows: list[Any]) -> tuple[Task, ...]:
    jobs: dict[UUID, list[Job]] = {row["id"]: [] for row in rows}
    found = await c.fetch(
        """select task_id, uuid, type, description, state, rollback_state, progress, created_at,
             updated_at
           from job where task_id = any($1::uuid[]) order by task_id, n""",
        list(jobs),
    )
    for job in found:
        jobs[job["task_id"]].append(Job(**job))
    return tuple(Task(**row, jobs=tuple(jobs[row["id"]])) for row in rows)
