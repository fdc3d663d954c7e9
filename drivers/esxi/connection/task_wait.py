"""A task of the vCenter is waited for by what the watch hears; a slow look is the net below.

How it ended is always read from the task itself.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim, vmodl

from drivers.contract import Permit
from drivers.esxi.connection.paging import PropertyPage, one, read
from drivers.esxi.connection.session import Service
from drivers.esxi.connection.vcenter import Vcenter
from drivers.esxi.faults import refusal_of
from drivers.esxi.queries import RUNNING
from drivers.esxi.vms.operations import Check
from drivers.faults import Indeterminate, Missing, Rejected, begun

DEAF_LOOK_S = 0.1
SLOW_LOOK_S = 1.0


class Ends:
    """Ends of tasks, and news of VMs, as the watch hears them."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Event]] = {}

    def told(self, task: str) -> None:
        """A task has ended; from the watch's thread."""
        waiting = self._waiting.get(task)
        if waiting is not None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                waiting[0].call_soon_threadsafe(waiting[1].set)

    @contextmanager
    def of(self, task: str) -> Iterator[asyncio.Event]:
        """Set once the task is heard to have ended."""
        event = asyncio.Event()
        self._waiting[task] = (asyncio.get_running_loop(), event)
        try:
            yield event
        finally:
            self._waiting.pop(task, None)

    async def until(self, about: str, holds: Callable[[], Awaitable[bool]], for_s: float) -> bool:
        """Whether something comes to hold within that time; looked at when `about` is heard of."""
        ends_s = time.monotonic() + for_s
        with self.of(about) as heard:
            while not await holds():
                left_s = ends_s - time.monotonic()
                if left_s <= 0:
                    return False
                heard.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left_s, SLOW_LOOK_S)):
                        await heard.wait()
        return True


@dataclass(frozen=True, slots=True)
class Wait:
    """How long a task may take, where its VM is, and whose it is."""

    permit: Permit
    host: str
    timeout_s: float
    look_each_s: float


async def ended(vcenter: Vcenter, ends: Ends, task: Any, wait: Wait) -> None:
    """Return when the task has succeeded; raises Indeterminate while that is not known, or the
    fault with which it ended."""
    deadline_s = time.monotonic() + wait.timeout_s
    with ends.of(task._moId) as heard, begun():
        while True:
            seen = await _look(vcenter, task)
            if seen.get("info.state") not in RUNNING:
                break
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                await _give_up(vcenter, task, wait)
            with suppress(TimeoutError):
                async with asyncio.timeout(min(wait.look_each_s, max(left_s, 0.0))):
                    await heard.wait()
    error = seen.get("info.error")
    if error is not None or seen.get("info.state") != "success":
        raise refusal_of(error or vmodl.fault.RequestCanceled(), wait.host)


def cancel(service: Service, task: PropertyPage, check: Check) -> None:
    """Ask a task to stop, if it can."""
    if task.get("info.cancelable"):
        check()
        with suppress(vim.fault.InvalidState, vmodl.fault.NotSupported):
            service.ref(vim.Task, task.id).CancelTask()


async def _look(vcenter: Vcenter, task: Any) -> PropertyPage:
    paths = ("info.state", "info.error", "info.entity", "info.cancelable")

    def reading(service: Service) -> PropertyPage:
        ref = service.ref(vim.Task, task._moId)
        found = read(service, [one(ref)], {vim.Task: paths})
        if not found:
            raise Missing("the vCenter no longer knows the task")
        entity = found[0].get("info.entity")
        if found[0].get("info.state") in RUNNING and isinstance(entity, vim.VirtualMachine):
            _asked(service, service.ref(vim.VirtualMachine, entity._moId))
        return found[0]

    try:
        return await vcenter.look(reading)
    except Missing as gone:
        raise Indeterminate(gone.message) from gone


def _asked(service: Service, vm: Any) -> None:
    """A task may wait for ever for somebody to answer a question."""
    for found in read(service, [one(vm)], {vim.VirtualMachine: ("runtime.question",)}):
        question = found.get("runtime.question")
        if question is not None:
            raise Indeterminate(f"the vCenter asks about the VM: {question.text}")


async def _give_up(vcenter: Vcenter, task: Any, wait: Wait) -> None:
    """Ask the task to stop; what became of it is settled by looking."""

    def stopping(service: Service, check: Check) -> None:
        ref = service.ref(vim.Task, task._moId)
        for found in read(service, [one(ref)], {vim.Task: ("info.cancelable",)}):
            cancel(service, found, check)

    with suppress(Rejected, Missing):
        await vcenter.act(stopping, wait.permit, wait.host)
    raise Indeterminate(
        f"the vCenter did not end a task within {wait.timeout_s:g} s", host=wait.host
    )
