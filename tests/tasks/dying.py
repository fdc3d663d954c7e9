"""A process that runs one operation and is killed with SIGKILL at its n-th chosen point.

The points are every commit of the engine that wrote something (right before and right after it)
and every driver call (right before and right after it), which has something kept with its ticket
as the drivers of slow clouds do. On a vCenter, where each takes seconds, they are the moment
after every commit, and the driver's calls. It runs in a process of its own.

What is committed by the clock whatever the operation does, heartbeats and rounds that saw nothing
new, is among them where it is `busy`: elsewhere they would be most of the points, and the more
the slower the computer is.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from multiprocessing import get_context, set_forkserver_preload
from pathlib import Path
from typing import Any

from drivers.capabilities import HypervisorType
from drivers.contract import Driver, Order, Permit
from drivers.registry import open_driver
from drivers.simulated.options import SimulatedOptions
from drivers.simulated.world import World
from gateway.lifecycle import Operation
from gateway.store.db.pool import Store, StoreSettings
from tests.tasks.cancelling import CancellingDriver, CancellingStore, CancelPoint
from tests.tasks.rig import (
    PATIENT,
    QUICK_ROUNDS,
    QUIET,
    ended,
    leases_run_out,
    running,
    seen_again,
)

# One process is imported into for all stories, and forked for each death: the last list given
# before the first death is the one that counts, so there is one, here.
set_forkserver_preload(["tests.tasks.dying", "drivers.azure", "drivers.esxi"])
_VERBS = ("deploy", "power", "reset", "reconfigure", "relocate", "remove", "clear")


@dataclass(frozen=True, slots=True)
class Doom:
    """What to do and when to die. `before` are operations run first, unharmed.

    `faults` are planned in the world before `operation`, as (host, verb, kind); the last of them
    leaves the VM as `ending` says. With `vcenter` or
    `azure`, the options of its driver, the hosts are those of a vCenter or of Azure and not of
    the world. `unkept`: it dies when Azure has accepted a call, before that is kept. `busy`: it
    keeps its leases and looks at its hosts all the time. `cancel`: the task is cancelled at its own
    point of that number, and the process dies at a point counted from then.
    """

    database_url: str
    world: str
    operation: Operation
    payload: dict[str, Any] = field(default_factory=dict)
    before: Sequence[Operation] = ()
    faults: Sequence[tuple[str, str, str]] = ()
    point: int = 0
    options: SimulatedOptions = field(default_factory=SimulatedOptions)
    vcenter: dict[str, Any] | None = None
    azure: dict[str, Any] | None = None
    unkept: bool = False
    busy: bool = False
    cancel: int = 0
    ending: str = ""

    def store_settings(self) -> StoreSettings:
        """Those of it and of who takes over; to open a session costs more than to wait for one."""
        home = Path(self.world).parent
        return StoreSettings(home=home, database_url=self.database_url, connections_max=4)

    def driver(self) -> Driver | None:
        """A driver of the vCenter or of Azure; None where the world is simulated."""
        if self.azure is not None:
            return open_driver("sim", "azure", HypervisorType.AZURE, self.azure)
        if self.vcenter is not None:
            return open_driver("sim", "esxi", HypervisorType.VMX_04, self.vcenter)
        return None

    def pace(self) -> Mapping[str, Any]:
        """How often it does what it does by the clock."""
        if self.busy:
            return {}
        return QUIET if self.vcenter is None and self.azure is None else PATIENT


class _Points:
    """Counts points once armed, and dies at the chosen one.

    Where a call is to fail, what comes before it is as without the fault: another story dies
    there, and the one that was not killed shows how a fault is met. So it is armed by that call.
    """

    def __init__(self, chosen: int, failing: Collection[str]) -> None:
        self._left = chosen
        self._failing = failing
        self._begun = False
        self.armed = False

    def begin(self) -> None:
        """The operation begins."""
        self._begun = True
        self.armed = not self._failing

    def start_and_pass(self) -> None:
        """The first point is now, also where a call that is to fail may never come."""
        self.armed = True
        self.pass_by()

    def called(self, verb: str) -> None:
        """It comes to a call."""
        self.armed = self.armed or (self._begun and verb in self._failing)

    def pass_by(self) -> None:
        if not self.armed:
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class _DoomedStore:
    """The store, with a point on each side of each commit, or after it only.

    A commit that wrote nothing leaves all as it was at the point before: it is none.
    """

    def __init__(self, store: Store, points: _Points, *, before: bool) -> None:
        self._store = store
        self._points = points
        self._before = before

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @asynccontextmanager
    async def transaction(self) -> Any:
        async with self._store.transaction() as c:
            yield c
            wrote = await c.fetchval("select pg_current_xact_id_if_assigned() is not null")
            if wrote and self._before:
                self._points.pass_by()
        if wrote:
            self._points.pass_by()


class _DoomedDriver:
    """The driver, with a point on each side of each verb; Azure's has things kept itself."""

    def __init__(self, driver: Any, points: _Points, doom: Doom) -> None:
        self._driver = driver
        self._points = points
        self._keeps = doom.azure is not None
        self._unkept = doom.unkept

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self._driver, name)
        if name not in _VERBS:
            return inner

        async def verb(permit: Permit, order: Order) -> None:
            self._points.called(name)
            self._points.pass_by()
            if self._unkept and self._points.armed:
                permit = replace(permit, keep=_die)
            await inner(permit, order)
            if not self._keeps:
                await permit.keep("how to find it again")
            self._points.pass_by()

        return verb


