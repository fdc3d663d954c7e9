"""An order that passes all checks becomes a task row; once committed it is never lost."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid4

from gateway import lifecycle
from gateway.denial import Denied, Kind
from gateway.events.event import Event, Severity, emit
from gateway.lifecycle import Operation, VmState
from gateway.store import tasks
from gateway.store.pool import Connection, Store
from gateway.tasks.saga import SAGAS
from gateway.tasks.words import PROTECTED, REQUESTED, TITLES, although, protection

PROTECTED_PRIVILEGE = "VM_PROTECT_ACTION"
HOSTS_PRIVILEGE = "PHYS_DC_ENUMERATE"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as verified by the guard."""

    user_id: int
    enterprise_id: int
    nick: str
    privileges: frozenset[str] = frozenset()

    @property
    def sees_hosts(self) -> bool:
        """Whether the caller may know of hosts, datastores, and whose VMs are on them."""
        return HOSTS_PRIVILEGE in self.privileges


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of one VM; `payload` holds the operation's own parameters."""

    operation: Operation
    vm_id: int
    payload: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The task that will do it."""

    task: UUID
    vm_id: int
    vm_name: str


def protected(name: str, cause: str) -> Denied:
    """The refusal of a change of a VM that is protected from who asks."""
    return Denied(Kind.CONFLICT, "VM-120", f"The virtual machine {name} is protected: {cause}")


async def submit(store: Store, order: Order, caller: Caller) -> Accepted:
    """Accept one order; raises Denied when the VM is absent, locked, protected or in a state
    that does not allow it."""
    async with store.transaction() as c:
        return await _accept(c, order, caller, None)


async def submit_in(c: Connection, order: Order, caller: Caller) -> Accepted:
    """As `submit`, in the caller's transaction."""
    return await _accept(c, order, caller, None)


async def submit_group(store: Store, orders: Sequence[Order], caller: Caller) -> list[Accepted]:
    """Accept all orders in one transaction, or none."""
    group = uuid4()
    async with store.transaction() as c:
        return [await _accept(c, order, caller, group) for order in orders]


async def _accept(c: Connection, order: Order, caller: Caller, group: UUID | None) -> Accepted:
    vm = await c.fetchrow(
        """select name, state, protected, protected_cause, enterprise_id
           from vm where id = $1 for update""",
        order.vm_id,
    )
    if vm is None:
        raise Denied(Kind.ABSENT, "VM-1", "The virtual machine does not exist")
    await _not_locked(c, order.vm_id)
    if vm["protected"] and PROTECTED_PRIVILEGE not in caller.privileges:
        raise protected(vm["name"], vm["protected_cause"])
    releasing = bool(order.payload.get("release"))
    lifecycle.require(order.operation, VmState(vm["state"]), releasing=releasing)
    if vm["protected"]:
        order = replace(order, payload={**order.payload, PROTECTED: vm["protected_cause"]})
    task = _new_task(order, caller, vm["name"], vm["enterprise_id"], group)
    if not await tasks.insert(c, task):
        await _not_locked(c, order.vm_id)
        raise Denied(Kind.CONFLICT, "VM-2", "The virtual machine is locked by another task")
    await emit(
        c,
        Event(
            "VIRTUAL_MACHINE",
            REQUESTED[order.operation],
            order.vm_id,
            message=f"{TITLES[order.operation]} requested{although(order.payload)}",
            enterprise_id=vm["enterprise_id"],
            user_id=caller.user_id,
            user=caller.nick,
            entity_name=vm["name"],
            task_id=str(task.id),
            details=protection(order.payload),
        ),
    )
    await tasks.notify_work(c)
    return Accepted(task.id, order.vm_id, vm["name"])


async def _not_locked(c: Connection, vm_id: int) -> None:
    running = await tasks.open_task(c, vm_id)
    if running is not None:
        raise Denied(
            Kind.CONFLICT,
            "VM-2",
            "The virtual machine is locked by another task",
            task=str(running),
        )


def _new_task(
    order: Order, caller: Caller, vm_name: str, enterprise_id: int, group: UUID | None
) -> tasks.NewTask:
    title = TITLES[order.operation]
    return tasks.NewTask(
        id=uuid4(),
        operation=order.operation,
        vm_id=order.vm_id,
        vm_name=vm_name,
        user_id=caller.user_id,
        enterprise_id=enterprise_id,
        payload={**order.payload, "nick": caller.nick},
        group_id=group,
        jobs=[
            (
                job,
                uuid4(),
                f"{title} task's {job.lower().replace('_', ' ')} "
                f"on virtual machine with id {order.vm_id}",
            )
            for job in SAGAS[order.operation].jobs()
        ],
    )


async def acknowledge(store: Store, task: UUID, caller: Caller) -> None:
    """Clear the warning of a task that ended unsuccessfully; again changes nothing."""
    async with store.transaction() as c:
        row = await _task_row(c, task)
        if row["state"] != "done" or row["result"] != "failure":
            raise Denied(Kind.CONFLICT, "TASK-2", "Only a task that failed can be acknowledged")
        if row["acknowledged"]:
            return
        await c.execute("update task set acknowledged = true where id = $1", task)
        await _tell(c, row, "ACKNOWLEDGE_TASK", "Warning acknowledged", caller)


async def cancel(store: Store, task: UUID, caller: Caller) -> None:
    """Cancel a task no worker has begun; a running one is past cancelling (TASK-2)."""
    async with store.transaction() as c:
        row = await _task_row(c, task)
        if row["state"] != "queued" or row["started"]:
            raise Denied(Kind.CONFLICT, "TASK-2", "Only a task that has not begun can be cancelled")
        await tasks.finish(c, task, "cancelled", f"cancelled by {caller.nick}")
        await _tell(c, row, "CANCEL_TASK", "Task cancelled", caller)


async def resolve(store: Store, task: UUID, caller: Caller) -> None:
    """Have a stuck task looked at again: it goes on from what is then seen."""
    async with store.transaction() as c:
        row = await _task_row(c, task)
        if row["state"] != "stuck":
            raise Denied(Kind.CONFLICT, "TASK-2", "Only a stuck task can be resolved")
        await tasks.postpone(c, task, 0.0, row["error"], 0)
        await _tell(c, row, "RESOLVE_TASK", "A stuck task is looked at again", caller)
        await tasks.notify_work(c)


async def _task_row(c: Connection, task: UUID) -> Any:
    row = await c.fetchrow("select * from task where id = $1 for update", task)
    if row is None:
        raise Denied(Kind.ABSENT, "TASK-1", "The task does not exist")
    return row


async def _tell(c: Connection, row: Any, action: str, message: str, caller: Caller) -> None:
    await emit(
        c,
        Event(
            "VIRTUAL_MACHINE",
            action,
            row["vm_id"],
            message=message,
            severity=Severity.INFO,
            enterprise_id=row["enterprise_id"],
            user_id=caller.user_id,
            user=caller.nick,
            entity_name=row["vm_name"],
            task_id=str(row["id"]),
        ),
    )
