"""A VM's row, read with the names around it; what clients may edit is edited here.

State and place are written by tasks and observers only, never by this module.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from gateway.lifecycle import VmState
from gateway.store.db.paged import Key, Page, PageRequest, like, paged, part
from gateway.store.db.pool import Connection

_SELECT = """
select vm.id, vm.uuid, vm.name, vm.label, vm.description, vm.virtualappliance_id,
  vm.virtualdatacenter_id, vm.enterprise_id, vm.datacenter_id, vm.user_id, vm.template_id,
  vm.type, vm.cpu, vm.cores_per_socket, vm.ram_mib, vm.disk_bytes, vm.state, vm.known_state,
  vm.deallocated, vm.state_reason, vm.version, vm.host_id, vm.datastore_id, vm.protected,
  vm.protected_cause,
  vm.extra, vm.synchronized_at, vm.created_at,
  enterprise.name as enterprise_name, app_user.nick as user_nick,
  virtualdatacenter.name as virtualdatacenter_name,
  virtualappliance.name as virtualappliance_name, template.name as template_name,
  datacenter.name as datacenter_name, host.name as host_name, host.address as host_address,
  host.rack_id, host.hypervisor, layer.name as layer_name, tier.id as tier_id,
  tier.name as tier_name,
  task.id as open_task, task.kind as open_kind, task.created_at as open_since,
  (select max(job.progress) from job where job.task_id = task.id and job.state = 'STARTED')
    as open_progress,
  vm.decision_id
"""
_FROM = """
from vm
  join enterprise on enterprise.id = vm.enterprise_id
  join app_user on app_user.id = vm.user_id
  join virtualdatacenter on virtualdatacenter.id = vm.virtualdatacenter_id
  join virtualappliance on virtualappliance.id = vm.virtualappliance_id
  join template on template.id = vm.template_id
  join datacenter on datacenter.id = vm.datacenter_id
  left join host on host.id = vm.host_id
  left join layer on layer.id = vm.layer_id
  left join datastore on datastore.id = vm.datastore_id
  left join tier on tier.id
    = case when vm.datastore_id is null then vm.tier_id else datastore.tier_id end
  left join task on task.vm_id = vm.id and task.state in ('queued', 'running', 'stuck')
"""
_MATCHES = """
where ($1::bigint is null or vm.virtualappliance_id = $1)
  and ($2::bigint is null or vm.virtualdatacenter_id = $2)
  and ($3::bigint is null or vm.enterprise_id = $3)
  and ($4::bigint is null or vm.host_id = $4)
  and ($5::text is null or vm.label = $5)
  and ($6::text is null or vm.label ilike $6 or vm.name ilike $6)
  and ($7::bigint is null or vm.user_id = $7)
  and ($8::text is null or vm.name = $8)
