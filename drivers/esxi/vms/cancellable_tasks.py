"""Which tasks of the vCenter an order's call is, to show how far it is and to have it cancelled."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from pyVmomi import vim

from drivers.contract import (
    Deploy,
    Order,
    Power,
    PowerRequest,
    Progress,
    Reconfigure,
    Relocate,
    Remove,
    Reset,
    Ticket,
)
from drivers.esxi import queries
from drivers.esxi.connection.paging import PropertyPage, one, read
from drivers.esxi.connection.session import Service
from drivers.esxi.connection.task_wait import cancel
from drivers.esxi.queries import TASK_PATHS
from drivers.esxi.settle import hosts_of, vm_of
from drivers.esxi.vms.operations import Check
from drivers.esxi.vms.states import QUESTION, STATE_PATHS, question_of
from drivers.faults import Rejected

_POWER = {
    PowerRequest.ON: ("poweron",),
    PowerRequest.RESUME: ("poweron",),
    PowerRequest.OFF: ("poweroff",),
    PowerRequest.SHUTDOWN: ("poweroff",),
    PowerRequest.PAUSE: ("suspend",),
}


def kinds_of(order: Order) -> Sequence[str]:
    """Parts of the descriptions of an order's tasks, in small letters. Changes of settings that
    only prepare a call are none: they end at once, and what they prepare is then not begun."""
    match order:
        case Power(request=request):
            return _POWER[request]
        case Relocate():
            return ("relocate", "migrate")
        case Deploy():
            return ("clone", "relocate")
        case Reconfigure():
            return ("reconfig",)
        case Reset():
            return ("reset",)
        case Remove():
            return ("destroy",)
        case _:
            return ()


def calls_of(service: Service, ticket: Ticket, begun: Sequence[str]) -> list[PropertyPage]:
    """The tasks that run for a ticket: those that this driver began, the one that is kept with it,
    and those of its kind on its VM."""
    ids = {*begun, *filter(None, (ticket.kept,))}
    own = [one(service.ref(vim.Task, id_)) for id_ in sorted(ids)]
    known = read(service, own, {vim.Task: TASK_PATHS}) if own else []
    running = [each for each in known if each.get("info.state") in queries.RUNNING]
    found = {each.id: each for each in (*running, *queries.tasks_on(service, vm_of(ticket)))}
    return [each for each in found.values() if _is_of(each, ticket.order)]


def _is_of(task: PropertyPage, order: Order) -> bool:
    kind = str(task.get("info.descriptionId", "")).lower()
    return "check" not in kind and any(part in kind for part in kinds_of(order))


def progress(service: Service, ticket: Ticket, begun: Sequence[str]) -> Progress:
    """How far the vCenter says that it is, and the question that it waits with."""
    calls = calls_of(service, ticket, begun)
    percents = [each.get("info.progress") for each in calls]
    percent = next((each for each in percents if each is not None), None)
    return Progress(percent, _question(service, vm_of(ticket)) if calls else "")


def _question(service: Service, vm: UUID) -> str:
    ref = queries.find(service, vm)
    if ref is None:
        return ""
    for found in read(service, [one(ref)], {vim.VirtualMachine: STATE_PATHS}):
        asked = question_of(found)
        if asked:
            return f"{QUESTION}: {asked}"
    return ""


def stop(service: Service, ticket: Ticket, begun: Sequence[str], check: Check) -> None:
    """Ask what runs for a ticket to stop; raises Rejected when it cannot. A VM that nothing runs
    on is left alone."""
    refused: list[Any] = []
    for task in calls_of(service, ticket, begun):
        if task.get("info.cancelable"):
            cancel(service, task, check)
        else:
            refused.append(task.get("info.descriptionId"))
    if refused:
        said = f"the vCenter cannot cancel {', '.join(refused)}, which ends by itself"
        raise Rejected(said, host=hosts_of(ticket.order)[0])
