"""Leftovers: what tasks could not delete on a host, kept on record until it is gone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from gateway.store.db.pool import Connection

_COLUMNS = """id, vm_uuid, vm_name, enterprise_id, task_id, hypervisor, host, datastore, volume,
  call, reason, found_at, cleared_at"""


@dataclass(frozen=True, slots=True)
class NewLeftover:
    """Something of a VM that may be left: where, the disk's name (empty for a definition alone),
    the call that would delete it, and why it could not be made."""

    vm_uuid: UUID
    vm_name: str
    enterprise_id: int
    task_id: UUID
    hypervisor: str
    host: str
    datastore: str
    volume: str
    call: Mapping[str, Any]
    reason: str


@dataclass(frozen=True, slots=True)
class Leftover:
    """One on record; `cleared_at` is None while it is there."""

    id: int
    vm_uuid: UUID
    vm_name: str
    enterprise_id: int | None
    task_id: UUID
    hypervisor: str
    host: str
    datastore: str
    volume: str
    call: Mapping[str, Any]
    reason: str
    found_at: datetime
    cleared_at: datetime | None


async def put(c: Connection, one: NewLeftover) -> None:
    """Put one on record; the same one again only brings the reason up to date."""
    await c.execute(
        """insert into leftover (vm_uuid, vm_name, enterprise_id, task_id, hypervisor, host,
             datastore, volume, call, reason) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
           on conflict (hypervisor, host, vm_uuid, datastore, volume) where cleared_at is null
             do update set reason = excluded.reason, task_id = excluded.task_id""",
        one.vm_uuid,
        one.vm_name,
        one.enterprise_id,
        one.task_id,
        one.hypervisor,
        one.host,
        one.datastore,
        one.volume,
        dict(one.call),
        one.reason,
    )


async def listed(c: Connection) -> list[Leftover]:
    """All that are there, the newest first."""
    rows = await c.fetch(
        f"select {_COLUMNS} from leftover where cleared_at is null order by id desc"
    )
    return [Leftover(*row.values()) for row in rows]


async def forget(c: Connection, id_: int) -> Leftover | None:
    """Take one off the list; None where it is not on it."""
    row = await c.fetchrow(
        f"""update leftover set cleared_at = clock_timestamp()
            where id = $1 and cleared_at is null returning {_COLUMNS}""",
        id_,
    )
    return None if row is None else Leftover(*row.values())
