"""An order that passes all checks becomes a task row; once committed it is never lost."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid4

from gateway import lifecycle
from gateway.caller import PROTECTED_PRIVILEGE, Caller
from gateway.denial import ApiError, ErrorKind
from gateway.events.event import Event, Severity, emit
from gateway.lifecycle import Operation, VmState
from gateway.store import objections
from gateway.store.db.pool import Connection, Store
from gateway.store.tasks import cancels, tasks
from gateway.tasks.labels import PROTECTED, REQUESTED, TITLES, although, protection
from gateway.tasks.saga import SAGAS


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


def protected(name: str, cause: str) -> ApiError:
    """The refusal of a change of a VM that is protected from who asks."""
    return ApiError(
        ErrorKind.CONFLICT, "VM-120", f"The virtual machine {name} is protected: {cause}"
    )


async def submit(store: Store, order: Order, caller: Caller) -> Accepted:
    """Accept one order; raises ApiError when the VM is absent, locked, protected or in a state
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
        raise ApiError(ErrorKind.ABSENT, "VM-1", "The virtual machine does not exist")
    await _not_locked(c, order.vm_id)
    if vm["protected"] and PROTECTED_PRIVILEGE not in caller.privileges:
        raise protected(vm["name"], vm["protected_cause"])
    releasing = bool(order.payload.get("release"))
    lifecycle.require(order.operation, VmState(vm["state"]), releasing=releasing)
    await _not_doubted(c, order)
    await _no_objection(c, order, caller)
    if vm["protected"]:
        order = replace(order, payload={**order.payload, PROTECTED: vm["protected_cause"]})
    task = _new_task(order, caller, vm["name"], vm["enterprise_id"], group)
    if not await tasks.insert(c, task):
        await _not_locked(c, order.vm_id)
        raise ApiError(ErrorKind.CONFLICT, "VM-2", "The virtual machine is locked by another task")
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


async def _not_doubted(c: Connection, order: Order) -> None:
    """A cancelled move that could not look at both hosts left the VM booked on both: until it was
    taken up again, what changes its bookings waits."""
    moves = order.operation in (Operation.RELOCATE, Operation.RECONFIGURE)
    if moves and await cancels.doubted(c, order.vm_id):
        raise ApiError(
            ErrorKind.CONFLICT,
            "VM-2",
            "A cancelled relocation is cleared up once its hosts answer; until then the virtual "
            "machine can be undeployed, not moved or resized",
        )


_OBJECTIONS = {
    Operation.RELOCATE: ("VM-RELOCATE-10", "The virtual machine cannot be moved as it is"),
    Operation.UNDEPLOY: ("VM-121", "The virtual machine cannot be removed as it is"),
}


async def _no_objection(c: Connection, order: Order, caller: Caller) -> None:
    """ApiError where its host was seen to have something against the operation."""
    said = await objections.against(c, order.vm_id, order.operation)
    if said:
        code, sentence = _OBJECTIONS[order.operation]
        why = said if caller.sees_hosts else "administrators can see the cause"
        raise ApiError(ErrorKind.CONFLICT, code, f"{sentence}: {why}")


async def _not_locked(c: Connection, vm_id: int) -> None:
    running = await tasks.open_task(c, vm_id)
    if running is not None:
        raise ApiError(
            ErrorKind.CONFLICT,
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
        row = await task_row(c, task)
        if row["state"] != "done" or row["result"] != "failure":
            raise ApiError(
                ErrorKind.CONFLICT, "TASK-2", "Only a task that failed can be acknowledged"
            )
        if row["acknowledged"]:
            return
        await c.execute("update task set acknowledged = true where id = $1", task)
        await tell_of_task(c, row, "ACKNOWLEDGE_TASK", "Warning acknowledged", caller)


async def task_row(c: Connection, task: UUID) -> Any:
    """Lock and return a task's row; ApiError TASK-1 when there is none."""
    row = await c.fetchrow("select * from task where id = $1 for update", task)
    if row is None:
        raise ApiError(ErrorKind.ABSENT, "TASK-1", "The task does not exist")
    return row


async def tell_of_task(c: Connection, row: Any, action: str, message: str, caller: Caller) -> None:
    """Put an event about what a caller did with a task into the feed."""
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
