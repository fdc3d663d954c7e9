"""The driver of ESXi hosts: every verb goes through their vCenter, its block's one endpoint."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

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
    Verdict,
)
from drivers.diagnostics import hosts_seen
from drivers.esxi import diagnostics, queries, settle
from drivers.esxi.connection.session import Service
from drivers.esxi.connection.task_wait import Ends
from drivers.esxi.connection.update_watch import Watch
from drivers.esxi.connection.vcenter import Vcenter, goodbye
from drivers.esxi.connection.vcenter_tasks import Begin, TaskRunner
from drivers.esxi.options import EsxiOptions
from drivers.esxi.places import HostDirectory
from drivers.esxi.preflight import foresee
from drivers.esxi.survey import VcenterSurveyor
from drivers.esxi.vms import cancellable_tasks, clone, migrate, operations
from drivers.esxi.vms.clone import Setting
from drivers.esxi.vms.guest_shutdown import GuestTools
from drivers.esxi.vms.leftover_files import Remains
from drivers.esxi.vms.migrate import Way
from drivers.esxi.vms.objections import objections
from drivers.facts import Diagnostic, Facts, Sighting
from drivers.faults import Indeterminate, Missing, Rejected, Unreachable, begun
from drivers.unable import NoRedeploy

_FINISHING_MAX = 4


class EsxiDriver(NoRedeploy):
    """All hosts of one vCenter."""

    capabilities = operations.CAPABILITIES

    def __init__(self, name: str, options: EsxiOptions) -> None:
        self._name = name
        self._options = options
        self._links: dict[str, HostLink] = {}
        self._known: dict[str, HostLink] = {}
        self._changes = StateChangeStream()
        self._ends = Ends()
        self._vcenter = Vcenter(name, options)
        self._places = HostDirectory(options)
        self._surveyor = VcenterSurveyor(name, options, self._places)
        self._surveying = asyncio.Lock()
        self._watch = Watch(
            name,
            options,
            lambda host: self._known[host].name if host in self._known else None,
            self._hear,
            self._ends.told,
        )
        self._tasks = TaskRunner(self._vcenter, self._watch, self._ends, options)
        self._begun = self._tasks.begun
        self._remains = Remains(self._vcenter, self._tasks, self._ends, options)

    def attach(self, link: HostLink) -> None:
        """Know a host; the vCenter is spoken to when it is needed. Raises AddressError."""
        self._options.require_allowed(link.address or link.name)
        self._links[link.name] = link
        self._known = queries.by_address(self._links.values())

    def detach(self, host: str) -> None:
        """Forget a host; its VMs stay as they are."""
        self._links.pop(host, None)
        self._known = queries.by_address(self._links.values())

    def endpoints(self) -> Mapping[str, tuple[str, ...]]:
        """The vCenter, with every host of the block."""
        return {self._name: tuple(self._links)} if self._links else {}

    async def survey(self, endpoint: str) -> Facts:
        """Everything on the hosts that the vCenter has in sight."""
        if endpoint not in self.endpoints():
            raise Unreachable(f"{self._name} does not know an endpoint called {endpoint}")
        self._watch.start()
        links = dict(self._links)
        async with self._surveying:
            facts = await self._vcenter.look(
                lambda service: self._surveyor.survey(service, links),
                self._options.survey_timeout_s,
            )
        await self._watch.heard_first(self._options.call_timeout_s)
        return facts

    async def look(self, vm: UUID, host: str) -> Sighting | None:
        """One VM on one host."""
        link = self._link(host)

        def sighting(service: Service) -> Sighting | None:
            seen = queries.see(service, vm, {host: self._places.host(service, link)})
            found = seen.anywhere(self._known)
            return found if found is not None and found.host == host else None

        return await self._vcenter.look(sighting)

    def changes(self) -> AsyncIterator[StateChange]:
        """What the vCenter reports, as it comes."""
        return self._changes.stream()

    async def deploy(self, permit: Permit, order: Deploy) -> None:
        """Clone the template, off, and put right what the clone was not given."""
        link = self._link(order.at.host)

        def setting(service: Service) -> Setting:
            host = self._places.host(service, link)
            return Setting(host, link.networks, self._options)

        await self._tasks.run(
            permit,
            link.name,
            lambda s, check: clone.begin(s, order, permit.task, setting(s), check),
            keeps=True,
        )
        with begun():
            for _ in range(_FINISHING_MAX):
                if await self._vcenter.look(
                    lambda s: clone.finished(s, order, permit.task, setting(s).host)
                ):
                    return
                await self._tasks.run(
                    permit,
                    link.name,
                    lambda s, check: clone.finish(s, order, permit.task, setting(s), check),
                )
        raise Indeterminate("the VM does not become as ordered", host=link.name)

    async def power(self, permit: Permit, order: Power) -> None:
        """Change the power and wait until it has changed."""
        link = self._link(order.host)
        guest = GuestTools(
            order,
            self._ends,
            lambda: self._vcenter.look(
                lambda s: queries.see(s, order.vm, {link.name: self._places.host(s, link)})
            ),
        )
        if order.request is PowerRequest.SHUTDOWN:
            await guest.listens()
        try:
            await self._tasks.run(permit, link.name, self._at(link, operations.power, order))
        except Rejected:
            # Somebody else may have been quicker, and DRS may have placed it elsewhere.
            with begun(), suppress(Indeterminate):
                seen = await self._settled(Ticket(permit.task, permit.step, order))
                if seen.verdict is Verdict.DONE:
                    return
            raise
        if order.request is PowerRequest.SHUTDOWN:
            with begun():
                await self._shut_down(permit, order, guest)

    async def reset(self, permit: Permit, order: Reset) -> None:
        """Press the button."""
        link = self._link(order.host)
        await self._tasks.run(permit, link.name, self._at(link, operations.reset, order))

    async def reconfigure(self, permit: Permit, order: Reconfigure) -> None:
        """Resize a VM that is off."""
        link = self._link(order.host)
        await self._tasks.run(permit, link.name, self._at(link, operations.reconfigure, order))

    async def relocate(self, permit: Permit, order: Relocate) -> None:
        """Move the VM; after an error it is looked for before anything is said."""
        source, target = self._link(order.source.host), self._link(order.target.host)

        def way(service: Service) -> Way:
            at, to = (self._places.host(service, link) for link in (source, target))
            return Way(at, to, self._options)

        try:
            await foresee(self._vcenter, self._ends, order, way, self._options.call_timeout_s)
            if migrate.with_disk(order):
                await self._tasks.run(
                    permit, source.name, lambda s, check: migrate.name_disk(s, order, way(s), check)
                )
            await self._tasks.run(
                permit,
                source.name,
                lambda s, check: migrate.begin(s, order, way(s), check),
                self._options.relocation_timeout_s,
            )
        except (Rejected, Missing) as refused:
            # An error does not tell where the VM is: only looking does.
            with begun():
                if await self.look(order.spec.vm, order.target.host) is None:
                    raise Rejected(refused.message, host=refused.host) from refused

    async def remove(self, permit: Permit, order: Remove) -> None:
        """Delete a VM that is off, with its disk; of one that is in no inventory, its files. Disks
        that somebody else attached stay."""
        link = self._link(order.at.host)
        await self._remains.remove(permit, order, lambda s: self._places.host(s, link))

    async def clear(self, permit: Permit, order: Clear) -> None:
        """See that the VM lives elsewhere: the vCenter leaves nothing behind."""
        links = [self._link(order.at.host), self._link(order.lives_on)]
        await self._vcenter.act(
            lambda s, _: operations.clear(
                s, order, {link.name: self._places.host(s, link) for link in links}
            ),
            permit,
            order.at.host,
        )

    async def objections(self, order: Order) -> tuple[str, ...]:
        """Why an order would be refused now for what others have set on the VM; only looks."""
        links = [self._link(host) for host in settle.hosts_of(order)]
        return await self._vcenter.look(
            lambda s: objections(s, order, {x.name: self._places.host(s, x) for x in links})
        )

    async def progress(self, ticket: Ticket) -> Progress:
        """How far the vCenter says that the call is, and which question it waits with."""
        begun_for = self._tasks.of(ticket.task)
        return await self._vcenter.look(lambda s: cancellable_tasks.progress(s, ticket, begun_for))

    async def settle(self, ticket: Ticket) -> Outcome:
        """Look for the VM and for tasks that run on it."""
        outcome = await self._settled(ticket)
        if isinstance(ticket.order, Remove) and outcome.verdict is Verdict.DONE:
            link = self._link(ticket.order.at.host)
            return await self._remains.settled(
                ticket, ticket.order, lambda s: self._places.host(s, link)
            )
        return outcome

    async def _settled(self, ticket: Ticket) -> Outcome:
        links = [self._link(host) for host in settle.hosts_of(ticket.order)]
        others = self._tasks.of_others(ticket.task)

        def settled(service: Service) -> Outcome:
            hosts = {link.name: self._places.host(service, link) for link in links}
            scope = settle.SettleScope(
                hosts, self._known, self._options, others, self._surveyor.ids
            )
            return settle.settle(service, ticket, scope)

        return await self._vcenter.look(settled)

    async def cancel(self, permit: Permit, ticket: Ticket) -> None:
        """Ask the vCenter to cancel the call's task; Rejected when it cannot."""
        begun_for = self._tasks.of(ticket.task)
        await self._vcenter.act(
            lambda s, check: cancellable_tasks.stop(s, ticket, begun_for, check),
            permit,
            settle.hosts_of(ticket.order)[0],
        )

    async def examine(self) -> tuple[Diagnostic, ...]:
        """The vCenter and what the role may, then each host."""
        links = list(self._links.values())
        found = await diagnostics.examined(self._vcenter, self._options, links)
        return (*found, *await hosts_seen(self))

    async def aclose(self) -> None:
        """Log out, without waiting for a vCenter that is frozen."""
        await goodbye(self._name, (self._watch.close, self._vcenter.close))

    def _at(self, link: HostLink, verb: Callable[..., Any], order: Order) -> Begin:
        """The verb, with the host's object as this session has it."""
        return lambda s, check: verb(s, order, self._places.host(s, link), check)

    async def _shut_down(self, permit: Permit, order: Power, guest: GuestTools) -> None:
        """Wait for the guest, then pull the plug if that was asked for."""
        if await guest.is_off():
            return
        if not order.force:
            raise Rejected(
                f"the guest did not shut down within {order.grace_s:g} s", host=order.host
            )
        await self.power(permit, Power(order.vm, order.host, PowerRequest.OFF))

    def _hear(self, change: StateChange) -> None:
        """From the watch's thread."""
        self._changes.put(change)
        self._ends.told(str(change.vm))

    def _link(self, host: str) -> HostLink:
        link = self._links.get(host)
        if link is None:
            raise Unreachable(f"{self._name} does not know a host called {host}", host=host)
        return link
