"""Calling a driver: each order has its verb, and a long call shows how far it is."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import assert_never

import msgspec

from drivers.contract import (
    KEPT_MAX,
    Clear,
    Deploy,
    Driver,
    LeaseLost,
    Order,
    Permit,
    Power,
    Reconfigure,
    Redeploy,
    Relocate,
    Remove,
    Reset,
    Ticket,
)
from drivers.faults import Fault, Indeterminate, Rejected
from gateway.store.db.pool import StoreConflict, StoreUnavailable
from gateway.store.tasks import tasks
from gateway.tasks.saga import NextAction
from gateway.tasks.task_journal import TaskRecord
from gateway.tasks.task_waits import show_running

_log = logging.getLogger(__name__)
PROGRESS_EACH_S = 0.5
WAITING_EACH_S = 1.0


@dataclass(slots=True)
class Keeping:
    """Keeps with the ticket of a begun call what its driver needs to find the call again."""

    record: TaskRecord
    move: NextAction
    ticket: Ticket

    async def keep(self, text: str) -> None:
        """Write the intent again, with `text`; raises LeaseLost, StoreUnavailable, and ValueError
        when it is too long."""
        if len(text.encode()) > KEPT_MAX:
            raise ValueError(f"at most {KEPT_MAX} bytes are kept with a call")
        kept = msgspec.structs.replace(self.ticket, kept=text)
        async with self.record.fenced() as page:
            await page.intend(self.move, kept)
        self.ticket = kept


async def begin(driver: Driver, permit: Permit, order: Order) -> None:
    """Make the call an order stands for; anything but a fault, a lost lease or a store that could
    not keep something is a driver's bug, of which nobody knows what it did."""
    try:
        await _verb(driver, permit, order)
    except (Fault, LeaseLost, StoreUnavailable, StoreConflict):
        raise
    except Exception as bug:
        _log.exception("a driver failed in an unknown way")
        raise Indeterminate(f"the driver failed in an unknown way: {type(bug).__name__}") from bug


async def _verb(driver: Driver, permit: Permit, order: Order) -> None:
    match order:
        case Deploy():
            await driver.deploy(permit, order)
        case Power():
            if order.then is not None:
                await _unobjected(driver, order.then)
            await driver.power(permit, order)
        case Reset():
            await driver.reset(permit, order)
        case Reconfigure():
            await driver.reconfigure(permit, order)
        case Redeploy():
            await driver.redeploy(permit, order)
        case Relocate():
            await driver.relocate(permit, order)
        case Remove():
            await driver.remove(permit, order)
        case Clear():
            await driver.clear(permit, order)
        case _:
            assert_never(order)


async def _unobjected(driver: Driver, removal: Remove) -> None:
    """Raise Rejected for what stands against a removal, before its VM is powered off for it."""
    told = await driver.objections(removal)
    if told:
        raise Rejected(f"it cannot be removed: {'; '.join(told)}", host=removal.at.host)


@asynccontextmanager
async def progress_shown(
    record: TaskRecord, driver: Driver, ticket: Ticket, job: int | None
) -> AsyncIterator[None]:
    """While inside, copy the progress of a relocation to its job, and to the task what any call
    waits for."""
    moving = isinstance(ticket.order, Relocate) and driver.capabilities.progress
    shown_job = job if moving else None
    showing = asyncio.create_task(_show(record, driver, ticket, shown_job))
    try:
        yield
    finally:
        showing.cancel()
        with suppress(asyncio.CancelledError):
            await showing
        if record.waits_for:
            with suppress(StoreUnavailable, StoreConflict):
                await show_running(record, "")


async def _show(record: TaskRecord, driver: Driver, ticket: Ticket, job: int | None) -> None:
    detail = ""
    while True:
        await asyncio.sleep(PROGRESS_EACH_S if job is not None else WAITING_EACH_S)
        # It is a courtesy: what cannot be read or written now is left out.
        try:
            progress = await driver.progress(ticket)
            if progress.percent is not None and job is not None:
                async with record.store.transaction() as c:
                    await tasks.set_progress(c, record.task.id, job, progress.percent)
            if progress.detail or detail:
                await show_running(record, progress.detail)
                detail = progress.detail
        except (Fault, StoreUnavailable, StoreConflict):
            continue
        except Exception:
            _log.exception("a driver failed to say how far a call is")
            return
