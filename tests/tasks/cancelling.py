"""Asks for a task to be cancelled at its n-th point: after each of its executor's commits, and
right before and right after each call of a driver's verb.

A commit that is under way holds the task's row, so a request that comes then waits for its end: a
point before a commit would be the one after it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from structlog.contextvars import get_contextvars

from drivers.contract import Order, Permit
from gateway.denial import ApiError
from gateway.store.db.pool import Store
from gateway.tasks.ending import ways_out
from tests.tasks.rig import CALLER

VERBS = ("deploy", "power", "reset", "redeploy", "reconfigure", "relocate", "remove", "clear")


@dataclass
class CancelPoint:
    """Counts the points of one task once `task` is known, and cancels it at the chosen one."""

    store: Store
    chosen: int
    task: UUID | None = None
    passed: int = field(default=0)
    refused: str = field(default="")
    at: str = field(default="")
    worker: Any = None
    then: Callable[[], None] = lambda: None

    async def pass_by(self, where: str) -> None:
        """One point."""
        if self.task is None or self.passed >= self.chosen:
            return
        self.passed += 1
        if self.passed == self.chosen:
            self.at = where
            try:
                await ways_out.cancel(self.store, self.task, CALLER)
            except ApiError as denied:
                self.refused = denied.code
            else:
                self.then()
                await self._heard()

    async def _heard(self) -> None:
        """Wait until the worker knows, if it still holds the task: it was notified."""
        held = self.worker._held.get(self.task)
        if held is not None:
            async with asyncio.timeout(5):
                await held.cancel.wait()

    @property
    def reached(self) -> bool:
        """Whether the task had so many points."""
        return self.passed == self.chosen


class CancellingStore:
    """The store of the engine, with a point after each commit of the executor that wrote."""

    def __init__(self, store: Store, point: CancelPoint) -> None:
        self._store = store
        self._point = point

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """As the store's."""
        wrote = False
        async with self._store.transaction() as c:
            yield c
            if "task" in get_contextvars():
                wrote = await c.fetchval("select pg_current_xact_id_if_assigned() is not null")
        if wrote:
            await self._point.pass_by("commit")


class CancellingDriver:
    """The driver of the tasks, with a point on each side of each verb."""

    def __init__(self, driver: Any, point: CancelPoint) -> None:
        self._driver = driver
        self._point = point

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self._driver, name)
        if name not in VERBS:
            return inner

        async def verb(permit: Permit, order: Order) -> None:
            await self._point.pass_by(f"before {name}")
            await inner(permit, order)
            await self._point.pass_by(f"after {name}")

        return verb
