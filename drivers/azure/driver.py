"""The driver of an Azure subscription: places are its hosts, the subscription its one endpoint."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any
from uuid import UUID
from weakref import WeakValueDictionary

from drivers.azure import delete, diagnostics, removal_objections, settle, vm_operations
from drivers.azure.address import parse
from drivers.azure.connection.arm import Arm, ArmOperation
from drivers.azure.connection.long_running import Operations, OperationState, OperationStatus
from drivers.azure.connection.loop_thread import Loop
from drivers.azure.connection.requested_pauses import Pauses
from drivers.azure.connection.transport import Guard
from drivers.azure.create import Deployment
from drivers.azure.faults import RetryLater, Said, refusal_of
from drivers.azure.marker import name_of
from drivers.azure.options import AzureOptions
from drivers.azure.resize import Resizing
from drivers.azure.sizes import Sizes
from drivers.azure.state_changes import StateChangeFeed
from drivers.azure.survey import AzureSurveyor
from drivers.azure.vm_operations import CallContext
from drivers.capabilities import Capabilities, HypervisorType
from drivers.changes import StateChange, StateChangeStream
from drivers.contract import (
    Clear,
    Deploy,
    HostLink,
    Order,
    Outcome,
    Permit,
    Power,
    PowerRequest,
    Progress,
    Reconfigure,
    Redeploy,
    Relocate,
    Remove,
    Reset,
    Ticket,
)
from drivers.diagnostics import hosts_seen
from drivers.facts import Diagnostic, Facts, PowerState, Sighting
from drivers.faults import Busy, Indeterminate, Rejected, Unreachable, Unsupported, begun

Step = Callable[[CallContext, Guard], Coroutine[Any, Any, ArmOperation | None]]
"""Looks, and sends at most one change; None when nothing is left to do."""
Failed = Callable[[Said], None]


class AzureDriver:
    """All places of one subscription."""

    def __init__(self, name: str, options: AzureOptions, credential: Callable[[], Any]) -> None:
        self._name = name
        self._options = options
        self._links: dict[str, HostLink] = {}
        self._changes = StateChangeStream()
        self._news = StateChangeFeed(name, self._changes.put)
        self._loop = Loop(name)
        self._arm = Arm(name, options, credential)
        self._sizes = Sizes(self._arm, options)
        self._operations = Operations(self._arm, options)
        self._surveyor = AzureSurveyor(self._arm, self._sizes, options)
        self._surveying = asyncio.Lock()
        self._surveyed_s = float("-inf")
        self._turns: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()
        self._pauses = Pauses(name, options.backoff_s)
        self.capabilities = Capabilities(
            type=HypervisorType.AZURE,
            live_relocation=False,
            storage_relocation=False,
            pause=False,
            graceful_shutdown=True,
            reset=True,
            progress=False,
            relocation=False,
            deallocation=True,
            redeploy=True,
        )

    def attach(self, link: HostLink) -> None:
        """Know a place; Azure is spoken to when it is needed. Raises AddressError."""
        parse(link.address or link.name, self._options.subscription)
        self._links = {**self._links, link.name: link}

    def detach(self, host: str) -> None:
        """Forget a place; its VMs stay as they are."""
        self._links = {name: link for name, link in self._links.items() if name != host}

    def endpoints(self) -> Mapping[str, tuple[str, ...]]:
        """The subscription, with every place of the block."""
        return {self._name: tuple(self._links)} if self._links else {}

    async def survey(self, endpoint: str) -> Facts:
        """All places and VMs; waits while the last survey is not old enough and nothing that we
        know of has changed since."""
        if endpoint not in self.endpoints():
            raise Unreachable(f"{self._name} does not know an endpoint called {endpoint}")
        links = list(self._links.values())
        async with self._surveying:
            await asyncio.sleep(self._surveyed_s + self._options.survey_each_s - time.monotonic())
            self._surveyed_s = time.monotonic()
            with _looking(self._name):
                async with asyncio.timeout(self._options.survey_timeout_s):
                    facts = await self._loop.run(lambda: self._surveyor.survey(links))
            self._news.surveyed(facts)
        return facts

    async def look(self, vm: UUID, host: str) -> Sighting | None:
        """One VM at one place, asked for by itself."""
        scene = self._scene()
        scene.link(host)

        async def looking() -> Sighting | None:
            return await settle.sighting_at(scene, await vm_operations.see(scene, vm), host)

        with _looking(self._name):
            return await self._loop.run(looking)

    def changes(self) -> AsyncIterator[StateChange]:
        """What surveys show otherwise than before, and what we did."""
        return self._changes.stream()

    async def deploy(self, permit: Permit, order: Deploy) -> None:
        """Make the VM in a size that is to be had, and power it off."""
        self._scene().link(order.at.host)
        making = Deployment(order, permit.task)
        scene = self._scene()
        await self._do(permit, order.spec.vm, making.step, lambda said: making.failed(scene, said))

    async def power(self, permit: Permit, order: Power) -> None:
        """Change the power and wait until it has changed; a grace is Azure's own affair."""
        self._scene().link(order.host)
        if order.request in (PowerRequest.PAUSE, PowerRequest.RESUME):
            raise Unsupported(f"Azure cannot {order.request} a VM", host=order.host)
        await self._do(
            permit, order.vm, _once(lambda s, guard: vm_operations.power(s, order, guard))
        )
        on = order.request is PowerRequest.ON
        self._news.became(order.vm, order.host, PowerState.ON if on else PowerState.OFF)

    async def reset(self, permit: Permit, order: Reset) -> None:
        """Restart the VM, once."""
        self._scene().link(order.host)
        await self._do(
            permit, order.vm, _once(lambda s, guard: vm_operations.reset(s, order, guard))
        )

    async def redeploy(self, permit: Permit, order: Redeploy) -> None:
        """Have Azure start the VM on another of its machines, once."""
        self._scene().link(order.host)
        await self._do(
            permit, order.vm, _once(lambda s, guard: vm_operations.redeploy(s, order, guard))
        )

    async def reconfigure(self, permit: Permit, order: Reconfigure) -> None:
        """Resize a VM that is off; it is deallocated for that where nothing else will do."""
        scene = self._scene()
        scene.link(order.host)
        change = Resizing(order)
        await self._do(permit, order.spec.vm, change.step, lambda said: change.failed(scene, said))

    async def relocate(self, permit: Permit, order: Relocate) -> None:
        """No VM moves between places."""
        for host in (order.source.host, order.target.host):
            self._scene().link(host)
        raise Unsupported("Azure moves no VM to a place of our choice", host=order.source.host)

    async def remove(self, permit: Permit, order: Remove) -> None:
        """Delete a VM that is off, then its disk, then its interface."""
        self._scene().link(order.at.host)
        await self._do(permit, order.vm, lambda s, guard: delete.remove(s, order, guard))

    async def clear(self, permit: Permit, order: Clear) -> None:
        """Nothing moves, so nothing is left behind."""
        for host in (order.at.host, order.lives_on):
            self._scene().link(host)
        raise Unsupported("Azure moves no VM, so nothing is left behind", host=order.at.host)

    async def objections(self, order: Order) -> tuple[str, ...]:
        """Locks of others, and rights that we lack, where a removal would be refused for them."""
        scene = self._scene()
        with _looking(self._name):
            return await self._loop.run(lambda: removal_objections.objections(scene, order))

    async def progress(self, ticket: Ticket) -> Progress:
        """Azure does not say how far, but what for it has us wait."""
        return Progress(None, self._pauses.told(settle.vm_of(ticket)))

    async def settle(self, ticket: Ticket) -> Outcome:
        """Ask for the operation that was kept, then for the VM."""
        scene = self._scene()
        with _looking(self._name):
            return await self._loop.run(lambda: settle.settle(scene, self._operations, ticket))

    async def cancel(self, permit: Permit, ticket: Ticket) -> None:
        """Azure stops no operation: whoever waits for it can only wait no more."""
        raise Rejected("Azure does not stop what it has begun")

    async def examine(self) -> tuple[Diagnostic, ...]:
        """The way to the subscription, our rights, the sizes, and each place."""
        scene = self._scene()
        found = await self._loop.run(lambda: diagnostics.examined(scene))
        return (*found, *await hosts_seen(self))

    async def aclose(self) -> None:
        """Stop waiting for everything; what Azure has begun goes on."""
        await self._loop.close(self._arm.close)

    def _scene(self) -> CallContext:
        return CallContext(
            self._arm, self._sizes, self._options, self._links, self._surveyor.foreign
        )

    async def _do(self, permit: Permit, vm: UUID, step: Step, failed: Failed | None = None) -> None:
        """Take steps until nothing is left to do. One at a time of a VM, and each is kept with
        the ticket before its end is waited for."""
        permit.check()
        turn = self._turns.setdefault(vm, asyncio.Lock())
        until_s = time.monotonic() + self._options.throttled_timeout_s
        async with turn:
            operation = await self._begin(permit, vm, step, until_s)
            with begun():
                while operation is not None:
                    self._surveyor.touched(name_of(vm))
                    self._surveyed_s = float("-inf")
                    if operation.path:
                        await permit.keep(operation.path)
                    stand = await self._ended(operation)
                    self._judge(stand, failed)
                    await self._pauses.after(vm, stand, until_s)
                    operation = await self._begin(permit, vm, step, until_s)

    async def _ended(self, operation: ArmOperation) -> OperationStatus:
        return await self._loop.run(lambda: self._operations.ended(operation))

    async def _begin(
        self, permit: Permit, vm: UUID, step: Step, until_s: float
    ) -> ArmOperation | None:
        """One step; begun anew, with a new look, while Azure says to come back later."""
        vain = 0
        while True:
            guard, scene = Guard(permit), self._scene()
            try:
                return await self._loop.run(partial(_stepped, step, scene, guard))
            except RetryLater as later:
                await self._pauses.keep(vm, later, vain, until_s)
                vain += 1

    def _judge(self, stand: OperationStatus, failed: Failed | None) -> None:
        match stand.end:
            case OperationState.FAILED if failed is not None:
                failed(stand.said)
            case OperationState.FAILED:
                raise refusal_of(stand.said, self._name)
            case OperationState.RUNNING:
                raise Indeterminate(
                    f"Azure did not end an operation in {self._options.operation_timeout_s:g} s"
                )
            case OperationState.UNKNOWN:
                raise Indeterminate("Azure does not know the operation any more")


async def _stepped(step: Step, scene: CallContext, guard: Guard) -> ArmOperation | None:
    """The step, when it is its turn: whoever waits has not looked yet."""
    async with scene.arm.steps:
        return await step(scene, guard)


def _once(step: Step) -> Step:
    """The step, until it has sent something: what was sent and has ended is not sent again."""
    sent: list[ArmOperation] = []

    async def only(scene: CallContext, guard: Guard) -> ArmOperation | None:
        if sent:
            return None
        operation = await step(scene, guard)
        if operation is not None:
            sent.append(operation)
        return operation

    return only


@contextmanager
def _looking(name: str) -> Iterator[None]:
    """A look that is told to come back later, or takes too long, has shown nothing."""
    try:
        yield
    except RetryLater as later:
        raise Busy(later.message, host=name) from later
    except TimeoutError as late:
        raise Unreachable(f"{name} did not answer in time", host=name) from late
