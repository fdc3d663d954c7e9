"""Settling looks at everything a ticket names, and changes nothing.

Tasks are looked at before VMs: what ended between the two is then seen by its effect.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, assert_never
from uuid import UUID

from drivers.contract import (
    Clear,
    Deploy,
    HostLink,
    Order,
    Outcome,
    Power,
    Reconfigure,
    Redeploy,
    Relocate,
    Remove,
    Reset,
    Ticket,
    Verdict,
)
from drivers.esxi import places, queries
from drivers.esxi.connection.session import Service
from drivers.esxi.options import EsxiOptions
from drivers.esxi.queries import VsphereVm
from drivers.esxi.vms import clone
from drivers.esxi.vms.operations import ENDS
from drivers.esxi.vms.states import QUESTION, question_of
from drivers.facts import PowerState, Sighting
from drivers.faults import Indeterminate, Rejected


@dataclass(frozen=True, slots=True)
class SettleScope:
    """Where to look: the ticket's hosts by name, all our hosts by what the vCenter calls them, the
    options, the vCenter's tasks that this driver began for other tickets, and the ids of VMs that
    were listed before."""

    hosts: dict[str, Any]
    known: Mapping[str, HostLink]
    options: EsxiOptions
    others: Collection[str]
    ids: Mapping[UUID, str]


def hosts_of(order: Order) -> tuple[str, ...]:
    """Every host that must be in sight."""
    match order:
        case Deploy(at=at) | Remove(at=at) | Clear(at=at):
            return (at.host,)
        case Power(host=host) | Reset(host=host) | Reconfigure(host=host) | Redeploy(host=host):
            return (host,)
        case Relocate(source=source, target=target):
            return (source.host, target.host)
        case _:
            assert_never(order)


def vm_of(ticket: Ticket) -> UUID:
    """The VM it is about."""
    return vm_of_order(ticket.order)


def vm_of_order(order: Order) -> UUID:
    """The VM it is about."""
    return order.spec.vm if isinstance(order, Deploy | Reconfigure | Relocate) else order.vm


def settle(service: Service, ticket: Ticket, scope: SettleScope) -> Outcome:
    """The verdict; raises Indeterminate where looking cannot decide."""
    ref = queries.find(service, vm_of(ticket))
    if ref is None and vm_of(ticket) in scope.ids:
        queries.require_gone(service, scope.ids[vm_of(ticket)])
    busy = ref is not None and bool(queries.tasks_of(service, ref))
    cloned = ref is None and _cloning(service, ticket, scope)
    seen = queries.see(service, vm_of(ticket), scope.hosts)
    at = Standing(seen, seen.anywhere(scope.known), busy)
    match ticket.order:
        case Deploy() as deploy if seen.vm is None:
            return _not_made(service, deploy, ticket.task, cloned, scope)
        case Deploy() as deploy:
            return _deploy(deploy, ticket.task, at)
        case Power(request=request, host=host):
            return _at_host(at, host, done=seen.power is ENDS[request])
        case Reset() | Redeploy():
            raise Indeterminate("it leaves no trace")
        case Reconfigure(spec=spec, host=host):
            now = at.sighting
            same = now is not None and (now.cpu, now.ram_mib) == (spec.cpu, spec.ram_mib)
            return _at_host(at, host, done=same)
        case Relocate() as relocate:
            return _relocate(relocate, at)
        case Remove(at=place):
            return _remove(at, place.host)
        case Clear(at=place):
            left = seen.sighting(place.host)
            return Outcome(Verdict.ABSENT, left) if left else Outcome(Verdict.DONE)
        case _:
            assert_never(ticket.order)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a VM stands: what was seen, the sighting on whichever of our hosts it is on, and whether
    a task runs on it."""

    seen: VsphereVm
    sighting: Sighting | None
    busy: bool

    def running(self) -> Outcome:
        """The verdict while a task runs; a question that it waits with is its reason."""
        waits = question_of(self.seen.vm) if self.seen.vm is not None else ""
        return Outcome(Verdict.RUNNING, self.sighting, f"{QUESTION}: {waits}" if waits else "")

    def not_on(self, host: str) -> Outcome:
        """The verdict when it is not where it was to be, with where it is."""
        if self.seen.vm is None:
            return Outcome(Verdict.FAILED, None, f"the VM is not on {host}, nor anywhere else")
        where = self.sighting.host if self.sighting is not None else self.seen.at
        return Outcome(Verdict.FAILED, self.sighting, f"the VM is on {where}, not on {host}")


def _cloning(service: Service, ticket: Ticket, scope: SettleScope) -> bool:
    """A clone whose task was not kept cannot be told from another of its template, so it is waited
    for any of them."""
    if not isinstance(ticket.order, Deploy):
        return False
    if ticket.kept:
        return queries.runs(service, ticket.kept)
    template = ticket.order.spec.disk.template
    return clone.cloning(service, scope.options, template, scope.others)


def _not_made(
    service: Service, order: Deploy, task: UUID, cloned: bool, scope: SettleScope
) -> Outcome:
    if cloned:
        return Outcome(Verdict.RUNNING)
    try:
        clone.unfinished(service, order, task, places.folder(service, scope.options))
    except Rejected as taken:
        return Outcome(Verdict.FAILED, None, taken.message)
    return Outcome(Verdict.ABSENT)


def _deploy(order: Deploy, task: UUID, at: Standing) -> Outcome:
    here = at.seen.sighting(order.at.host)
    if at.seen.mark.task != task:
        return Outcome(Verdict.FAILED, at.sighting, "another task made the VM")
    if at.busy:
        return at.running()
    if here is None and at.sighting is not None and at.sighting.state is PowerState.ON:
        return Outcome(Verdict.DONE, at.sighting)  # it runs where DRS, or somebody, placed it
    made = here is not None and clone.as_ordered(order, here)
    return Outcome(Verdict.DONE if made else Verdict.ABSENT, at.sighting)


def _at_host(at: Standing, host: str, *, done: bool) -> Outcome:
    """DRS may place a VM on another host at power on, and anybody may move it."""
    sighting = at.sighting
    if sighting is None:
        return at.not_on(host)
    if done:
        return Outcome(Verdict.DONE, sighting)
    if sighting.state is PowerState.UNKNOWN:
        raise Indeterminate(f"{sighting.host} cannot read the VM: {sighting.reason}", host=host)
    if at.busy:
        return at.running()
    return Outcome(Verdict.ABSENT, sighting) if sighting.host == host else at.not_on(host)


def _relocate(order: Relocate, at: Standing) -> Outcome:
    here, there = at.seen.sighting(order.source.host), at.seen.sighting(order.target.host)
    if at.busy:
        return at.running()
    if there is not None:
        return Outcome(Verdict.DONE, there)
    if here is not None:
        return Outcome(Verdict.ABSENT, here)
    if at.sighting is None:
        raise Indeterminate("the VM is on neither host")
    return at.not_on(order.target.host)


def _remove(at: Standing, host: str) -> Outcome:
    if at.seen.vm is None:
        return Outcome(Verdict.DONE)
    if at.seen.sighting(host) is None:
        return at.not_on(host)
    return at.running() if at.busy else Outcome(Verdict.ABSENT, at.sighting)
