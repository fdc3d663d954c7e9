"""A VM's tasks: followed, acknowledged, cancelled and, when stuck, resolved."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any
from uuid import UUID

from aiohttp import web

from gateway.api.access import conflict, find_deletion, find_task, find_vm
from gateway.api.representations.tasks import task
from gateway.api.request_bodies import CAUSE_MAX, checked_text, invalid
from gateway.api.request_context import RequestContext
from gateway.caller import Caller
from gateway.store.db.pool import Store
from gateway.store.tasks import task_queries
from gateway.tasks import submission
from gateway.tasks.ending import ways_out
from gateway.tasks.ending.resolution import NOT_DONE


async def list_of_vm(request: web.Request) -> web.Response:
    """GET all tasks of a VM, newest first."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        vm = await find_vm(c, turn.vm_path(), turn.caller)
        found = await task_queries.of_vm(c, vm.id)
    return turn.whole("tasks", [task(turn.links, vm, one, turn.caller) for one in found])


async def pending(request: web.Request) -> web.Response:
    """GET the tasks of an enterprise, or of a user of it, that wait for an approval.

    No task of ours ever does, so the list is empty.
    """
    turn = RequestContext(request)
    (enterprise,) = turn.ids("enterprise")
    turn.require_sight(enterprise)
    return turn.whole("tasks", [])


async def read(request: web.Request) -> web.Response:
    """GET one task, as `task` or, for who asks so, as `taskextended`; also the one that deleted
    its VM."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        gone = await find_deletion(c, turn.vm_path(), turn.task_id(), turn.caller)
        vm = gone or await find_vm(c, turn.vm_path(), turn.caller)
        found = await find_task(c, vm, turn.task_id())
    body = task(turn.links, vm, found, turn.caller)
    if gone is not None:
        body["links"] = [link for link in body["links"] if link["rel"] in ("self", "user")]
    return turn.ok(turn.preferred("task", "taskextended"), body)


async def acknowledge(request: web.Request) -> web.Response:
    """POST: clear the warning of a task that failed."""
    return await _act(RequestContext(request), submission.acknowledge)


async def cancel(request: web.Request) -> web.Response:
    """POST, with a reason as text if you like: cancel a task, whatever it does now."""
    turn = RequestContext(request)
    reason = await turn.text_or_json()
    if isinstance(reason, str):
        checked_text(reason, "reason", CAUSE_MAX, lines=True)
    return await _act(turn, ways_out.cancel)


async def resolve(request: web.Request) -> web.Response:
    """POST, by an administrator: have a stuck task looked at again, or with the body
    `{"outcome": "NOT_DONE"}` end it as not done if the look agrees (vmgate's own)."""
    turn = RequestContext(request)
    outcome = _outcome(await turn.optional_json())
    return await _act(turn, partial(ways_out.resolve, outcome=outcome))


def _outcome(body: Mapping[str, Any] | None) -> str:
    """The outcome that the body names, empty when it names none; Denied for any other."""
    given = dict(body or {})
    outcome = given.pop("outcome", "")
    if given:
        raise invalid(min(given), "is not a field of this request; only `outcome` is")
    if outcome not in ("", NOT_DONE):
        raise invalid("outcome", f"must be {NOT_DONE}, or left out")
    return str(outcome)


async def go_on(request: web.Request) -> web.Response:
    """POST `continue`: no task of ours ever waits for an approval."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        vm = await find_vm(c, turn.vm_path(), turn.caller)
        await find_task(c, vm, turn.task_id())
    raise conflict("TASK-2", "The task does not wait for an approval")


async def _act(
    turn: RequestContext, action: Callable[[Store, UUID, Caller], Awaitable[None]]
) -> web.Response:
    async with turn.store.read() as c:
        vm = await find_vm(c, turn.vm_path(), turn.caller)
        found = await find_task(c, vm, turn.task_id())
    await action(turn.store, found.id, turn.caller)
    turn.services.wake()
    return turn.nothing()
