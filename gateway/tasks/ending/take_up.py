"""What a cancelled task left open is taken up by a task of its own, once its hosts answer again.

The new task has the old one's journal, and is cancelled from its beginning: it looks, takes back
what can be, and goes on to the end where the old one was past the point of no return. So nothing
that may exist is lost sight of, and nothing is removed without a journal (I4, I10).
"""

import logging
from uuid import UUID, uuid4

from gateway.events.event import Event, emit
from gateway.lifecycle import Operation
from gateway.store.capacity import bookings
from gateway.store.db.pool import Connection, Store
from gateway.store.tasks import cancels, tasks
from gateway.tasks.labels import TITLES
from gateway.tasks.saga import SAGAS, JournalEvent

_log = logging.getLogger(__name__)


async def take_up(store: Store) -> int:
    """Take up every task left open whose hosts were all seen again; how many there were."""
    async with store.read() as c:
        found = await cancels.answered(c)
    taken = 0
    for task in found:
        async with store.transaction() as c:
            taken += await _take_up(c, task)
    return taken


async def _take_up(c: Connection, task: UUID) -> bool:
    vm_id = await c.fetchval("select vm_id from task where id = $1", task)
    # In the order of whoever submits: the VM first.
    known = await c.fetchval("select true from vm where id = $1 for update", vm_id)
    row = await cancels.close(c, task)
    if row is None or not known or await tasks.open_task(c, vm_id) is not None:
        return False
    operation = Operation(row["kind"])
    twice = len(await bookings.of_vm(c, vm_id)) > 1
    if await cancels.superseded(c, vm_id, row["n"]) and not (
        operation is Operation.RELOCATE and twice
    ):
        return False
    new = uuid4()
    title = TITLES[operation]
    payload = {
        **row["payload"],
        "taken_up": int(row["payload"].get("taken_up", 0)) + 1,
        "made_by": [str(task), *row["payload"].get("made_by", ())],
    }
    jobs = [
        (job, uuid4(), f"{title} task's {job.lower().replace('_', ' ')}, taken up again")
        for job in SAGAS[operation].jobs()
    ]
    made = tasks.NewTask(
        new, operation, vm_id, row["vm_name"], row["user_id"], row["enterprise_id"], payload, jobs
    )
    if not await tasks.insert(c, made):
        return False
    await cancels.copy_journal(c, task, new, JournalEvent.ABANDONED.value)
    await cancels.request(c, new, row["cancel_by"], 10.0)
    await c.execute("update task set started = true where id = $1", new)
    message = f"{title}: its hosts answer again, what the cancelled task {task} left is taken up"
    await emit(
        c,
        Event(
            "VIRTUAL_MACHINE",
            "TASK_TAKEN_UP",
            vm_id,
            message=message,
            enterprise_id=row["enterprise_id"],
            user_id=row["user_id"],
            user=str(row["payload"].get("nick", "")),
            entity_name=row["vm_name"],
            task_id=str(new),
        ),
    )
    await tasks.notify_work(c)
    return True
