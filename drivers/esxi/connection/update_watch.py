"""One thread for each vCenter hears what changes there, in a session of its own.

Whatever ends the session ends what was subscribed in it too. So every new session subscribes
anew and compares the full listing it gets first with what was known before.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from typing import Any

from pyVmomi import vim, vmodl

from drivers.changes import Change, StateChange
from drivers.esxi import places
from drivers.esxi.connection import fast_property_collector
from drivers.esxi.connection.paging import Collector, all_in, along, filter_of, one
from drivers.esxi.connection.session import Service, Session
from drivers.esxi.options import EsxiOptions
from drivers.esxi.queries import RUNNING
from drivers.esxi.vms.state_changes import Named, VcenterState
from drivers.faults import Fault

NETWORK_S = 15
AGAIN_S = 1.0
AGAIN_MAX_S = 30.0
_WANTED = {
    vim.VirtualMachine: ("config.instanceUuid", "runtime.powerState", "runtime.host"),
    vim.HostSystem: ("name", "runtime.connectionState", "runtime.inMaintenanceMode"),
    vim.Task: ("info.state",),
}
_TROUBLE = (vmodl.MethodFault, OSError, HTTPException, ValueError, Fault)


class Watch:
    """Calls `changed` and `ended`, the latter with a task's id, in its own thread."""

    def __init__(
        self,
        name: str,
        options: EsxiOptions,
        named: Named,
        changed: Callable[[StateChange], None],
        ended: Callable[[str], None],
    ) -> None:
        self._name = name
        self._options = options
        # A call may wait for news as long as the vCenter does, and the network a little more.
        self._session = Session(name, options, options.watch_s + NETWORK_S)
        self._changed = changed
        self._ended = ended
        self._world = VcenterState(name, named)
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._collector: Any = None
        self._blind = False
        self._again_s = AGAIN_S
        self.hears = threading.Event()

    def start(self) -> None:
        """Begin to listen, if that was not done yet."""
        if self._thread is None and not self._closing.is_set():
            self._thread = threading.Thread(
                target=self._run, name=f"watch-{self._name}", daemon=True
            )
            self._thread.start()

    async def heard_first(self, for_s: float) -> None:
        """Wait, for so long at most, until everything that is there is known."""
        ends_s = time.monotonic() + for_s
        while not self.hears.is_set() and time.monotonic() < ends_s:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    def close(self) -> None:
        """End the wait for news, and log out; blocks while the vCenter is frozen."""
        self._closing.set()
        collector = self._collector
        if collector is not None:
            with suppress(*_TROUBLE):
                collector.CancelWaitForUpdates()
        self._session.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._session.call(self._follow)
            except _TROUBLE:
                self._lose()
                self._closing.wait(self._again_s)
                self._again_s = min(2 * self._again_s, AGAIN_MAX_S)

    def _lose(self) -> None:
        if self.hears.is_set() and not self._closing.is_set():
            self._blind = True
            self._changed(self._world.about_us(Change.LOST))
        self.hears.clear()

    def _follow(self, service: Service) -> None:
        """Subscribe and listen for as long as the session lasts."""
        collector = service.content.propertyCollector.CreatePropertyCollector()
        self._collector = collector
        for kind in (vim.VirtualMachine, vim.HostSystem):
            everything = all_in(places.view(service, self._options, [kind]))
            collector.CreateFilter(filter_of([everything], {kind: _WANTED[kind]}), False)
        tasks = one(service.content.taskManager, along(vim.TaskManager, "recentTask"))
        collector.CreateFilter(filter_of([tasks], {vim.Task: _WANTED[vim.Task]}), False)
        self._world.forget()
        quick = fast_property_collector.collector(service, collector)
        version, whole = "", False
        while not self._closing.is_set():
            options = Collector.WaitOptions(
                maxWaitSeconds=self._options.watch_s, maxObjectUpdates=self._options.page
            )
            news = quick.WaitForUpdatesEx(version, options)
            if news is None:
                continue
            version = news.version
            self._hear(news)
            if news.truncated:
                continue  # the rest of one listing
            self._tell(first=not whole)
            whole = True

    def _hear(self, news: Any) -> None:
        for each in (change for filter_ in news.filterSet for change in filter_.objectSet):
            id_ = each.obj._moId
            values = {change.name: change.val for change in each.changeSet}
            if isinstance(each.obj, vim.Task):
                if values.get("info.state", RUNNING[0]) not in RUNNING:
                    self._ended(id_)
            elif each.kind == "leave":
                self._world.left(id_)
            else:
                self._world.hear(id_, values)

    def _tell(self, *, first: bool) -> None:
        """The very first listing is no news; that of a later session is compared."""
        new = first and not self.hears.is_set() and not self._blind
        for change in self._world.changes(silent=new):
            self._changed(change)
        if self._blind:
            self._blind = False
            self._changed(self._world.about_us(Change.REGAINED))
        self._again_s = AGAIN_S
        self.hears.set()
