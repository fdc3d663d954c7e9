"""Tasks, jobs and accepted requests in Abiquo's words; times of tasks are in seconds."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Protocol

from gateway.api.http.links import Linker
from gateway.api.representations.consequences import consequences
from gateway.api.representations.decisions import decision_link
from gateway.caller import Caller
from gateway.config.privileges import Privilege
from gateway.lifecycle import Operation
from gateway.store.tasks.task_queries import Job, Task
from gateway.store.vms import Vm
from gateway.tasks import task_waits
from gateway.tasks.labels import UNTOLD
from gateway.tasks.submission import Accepted


class Placed(Protocol):
    """What says where a VM is below the API's root, or was."""

    @property
    def virtualdatacenter_id(self) -> int:
        """Its virtual datacenter."""

    @property
    def virtualappliance_id(self) -> int:
        """Its appliance."""

    @property
    def id(self) -> int:
        """Its number."""


def vm_path(vm: Placed) -> str:
    """The VM's own path below the API's root."""
    return (
        f"cloud/virtualdatacenters/{vm.virtualdatacenter_id}"
        f"/virtualappliances/{vm.virtualappliance_id}/virtualmachines/{vm.id}"
    )


def task_state(task: Task) -> str:
    """The state in a client's words; those that begin with FINISHED and the last two are final."""
    match task.state, task.result:
        case "done", "success":
            return "FINISHED_SUCCESSFULLY"
        case "done", "cancelled":
            return "CANCELLED"
        case "done", _:
            return "ACK_ERROR" if task.acknowledged else "FINISHED_UNSUCCESSFULLY"
        case "queued", _ if not task.started:
            return "PENDING"
        case _:
            return "STARTED"


def accepted(links: Linker, done: Iterable[tuple[Vm, Accepted]]) -> dict[str, Any]:
    """The body of every 202, with a `status` link for each task."""
    return {
        "message": "You can keep track of the progress in the link",
        "links": [
            links.link("status", f"{vm_path(vm)}/tasks/{one.task}", "task", title="status")
            for vm, one in done
        ],
    }


def task(links: Linker, vm: Placed, one: Task, caller: Caller) -> dict[str, Any]:
    """A task with its jobs; also what clients ask for as `taskextended`.

    `progress` (percent), `error`, `stuck`, `attempts`, `consequences`, and what a task waits for or
    who cancelled it are vmgate's own.
    """
    may_resolve = Privilege.ENTERPRISE_ADMINISTER_ALL in caller.privileges
    path = f"{vm_path(vm)}/tasks/{one.id}"
    finished = one.state == "done"
    offered = [
        links.link("self", path, "task", title=one.kind),
        links.link("parent", f"{vm_path(vm)}/tasks", "tasks"),
        links.link("result", vm_path(vm), "virtualmachine", title=one.vm_name),
        links.link(
            "user",
            f"admin/enterprises/{one.enterprise_id}/users/{one.user_id}",
            "user",
            title=one.user_nick,
        ),
        links.link("virtualmachine", vm_path(vm), "virtualmachine", title=one.vm_name),
    ]
    if one.decision_id is not None:
        offered.append(decision_link(links, one.decision_id))
    if finished and one.result == "failure" and not one.acknowledged:
        offered.append(links.link("acknowledge", f"{path}/action/ack", "task"))
    if not finished and not one.cancelled_by:
        offered.append(links.link("cancel", f"{path}/action/cancel", "text/plain"))
    if one.state == "stuck" and may_resolve:
        offered.append(links.link("resolve", f"{path}/action/resolve", "task"))
    return {
        "taskId": str(one.id),
        "userId": str(one.user_id),
        "ownerId": str(one.vm_id),
        "type": one.kind,
        "state": task_state(one),
        "creationTimestamp": int(one.created_at.timestamp()),
        "timestamp": int(one.updated_at.timestamp()),
        "jobs": {"links": [], "collection": [_job(each) for each in one.jobs]},
        "progress": _progress(one),
        "error": one.error if caller.sees_hosts else _told(one),
        "stuck": one.state == "stuck",
        "attempts": one.attempts,
        "waitingFor": _waiting_for(one, caller),
        "waitingSince": _seconds(one.waiting_since),
        "cancelledBy": one.cancelled_by or None,
        "endsBy": _seconds(one.ends_by),
        "leftOpen": one.left_open,
        **consequences(Operation(one.kind), release=one.release),
        "links": offered,
    }


def _waiting_for(one: Task, caller: Caller) -> str | None:
    """What it waits for now; a hypervisor's words may name any place."""
    if not one.waiting:
        return None
    return one.waiting if caller.sees_hosts else task_waits.TOLD


def _seconds(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp())


def _told(one: Task) -> str:
    """Why it is not done, without the places that drivers and refusals may name."""
    match one.state, one.result:
        case _ if not one.error:
            return ""
        case "done", "cancelled":
            return one.told or one.error
        case "done", _:
            return one.told or UNTOLD
        case "stuck", _:
            return "It needs an administrator"
        case _:
            return "It could not continue and is retried"


def _progress(one: Task) -> int | None:
    """How far the job that runs now is; 100 once all is done, None where nobody knows."""
    if one.state == "done":
        return 100 if one.result == "success" else None
    return next((job.progress for job in one.jobs if job.state == "STARTED"), None)


def _job(job: Job) -> dict[str, Any]:
    return {
        "id": f"{job.task_id}.{job.uuid}",
        "parentTaskId": str(job.task_id),
        "type": job.type,
        "description": job.description,
        "state": job.state,
        "rollbackState": job.rollback_state,
        "creationTimestamp": int(job.created_at.timestamp()),
        "timestamp": int(job.updated_at.timestamp()),
        "progress": job.progress,
        "links": [],
    }