"""

_AROUND = 100
"""VMs that are read with the names around them in one statement."""
_ID = Key("vm.id", "bigint")
SORTS: Mapping[str, Key] = {
    "name": Key("vm.name", "text"),
    "label": Key("vm.label", "text"),
    "id": _ID,
    "state": Key("vm.state", "text"),
    "cpu": Key("vm.cpu", "bigint"),
    "ram": Key("vm.ram_mib", "bigint"),
    "creationTimestamp": Key("vm.created_at", "timestamptz"),
}


@dataclass(frozen=True, slots=True)
class Vm:
    """A VM as recorded, with the names its links carry; memory in MiB, disk in bytes.

    `deallocated`: it is off and was seen to have given its compute back. `state_reason` is why the
    hypervisor has it in its state, empty when there is nothing to say.
    `open_task` is the task that holds it, with `open_kind` its operation. The tier is the one its
    disks are in, or while they are nowhere the one it asks for.
    """

    id: int
    uuid: UUID
    name: str
    label: str
    description: str
    virtualappliance_id: int
    virtualdatacenter_id: int
    enterprise_id: int
    datacenter_id: int
    user_id: int
    template_id: int
    type: str
    cpu: int
    cores_per_socket: int
    ram_mib: int
    disk_bytes: int
    state: VmState
    known_state: VmState
    deallocated: bool
    state_reason: str
    version: int
    host_id: int | None
    datastore_id: int | None
    protected: bool
    protected_cause: str
    extra: Mapping[str, Any]
    synchronized_at: datetime | None
    created_at: datetime
    enterprise_name: str
    user_nick: str
    virtualdatacenter_name: str
    virtualappliance_name: str
    template_name: str
    datacenter_name: str
    host_name: str | None
    host_address: str | None
    rack_id: int | None
    hypervisor: str | None
    layer_name: str | None
    tier_id: int | None
    tier_name: str | None
    open_task: UUID | None
    open_kind: str | None
    open_since: datetime | None
    open_progress: int | None
    decision_id: UUID | None

    @property
    def shown_state(self) -> VmState:
        """The state a client sees: LOCKED while a task holds the VM."""
        return VmState.LOCKED if self.open_task is not None else self.state


@dataclass(frozen=True, slots=True)
class VmScope:
    """Which VMs a listing covers; None leaves that side open. `label` and `name` are compared
    whole."""

    virtualappliance_id: int | None = None
    virtualdatacenter_id: int | None = None
    enterprise_id: int | None = None
    host_id: int | None = None
    label: str | None = None
    has: str | None = None
    user_id: int | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Edit:
    """What may change at once; memory in MiB."""

    label: str
    description: str
    cpu: int
    ram_mib: int
    variables: Mapping[str, str]


def _vm(row: Any) -> Vm:
    values = dict(row)
    values["state"] = VmState(values["state"])
    values["known_state"] = VmState(values["known_state"])
    return Vm(**values)


async def get(c: Connection, vm_id: int) -> Vm | None:
    """The VM with this id, or None."""
    row = await c.fetchrow(f"{_SELECT}{_FROM} where vm.id = $1", vm_id)
    return None if row is None else _vm(row)


async def lock(c: Connection, vm_id: int) -> Vm | None:
    """The VM, its row locked to the end of the transaction: no task begins meanwhile."""
    found = await c.fetchval("select true from vm where id = $1 for update", vm_id)
    return await get(c, vm_id) if found else None


async def page(c: Connection, scope: VmScope, sort: PageRequest) -> Page[Vm]:
    """One page of the VMs in `scope`; `sort.by` is one of SORTS, ties end at the id."""
    bounds = (
        scope.virtualappliance_id,
        scope.virtualdatacenter_id,
        scope.enterprise_id,
        scope.host_id,
        scope.label,
        like(scope.has),
        scope.user_id,
        scope.name,
    )
    total = await c.fetchval(f"select count(*) from vm {_MATCHES}", *bounds)
    of = part(sort, SORTS[sort.by], _ID, len(bounds))
    rows = await c.fetch(
        f"select vm.id, {of.columns} from vm {_MATCHES} {of.condition} {of.order}",
        *bounds,
        *of.values,
    )
    ids = paged(rows, total, sort, lambda row: int(row["id"]))
    # The names around a VM are read for this page only: joined to each VM of a large inventory
    # they cost more than the page. A few at a time: making 1,000 would hold the event loop.
    found: dict[int, Vm] = {}
    for first in range(0, len(ids.rows), _AROUND):
        some = ids.rows[first : first + _AROUND]
        around = await c.fetch(f"{_SELECT}{_FROM} where vm.id = any($1::bigint[])", some)
        found.update((row["id"], _vm(row)) for row in around)
    return Page(tuple(found[id] for id in ids.rows if id in found), ids.total, ids.next)


async def edit(c: Connection, vm_id: int, to: Edit) -> None:
    """Write what a client may change at once; the caller has locked the row."""
    await c.execute(
        """update vm set label = $2, description = $3, cpu = $4, ram_mib = $5,
             extra = jsonb_set(extra, '{variables}', $6)
           where id = $1""",
        vm_id,
        to.label,
        to.description,
        to.cpu,
        to.ram_mib,
        dict(to.variables),
    )


async def protect(c: Connection, vm_id: int, cause: str, nick: str) -> None:
    """Protect a locked VM, for `cause`, in the name of `nick`."""
    await c.execute(
        """update vm set protected = true, protected_cause = $2, extra = extra ||
             jsonb_build_object('protected_by', $3::text, 'protected_at', clock_timestamp())
           where id = $1""",
        vm_id,
        cause,
        nick,
    )


async def unprotect(c: Connection, vm_id: int) -> None:
    """End the protection of a locked VM."""
    await c.execute(
        """update vm set protected = false, protected_cause = '',
             extra = extra - 'protected_by' - 'protected_at'
           where id = $1""",
        vm_id,
    )


async def delete(c: Connection, vm_id: int) -> None:
    """Forget a locked VM that holds no booking; its interfaces free their addresses."""
    await c.execute("delete from vm where id = $1", vm_id)


async def forget(c: Connection, vm_id: int) -> None:
    """Delete a locked VM that nobody could see, and keep who it was: a copy may show up again."""
    await c.execute(
        """with gone as (delete from vm where id = $1 returning *)
           insert into deleted_vm (uuid, vm_id, name, label, enterprise_id)
           select uuid, id, name, label, enterprise_id from gone""",
        vm_id,
    )


async def of_appliance(c: Connection, virtualappliance_id: int) -> tuple[Vm, ...]:
    """The VMs of an appliance by label, then name: the order in which it is deployed."""
    rows = await c.fetch(
        f"""{_SELECT}{_FROM} where vm.virtualappliance_id = $1
        order by vm.label, vm.name""",
        virtualappliance_id,
    )
    return tuple(_vm(row) for row in rows)
