"""The driver of KVM hosts: the verbs of the contract, each through its host's lanes."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from functools import partial
from uuid import UUID

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
    Relocate,
    Remove,
    Reset,
    Ticket,
)
from drivers.diagnostics import hosts_seen
from drivers.facts import Diagnostic, Facts, PowerState, Sighting
from drivers.faults import Fault, Indeterminate, Missing, Rejected, Unreachable, begun
from drivers.kvm import migrate, operations, preflight, queries, settle, survey
from drivers.kvm.address import parse, transports_of
from drivers.kvm.cancellable_calls import CancellableCall, Stopping
from drivers.kvm.domain_xml import HostSetting
from drivers.kvm.host import KvmHost
from drivers.kvm.options import KvmOptions
from drivers.kvm.state_changes import listeners
from drivers.kvm.states import ASLEEP
from drivers.unable import NoRedeploy

_SHUTDOWN_LOOK_S = 0.1
_LOOK_AGAIN_S = 0.5


class KvmDriver(NoRedeploy):
    """All hosts of one `[hypervisor.NAME]` block; each host is an endpoint."""

    def __init__(self, name: str, options: KvmOptions) -> None:
        self._name = name
        self._options = options
        self._hosts: dict[str, KvmHost] = {}
        self._changes = StateChangeStream()
        self._stopping = Stopping()
        self.capabilities = Capabilities(
            type=HypervisorType.KVM,
            live_relocation=True,
            storage_relocation=True,
            pause=True,
            graceful_shutdown=True,
            reset=True,
            progress=True,
        )

    def attach(self, link: HostLink) -> None:
        """Know a host; connections are opened when they are needed. Raises AddressError."""
        options = self._options
        at = parse(link.address, transports_of(options.transports), local=options.local_addresses)
        self.detach(link.name)
        heard, lost = listeners(self._changes, link.name)
        self._hosts[link.name] = KvmHost(link, at, options, heard, lost)

    def detach(self, host: str) -> None:
        """Forget a host; its VMs stay as they are."""
        gone = self._hosts.pop(host, None)
        if gone is not None:
            gone.close()

    def endpoints(self) -> Mapping[str, tuple[str, ...]]:
        """Every host is surveyed on its own."""
        return {name: (name,) for name in self._hosts}

    async def survey(self, endpoint: str) -> Facts:
        """Everything on one host."""
        host = self._host(endpoint)
        return await host.look(lambda c: survey.survey(c, host.link, self._options))

    async def look(self, vm: UUID, host: str) -> Sighting | None:
        """One VM on one host."""
        return await self._host(host).look(lambda c: queries.look(c, vm, host))

    def changes(self) -> AsyncIterator[StateChange]:
        """What libvirt reports, as it comes."""
        return self._changes.stream()

    async def deploy(self, permit: Permit, order: Deploy) -> None:
        """Clone the disk and define the VM, off."""
        host = self._host(order.at.host)
        setting = (host.link.networks, self._options)
        await host.act(
            lambda c, check: operations.deploy(c, order, permit.task, setting, check), permit
        )

    async def power(self, permit: Permit, order: Power) -> None:
        """Change the power and wait until it has changed."""
        host = self._host(order.host)
        with self._stopping.running(permit) as call:
            permit = call.guarded(permit)
            await host.act(lambda c, check: operations.power(c, order, check), permit)
            with begun():
                match order.request:
                    case PowerRequest.SHUTDOWN:
                        await self._shut_down(host, permit, order, call)
                    case PowerRequest.ON | PowerRequest.RESUME:
                        await self._woken(order)

    async def reset(self, permit: Permit, order: Reset) -> None:
        """Press the button."""
        host = self._host(order.host)
        await host.act(lambda c, check: operations.reset(c, order, check), permit)

    async def reconfigure(self, permit: Permit, order: Reconfigure) -> None:
        """Resize a VM that is off."""
        host = self._host(order.host)
        await host.act(lambda c, check: operations.reconfigure(c, order, check), permit)

    async def relocate(self, permit: Permit, order: Relocate) -> None:
        """Move the VM unless something stands against that; after an error both hosts are looked
        at before anything is said."""
        source, target = self._host(order.source.host), self._host(order.target.host)
        with self._stopping.running(permit) as call:
            permit = call.guarded(permit)
            permit.check()
            if await source.look(lambda c: queries.find(c, order.spec.vm)) is None:
                gone = f"the VM does not exist on {order.source.host}"
                await self._not_moved(order, Missing(gone, host=order.source.host))
            told = await self.objections(order)
            if told:
                refused = Rejected("; ".join(told), host=order.source.host)
                await self._not_moved(order, refused)
            try:
                to = await self._target(permit, order)
                with begun():
                    async with call.aborting(lambda by: self._abort(order, by)):
                        kept = await source.act(
                            lambda c, check: migrate.move(c, order, to, self._options, check),
                            permit,
                            self._options.relocation_timeout_s,
                        )
                    vm = order.spec.vm
                    await target.act(
                        lambda c, check: operations.arrived(c, vm, kept, check), permit
                    )
            except (Rejected, Missing) as refused:
                await self._not_moved(order, refused)

    async def _target(self, permit: Permit, order: Relocate) -> migrate.Target:
        """Make the ground for the VM at the target, and say where that is."""
        source, target = self._host(order.source.host), self._host(order.target.host)
        own = await source.look(lambda c: migrate.own_path(c, order))
        path = await target.act(lambda c, check: migrate.ground(c, order, check), permit)
        return migrate.Target(target.address, HostSetting(path, target.link.networks), own)

    async def remove(self, permit: Permit, order: Remove) -> None:
        """Delete a VM that is off, and its disk."""
        host = self._host(order.at.host)
        await host.act(lambda c, check: operations.remove(c, order, check), permit)

    async def clear(self, permit: Permit, order: Clear) -> None:
        """Delete what a move left, once the VM is seen living on the other host."""
        lives = await self.look(order.vm, order.lives_on)
        if lives is None or lives.arriving:
            raise Rejected(f"the VM was not seen living on {order.lives_on}", host=order.at.host)
        if await self._host(order.lives_on).look(lambda c: queries.moving(c, order.vm)):
            raise Rejected("the VM is being moved", host=order.lives_on)
        host = self._host(order.at.host)
        await host.act(lambda c, check: operations.clear(c, order, check), permit)

    async def objections(self, order: Order) -> tuple[str, ...]:
        """What would be refused of a move, a resize or a removal."""
        match order:
            case Relocate():
                target = self._host(order.target.host)
                there = await target.look(lambda c: preflight.target(c, order, target.link))
                source = self._host(order.source.host)
                return await source.look(
                    lambda c: preflight.relocation(c, order, source.link, there)
                )
            case Reconfigure():
                at = self._host(order.host)
                return await at.look(lambda c: preflight.reconfiguration(c, order))
            case Remove():
                at = self._host(order.at.host)
                return await at.look(lambda c: preflight.removal(c, order))
            case _:
                return ()

    async def progress(self, ticket: Ticket) -> Progress:
        """How much of a move was sent."""
        order = ticket.order
        if not isinstance(order, Relocate):
            return Progress(None)
        try:
            source = self._host(order.source.host)
            return Progress(await source.look(lambda c: queries.percent(c, order.spec.vm)))
        except Fault:
            return Progress(None)

    async def settle(self, ticket: Ticket) -> Outcome:
        """Look at every host the ticket names, twice before anything is called unclear: a move
        may end between the look at its source and that at its target."""
        try:
            return await self._settled(ticket)
        except Indeterminate:
            if not isinstance(ticket.order, Relocate):
                raise
            await asyncio.sleep(_LOOK_AGAIN_S)
            return await self._settled(ticket)

    async def _settled(self, ticket: Ticket) -> Outcome:
        seen = [
            await self._host(host).look(partial(settle.see, ticket=ticket, host=host, at=at))
            for host, at in settle.places_of(ticket)
        ]
        return settle.settle(ticket, seen)

    async def cancel(self, permit: Permit, ticket: Ticket) -> None:
        """Ask for a move to end, or the wait for a guest to shut down; all other calls end soon by
        themselves.

        A move is ended from its first moment to its last: what has not begun at the source does
        not begin, and libvirt's job is aborted as soon as there is one.
        """
        self._stopping.ask(ticket.task, ticket.step, permit)
        if isinstance(ticket.order, Relocate):
            await self._abort(ticket.order, permit)

    async def _abort(self, order: Relocate, permit: Permit) -> bool:
        vm, source = order.spec.vm, self._host(order.source.host)
        return await source.interrupt(lambda c, check: migrate.abort(c, vm, check), permit)

    async def examine(self) -> tuple[Diagnostic, ...]:
        """Whether each host is seen."""
        return await hosts_seen(self)

    async def aclose(self) -> None:
        """Close all lanes and connections, without waiting for hosts that are frozen."""
        for name in tuple(self._hosts):
            self.detach(name)

    async def _shut_down(
        self, host: KvmHost, permit: Permit, order: Power, call: CancellableCall
    ) -> None:
        """Wait for the guest, then pull the plug if that was asked for."""
        began_s = time.monotonic()
        ends_s, again_s = began_s + order.grace_s, began_s + self._options.shutdown_retry_s
        while True:
            seen = await self.look(order.vm, order.host)
            if seen is not None and seen.state is PowerState.OFF:
                return
            if call.asked.is_set():
                raise Rejected("it was cancelled; the guest may still shut down", host=order.host)
            now_s = time.monotonic()
            if now_s >= ends_s:
                break
            if now_s >= again_s:
                again_s = now_s + self._options.shutdown_retry_s
                await host.act(lambda c, check: operations.power(c, order, check), permit)
            await asyncio.sleep(_SHUTDOWN_LOOK_S)
        if not order.force:
            raise Rejected(
                f"the guest did not shut down within {order.grace_s:g} s", host=order.host
            )
        off = Power(order.vm, order.host, PowerRequest.OFF)
        await host.act(lambda c, check: operations.power(c, off, check), permit)

    async def _woken(self, order: Power) -> None:
        """A guest that was asleep needs a moment; whether it is awake is for settling to say."""
        ends_s = time.monotonic() + self._options.look_timeout_s
        while time.monotonic() < ends_s:
            seen = await self.look(order.vm, order.host)
            if seen is None or seen.reason != ASLEEP:
                return
            await asyncio.sleep(_SHUTDOWN_LOOK_S)

    async def _not_moved(self, order: Relocate, refused: Fault) -> None:
        """An error does not tell where the VM is: only both hosts do."""
        vm = order.spec.vm
        try:
            here = await self.look(vm, order.source.host)
            there = await self.look(vm, order.target.host)
        except Fault as blind:
            raise Indeterminate(f"{refused.message}; {blind.message}") from refused
        stayed = here is not None and settle.stayed(order, here, there)
        if stayed or (here is None and there is None and isinstance(refused, Missing)):
            raise Rejected(refused.message, host=refused.host) from refused
        raise Indeterminate(refused.message, host=refused.host) from refused

    def _host(self, name: str) -> KvmHost:
        host = self._hosts.get(name)
        if host is None:
            raise Unreachable(f"{self._name} does not know a host called {name}", host=name)
        return host
