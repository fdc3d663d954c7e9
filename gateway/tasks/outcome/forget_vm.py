"""A VM that lives nowhere is forgotten: its record goes, and the feed says so in one commit."""

from uuid import uuid4

from gateway.caller import Caller
from gateway.events.event import Event, emit
from gateway.lifecycle import Operation
from gateway.store import vms
from gateway.store.db.pool import Connection
from gateway.store.tasks import tasks
from gateway.tasks.labels import although, protection
from gateway.tasks.step_actions import StepContext
from gateway.tasks.submission import Accepted

DELETE = "delete"
"""In the payload of an undeploy: the VM's record is to go with it."""


async def forget(c: Connection, at: StepContext) -> None:
    """Delete the record of a VM that this task took off its hypervisor."""
    vm = await vms.get(c, at.vm.id)
    assert vm is not None
    await vms.delete(c, vm.id)
    payload = at.task.payload
    await emit(
        c,
        Event(
            "VIRTUAL_MACHINE",
            "DELETE",
            vm.id,
            message=f"{vm.name} was deleted{although(payload)}",
            enterprise_id=vm.enterprise_id,
            user_id=at.task.user_id,
            user=str(payload.get("nick", "")),
            entity_name=vm.name,
            task_id=str(at.task.id),
            # Once the VM is gone, this alone tells whose state may have changed.
            details={"virtualappliance_id": vm.virtualappliance_id, **protection(payload)},
        ),
    )


async def on_record(c: Connection, vm: vms.Vm, caller: Caller) -> Accepted:
    """A task that is done already, for a client that wants one for a VM that was only a record."""
    task = tasks.NewTask(
        id=uuid4(),
        operation=Operation.UNDEPLOY,
        vm_id=vm.id,
        vm_name=vm.name,
        user_id=caller.user_id,
        enterprise_id=vm.enterprise_id,
        payload={DELETE: True, "nick": caller.nick},
        jobs=(),
    )
    await tasks.insert(c, task)
    await tasks.finish(c, task.id, "success")
    return Accepted(task.id, vm.id, vm.name)
