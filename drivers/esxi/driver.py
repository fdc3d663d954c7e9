"""The driver of ESXi hosts: every verb goes through their vCenter, its block's one endpoint."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from uuid import UUID

from drivers.changes import Changes, StateChange
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
from drivers.esxi import acts, cloning, examining, looking, moving, settling
from drivers.esxi.acts import Check
from drivers.esxi.cloning import Setting
from drivers.esxi.foreseeing import foresee
from drivers.esxi.moving import Way
from drivers.esxi.options import EsxiOptions
from drivers.esxi.places import Places
from drivers.esxi.session import Service
from drivers.esxi.shutting import Guest
from drivers.esxi.surveying import Surveyor
from drivers.esxi.vcenter import Vcenter, goodbye
from drivers.esxi.waiting import DEAF_LOOK_S, Ends, Wait, cancel, ended
from drivers.esxi.watching import Watch
from drivers.examining import hosts_seen
from drivers.facts import Facts, Remark, Sighting
from drivers.faults import Fault, Indeterminate, Missing, Rejected, Unreachable, begun
from drivers.unable import NoRedeploy, NothingForeseen

_FINISHING_MAX = 4
Begin = Callable[[Service, Check], Any]


class EsxiDriver(NoRedeploy, NothingForeseen):
    """All hosts of one vCenter."""

    capabilities = acts.CAPABILITIES

    def __init__(self, name: str, options: EsxiOptions) -> None:
        self._name = name
        self._options = options
        self._links: dict[str, HostLink] = {}
        self._names: dict[str, str] = {}
        self._changes = Changes()
        self._ends = Ends()
        self._begun: dict[str, UUID] = {}
        self._vcenter = Vcenter(name, options)
        self._places = Places(options)
        self._surveyor = Surveyor(name, options, self._places)
        self._surveying = asyncio.Lock()
        self._watch = Watch(
            name, options, lambda host: self._names.get(host), self._hear, self._ends.told
        )

    def attach(self, link: HostLink) -> None:
        """Know a host; the vCenter is spoken to when it is needed. Raises AddressError."""
        self._options.require_allowed(link.address or link.name)
        self._links[link.name] = link
        self._names = looking.names_of(self._links.values())

    def detach(self, host: str) -> None:
        """Forget a host; its VMs stay as they are."""
        self._links.pop(host, None)
        self._names = looking.names_of(self._links.values())

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
        return await self._vcenter.look(
            lambda service: looking.see(
                service, vm, {host: self._places.host(service, link)}
            ).sighting(host)
        )

    def changes(self) -> AsyncIterator[StateChange]:
        """What the vCenter reports, as it comes."""
        return self._changes.stream()

    async def deploy(self, permit: Permit, order: Deploy) -> None:
        """Clone the template, off, and put right what the clone was not given."""
        link = self._link(order.at.host)

        def setting(service: Service) -> Setting:
            host = self._places.host(service, link)
            return Setting(host, link.networks, self._options)

        await self._do(
            permit,
            link.name,
            lambda s, check: cloning.begin(s, order, permit.task, setting(s), check),
        )
        with begun():
            for _ in range(_FINISHING_MAX):
                if await self._vcenter.look(
                    lambda s: cloning.finished(s, order, permit.task, setting(s).host)
                ):
                    return
                await self._do(
                    permit,
                    link.name,
                    lambda s, check: cloning.finish(s, order, permit.task, setting(s), check),
                )
        raise Indeterminate("the VM does not become as ordered", host=link.name)

    async def power(self, permit: Permit, order: Power) -> None:
        """Change the power and wait until it has changed."""
        link = self._link(order.host)
        guest = Guest(
            order,
            self._ends,
            lambda: self._vcenter.look(
                lambda s: looking.see(s, order.vm, {link.name: self._places.host(s, link)})
            ),
        )
        if order.request is PowerRequest.SHUTDOWN:
            await guest.listens()
        try:
            await self._do(permit, link.name, self._at(link, acts.power, order))
        except Rejected:
            # Somebody else may have been quicker.
            with begun():
                seen = await self.look(order.vm, order.host)
            if seen is None or seen.state is not acts.ENDS[order.request]:
                raise
        if order.request is PowerRequest.SHUTDOWN:
            with begun():
                await self._shut_down(permit, order, guest)

    async def reset(self, permit: Permit, order: Reset) -> None:
        """Press the button."""
        link = self._link(order.host)
        await self._do(permit, link.name, self._at(link, acts.reset, order))

    async def reconfigure(self, permit: Permit, order: Reconfigure) -> None:
        """Resize a VM that is off."""
        link = self._link(order.host)
        await self._do(permit, link.name, self._at(link, acts.reconfigure, order))

    async def relocate(self, permit: Permit, order: Relocate) -> None:
        """Move the VM; after an error it is looked for before anything is said."""
        source, target = self._link(order.source.host), self._link(order.target.host)

        def way(service: Service) -> Way:
            return Way(self._places.host(service, source), self._places.host(service, target))

        try:
            await foresee(self._vcenter, self._ends, order, way, self._options.call_timeout_s)
            if moving.with_disk(order):
                await self._do(
                    permit, source.name, lambda s, check: moving.name_disk(s, order, way(s), check)
                )
            await self._do(
                permit,
                source.name,
                lambda s, check: moving.begin(s, order, way(s), check),
                self._options.relocation_timeout_s,
            )
        except (Rejected, Missing) as refused:
            # An error does not tell where the VM is: only looking does.
            with begun():
                if await self.look(order.spec.vm, order.target.host) is None:
                    raise Rejected(refused.message, host=refused.host) from refused

    async def remove(self, permit: Permit, order: Remove) -> None:
        """Delete a VM that is off, with its disk."""
        link = self._link(order.at.host)
        await self._do(permit, link.name, self._at(link, acts.remove, order))

    async def clear(self, permit: Permit, order: Clear) -> None:
        """See that the VM lives elsewhere: the vCenter leaves nothing behind."""
        links = [self._link(order.at.host), self._link(order.lives_on)]
        await self._vcenter.act(
            lambda s, _: acts.clear(
                s, order, {link.name: self._places.host(s, link) for link in links}
            ),
            permit,
            order.at.host,
        )

    async def progress(self, ticket: Ticket) -> Progress:
        """How far the vCenter says that a move is."""
        if not isinstance(ticket.order, Relocate):
            return Progress(None)
        vm = ticket.order.spec.vm
        try:
            tasks = await self._vcenter.look(lambda service: looking.tasks_on(service, vm))
        except Fault:
            return Progress(None)
        percents = [each.get("info.progress") for each in tasks if moving.is_move(each)]
        return Progress(next((each for each in percents if each is not None), None))

    async def settle(self, ticket: Ticket) -> Outcome:
        """Look for the VM and for tasks that run on it."""
        links = [self._link(host) for host in settling.hosts_of(ticket)]
        others = {id_ for id_, task in self._begun.items() if task != ticket.task}

        def settled(service: Service) -> Outcome:
            hosts = {link.name: self._places.host(service, link) for link in links}
            return settling.settle(service, ticket, settling.Scope(hosts, self._options, others))

        return await self._vcenter.look(settled)

    async def cancel(self, permit: Permit, ticket: Ticket) -> None:
        """Ask a move that runs to stop; a VM that nothing runs on is left alone."""
        if not isinstance(ticket.order, Relocate):
            raise Rejected("only a move can be cancelled")
        vm = ticket.order.spec.vm

        def stopping(service: Service, check: Check) -> None:
            for task in looking.tasks_on(service, vm):
                cancel(service, task, check)

        await self._vcenter.act(stopping, permit, ticket.order.source.host)

    async def examine(self) -> tuple[Remark, ...]:
        """The vCenter and what the role may, then each host."""
        links = list(self._links.values())
        found = await examining.examined(self._vcenter, self._options, links)
        return (*found, *await hosts_seen(self))

    async def aclose(self) -> None:
        """Log out, without waiting for a vCenter that is frozen."""
        await goodbye(self._name, (self._watch.close, self._vcenter.close))

    def _at(self, link: HostLink, verb: Callable[..., Any], order: Order) -> Begin:
        """The verb, with the host's object as this session has it."""
        return lambda s, check: verb(s, order, self._places.host(s, link), check)

    async def _do(
        self, permit: Permit, host: str, begin: Begin, timeout_s: float | None = None
    ) -> bool:
        """Begin a task and wait for its end; False when there was nothing to begin."""
        self._watch.start()
        task = await self._vcenter.act(begin, permit, host)
        if task is None:
            return False
        look_each_s = self._options.poll_s if self._watch.hears.is_set() else DEAF_LOOK_S
        self._begun[task._moId] = permit.task
        try:
            wait = Wait(permit, host, timeout_s or self._options.task_timeout_s, look_each_s)
            await ended(self._vcenter, self._ends, task, wait)
        finally:
            self._begun.pop(task._moId, None)
        return True

    async def _shut_down(self, permit: Permit, order: Power, guest: Guest) -> None:
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
