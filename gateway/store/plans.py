"""Plans as they are kept: a proposal with its moves, and how far they have come.

Whoever changes a plan holds its row first; a move begins in the transaction that submits its
task, so that no move is ever begun twice or forgotten.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from gateway.store.db.pool import Connection
from scheduler.plan.moves import Plan, PlannedMove, to_mapping

_COLUMNS = """id, kind, state, datacenter_id, host_id, reason, told, rule_set, characters, user_id,
  nick, enterprise_id, created_at, updated_at"""
_MOVES = """
select m.plan_id, m.n, m.vm_id, m.vm_name, m.vm_uuid, m.source_id, m.target_id, m.leaves_id,
  m.datastore_id, m.reason, m.gain, m.ram_mib, m.disk_bytes, m.after, m.state, m.task_id, m.told,
  t.state, t.result, t.error, s.name, x.name, v.virtualdatacenter_id, v.virtualappliance_id
from plan_move m
left join task t on t.id = m.task_id
left join host s on s.id = m.source_id
left join host x on x.id = m.target_id
left join vm v on v.id = m.vm_id
where m.plan_id = $1 order by m.n
"""


@dataclass(frozen=True, slots=True)
class NewPlan:
    """A proposal; `told` is what is kept of it for people and programs."""

    id: UUID
    kind: str
    datacenter: int
    host: int | None
    plan: Plan
    told: Mapping[str, Any]
    rules: int
    characters: Mapping[str, int]
    vms: Mapping[str, int]
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Who:
    """In whose name a plan runs."""

    user_id: int
    enterprise_id: int
    nick: str


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A plan's own row."""

    id: UUID
    kind: str
    state: str
    datacenter_id: int
    host_id: int | None
    reason: str
    told: dict[str, Any]
    rule_set: int
    characters: dict[str, int]
    user_id: int
    nick: str
    enterprise_id: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class StoredMove:
    """A move with the task that makes it, and the names around it."""

    plan_id: UUID
    n: int
    vm_id: int
    vm_name: str
    vm_uuid: UUID
    source_id: int
    target_id: int
    leaves_id: int
    datastore_id: int
    reason: str
    gain: int
    ram_mib: int
    disk_bytes: int
    after: list[int]
    state: str
    task_id: UUID | None
    told: str
    task_state: str | None
    task_result: str | None
    task_error: str | None
    source: str | None
    target: str | None
    virtualdatacenter_id: int | None
    virtualappliance_id: int | None


async def create(c: Connection, new: NewPlan, who: Who) -> None:
    """Keep a proposal."""
    await c.execute(
        """insert into plan (id, kind, datacenter_id, host_id, told, rule_set, characters, user_id,
             nick, enterprise_id) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)""",
        new.id,
        new.kind,
        new.datacenter,
        new.host,
        {**new.told, "plan": to_mapping(new.plan)},
        new.rules,
        dict(new.characters),
        who.user_id,
        who.nick,
        who.enterprise_id,
    )
    await c.executemany(
        """insert into plan_move (plan_id, n, vm_id, vm_name, vm_uuid, source_id, target_id,
             leaves_id, datastore_id, reason, gain, ram_mib, disk_bytes, after)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)""",
        [_row(new, n, move) for n, move in enumerate(new.plan.moves)],
    )


def _row(new: NewPlan, n: int, move: PlannedMove) -> tuple[object, ...]:
    vm = str(move.vm)
    return (
        new.id,
        n,
        new.vms[vm],
        new.names[vm],
        move.vm,
        move.source,
        move.target,
        move.leaves,
        move.datastore,
        move.reason.value,
        move.gain,
        move.cost.ram_mib,
        move.cost.disk_bytes,
        list(move.after),
    )


async def get(c: Connection, plan: UUID, *, lock: bool = False) -> StoredPlan | None:
    """One plan, its row locked if so wanted."""
    row = await c.fetchrow(
        f"select {_COLUMNS} from plan where id = $1{' for update' if lock else ''}", plan
    )
    return None if row is None else StoredPlan(*row)


async def newest(c: Connection, most: int) -> list[StoredPlan]:
    """The newest plans."""
    rows = await c.fetch(f"select {_COLUMNS} from plan order by created_at desc, id limit $1", most)
    return [StoredPlan(*row) for row in rows]


async def moves(c: Connection, plan: UUID) -> list[StoredMove]:
    """The moves of a plan in order."""
    return [StoredMove(*row) for row in await c.fetch(_MOVES, plan)]


async def due(c: Connection, after: UUID | None) -> StoredPlan | None:
    """The next plan with something to do that no other runner has at hand, its row locked."""
    row = await c.fetchrow(
        f"""select {_COLUMNS} from plan
            where ($1::uuid is null or id > $1) and (state = 'RUNNING' or exists (
              select from plan_move m where m.plan_id = plan.id and m.state = 'RUNNING'))
            order by id limit 1 for update skip locked""",
        after,
    )
    return None if row is None else StoredPlan(*row)


async def set_state(c: Connection, plan: UUID, state: str, reason: str = "") -> None:
    """Write how a locked plan stands."""
    await c.execute(
        """update plan set state = $2, reason = $3, updated_at = clock_timestamp()
           where id = $1""",
        plan,
        state,
        reason,
    )


async def run_by(c: Connection, plan: UUID, characters: Mapping[str, int], who: Who) -> bool:
    """Let a locked plan run in that name; False while another of its datacenter runs."""
    other = await c.fetchval(
        """select true from plan o join plan p on p.datacenter_id = o.datacenter_id
           where p.id = $1 and o.id <> $1 and o.state = 'RUNNING'""",
        plan,
    )
    if other:
        return False
    await c.execute(
        """update plan set state = 'RUNNING', characters = $2, user_id = $3, nick = $4,
             enterprise_id = $5, updated_at = clock_timestamp() where id = $1""",
        plan,
        dict(characters),
        who.user_id,
        who.nick,
        who.enterprise_id,
    )
    return True


async def set_moves(
    c: Connection, plan: UUID, ns: Sequence[int], state: str, told: str = ""
) -> None:
    """Write how moves of a locked plan stand."""
    await c.execute(
        "update plan_move set state = $3, told = $4 where plan_id = $1 and n = any($2)",
        plan,
        list(ns),
        state,
        told,
    )


async def begin_move(c: Connection, plan: UUID, n: int, task: UUID) -> None:
    """The move of a locked plan is made by this task, submitted in the same transaction."""
    await c.execute(
        "update plan_move set state = 'RUNNING', task_id = $3 where plan_id = $1 and n = $2",
        plan,
        n,
        task,
    )


async def characters(c: Connection, hosts: Sequence[int]) -> dict[str, int]:
    """The present characters of hosts, by id as JSON has it."""
    rows = await c.fetch(
        "select id, character from ledger where kind = 'host' and id = any($1)", list(hosts)
    )
    return {str(row["id"]): row["character"] for row in rows}


async def close(c: Connection, hosts: Sequence[int]) -> list[int]:
    """Let hosts take no more VMs; those that did until now."""
    rows = await c.fetch(
        """update host set state = 'NOT_MANAGED' where id = any($1) and state = 'MANAGED'
           returning id""",
        list(hosts),
    )
    return [row["id"] for row in rows]
