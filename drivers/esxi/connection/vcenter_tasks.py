"""Tasks of the vCenter as the driver runs them: begun under a permit, known by whose they are while
they run, and waited for."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from drivers.contract import Permit
from drivers.esxi.connection.session import Service
from drivers.esxi.connection.task_wait import DEAF_LOOK_S, Ends, Wait, ended
from drivers.esxi.connection.update_watch import Watch
from drivers.esxi.connection.vcenter import Vcenter
from drivers.esxi.options import EsxiOptions
from drivers.esxi.vms.operations import Check

Begin = Callable[[Service, Check], Any]


class TaskRunner:
    """Of one vCenter. `begun` are the ids of tasks that run for us, with the tasks of ours that
    they are for."""

    def __init__(self, vcenter: Vcenter, watch: Watch, ends: Ends, options: EsxiOptions) -> None:
        self._vcenter = vcenter
        self._watch = watch
        self._ends = ends
        self._options = options
        self.begun: dict[str, UUID] = {}

    async def run(
        self,
        permit: Permit,
        host: str,
        begin: Begin,
        timeout_s: float | None = None,
        *,
        keeps: bool = False,
    ) -> bool:
        """Begin a task and wait for its end; False when there was nothing to begin. `keeps`: its
        id is kept with the ticket, since nothing else would lead to it."""
        self._watch.start()
        task = await self._vcenter.act(begin, permit, host)
        if task is None:
            return False
        look_each_s = self._options.poll_s if self._watch.hears.is_set() else DEAF_LOOK_S
        self.begun[task._moId] = permit.task
        try:
            if keeps:
                await permit.keep(task._moId)
            wait = Wait(permit, host, timeout_s or self._options.task_timeout_s, look_each_s)
            await ended(self._vcenter, self._ends, task, wait)
        finally:
            self.begun.pop(task._moId, None)
        return True

    def of(self, task: UUID) -> list[str]:
        """The ids of what runs for a task of ours."""
        return [id_ for id_, owner in list(self.begun.items()) if owner == task]

    def of_others(self, task: UUID) -> set[str]:
        """The ids of what runs for other tasks of ours."""
        return {id_ for id_, owner in list(self.begun.items()) if owner != task}