@asynccontextmanager
async def taking_over(doom: Doom, world: World) -> AsyncIterator[Store]:
    """Another engine on what was left, once the leases of the dead have run out; its store.

    It is as patient as `doom` says, and never `busy`.
    """
    # Who follows a VM leaves it to the next look at its host what else is used there.
    looking = {"rounds": QUICK_ROUNDS} if doom.ending else {}
    async with Store.open(doom.store_settings()) as store:
        await leases_run_out(store)
        async with running(
            store,
            world,
            options=doom.options,
            driver=doom.driver(),
            **{**replace(doom, busy=False).pace(), **looking},
        ):
            yield store


async def _die(_: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def run_to_death(doom: Doom) -> int:
    """Run `doom` in a child process; its exit code: -9 when it was killed, 0 when it was not."""
    child = get_context("forkserver").Process(target=_child, args=(doom,))
    child.start()
    child.join(120)
    assert child.exitcode is not None, "the doomed process hangs"
    return child.exitcode


def _child(doom: Doom) -> None:
    asyncio.run(_live(doom))


async def _live(doom: Doom) -> None:
    points = _Points(doom.point, {verb for _, verb, _ in doom.faults})
    world = World(doom.world)
    async with Store.open(doom.store_settings()) as store:
        cancel = CancelPoint(store, doom.cancel, then=lambda: points.start_and_pass())
        doomed: Any = _DoomedStore(store, points, before=doom.vcenter is None)
        doomed = CancellingStore(doomed, cancel)
        async with running(
            doomed,
            world,
            options=doom.options,
            wrap=lambda d: CancellingDriver(_DoomedDriver(d, points, doom), cancel),
            driver=doom.driver(),
            **doom.pace(),
        ) as rig:
            if not doom.busy:
                await seen_again(store)  # each observer has had its first round
            for operation in doom.before:
                done = await rig.run(1, operation)
                assert done["result"] == "success", done
            for host, verb, kind in doom.faults:
                world.plan(host, verb, kind)
            if doom.ending:
                (vm,) = world.rows("select distinct vm from vm")
                world.plan_ending(vm["vm"], doom.ending)
            if doom.cancel:
                cancel.worker = rig.worker
                accepted = await rig.submit(1, doom.operation, **doom.payload)
                cancel.task = accepted.task
                await ended(store, accepted.task)
            else:
                points.begin()
                await rig.run(1, doom.operation, **doom.payload)
            points.armed = False
