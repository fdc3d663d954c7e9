"""Settling looks at everything a ticket names, and changes nothing.

Tasks are looked at before VMs: what ended between the two is then seen by its effect.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, assert_never
from uuid import UUID

from drivers.contract import (
    Clear,
    Deploy,
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
from drivers.esxi import cloning, looking, places
from drivers.esxi.acts import ENDS
from drivers.esxi.looking import Seen
from drivers.esxi.options import EsxiOptions
from drivers.esxi.session import Service
from drivers.facts import PowerState
from drivers.faults import Indeterminate, Rejected


@dataclass(frozen=True, slots=True)
class Scope:
    """Where to look: the ticket's hosts by name, the options, and the vCenter's tasks that this
    driver began for other tickets."""

    hosts: dict[str, Any]
    options: EsxiOptions
    others: Collection[str]


def hosts_of(ticket: Ticket) -> tuple[str, ...]:
    """Every host that must be in sight."""
    match ticket.order:
        case Deploy(at=at) | Remove(at=at) | Clear(at=at):
            return (at.host,)
        case Power(host=host) | Reset(host=host) | Reconfigure(host=host) | Redeploy(host=host):
            return (host,)
        case Relocate(source=source, target=target):
            return (source.host, target.host)
        case _:
            assert_never(ticket.order)


def vm_of(ticket: Ticket) -> UUID:
    """The VM it is about."""
    order = ticket.order
    return order.spec.vm if isinstance(order, Deploy | Reconfigure | Relocate) else order.vm


def settle(service: Service, ticket: Ticket, scope: Scope) -> Outcome:
    """The verdict; raises Indeterminate where looking cannot decide."""
    ref = looking.find(service, vm_of(ticket))
    busy = ref is not None and bool(looking.tasks_of(service, ref))
    cloned = ref is None and _cloning(service, ticket, scope)
    seen = looking.see(service, vm_of(ticket), scope.hosts)
    match ticket.order:
        case Deploy() as deploy if seen.vm is None:
            return _not_made(service, deploy, ticket.task, cloned, scope)
        case Deploy() as deploy:
            return _deploy(deploy, ticket.task, seen, busy)
        case Power(request=request, host=host):
            return _at_host(seen, host, seen.power is ENDS[request], busy)
        case Reset() | Redeploy():
            raise Indeterminate("it leaves no trace")
        case Reconfigure(spec=spec, host=host):
            now = seen.sighting(host)
            same = now is not None and (now.cpu, now.ram_mib) == (spec.cpu, spec.ram_mib)
            return _at_host(seen, host, same, busy)
        case Relocate() as relocate:
            return _relocate(relocate, seen, busy)
        case Remove(at=at):
            return _remove(seen, at.host, busy)
        case Clear(at=at):
            left = seen.sighting(at.host)
            return Outcome(Verdict.ABSENT, left) if left else Outcome(Verdict.DONE)
        case _:
            assert_never(ticket.order)


def _cloning(service: Service, ticket: Ticket, scope: Scope) -> bool:
    """A clone cannot be told from another of its template, so it is waited for any of them."""
    if not isinstance(ticket.order, Deploy):
        return False
    template = ticket.order.spec.disk.template
    return cloning.cloning(service, scope.options, template, scope.others)


def _not_made(service: Service, order: Deploy, task: UUID, cloned: bool, scope: Scope) -> Outcome:
    if cloned:
        return Outcome(Verdict.RUNNING)
    try:
        cloning.unfinished(service, order, task, places.folder(service, scope.options))
    except Rejected as taken:
        return Outcome(Verdict.FAILED, None, taken.message)
    return Outcome(Verdict.ABSENT)


def _deploy(order: Deploy, task: UUID, seen: Seen, busy: bool) -> Outcome:
    sighting = seen.sighting(order.at.host)
    if seen.mark.task != task:
        return Outcome(Verdict.FAILED, sighting, "another task made the VM")
    if busy:
        return Outcome(Verdict.RUNNING, sighting)
    made = sighting is not None and cloning.as_ordered(order, sighting)
    return Outcome(Verdict.DONE if made else Verdict.ABSENT, sighting)


def _at_host(seen: Seen, host: str, done: bool, busy: bool) -> Outcome:
    sighting = seen.sighting(host)
    if sighting is None:
        return Outcome(Verdict.FAILED, None, f"the VM is not on {host}")
    if done:
        return Outcome(Verdict.DONE, sighting)
    if sighting.state is PowerState.UNKNOWN:
        raise Indeterminate(f"{host} cannot read the VM", host=host)
    return Outcome(Verdict.RUNNING if busy else Verdict.ABSENT, sighting)


def _relocate(order: Relocate, seen: Seen, busy: bool) -> Outcome:
    here, there = seen.sighting(order.source.host), seen.sighting(order.target.host)
    if busy:
        return Outcome(Verdict.RUNNING, here)
    if there is not None:
        return Outcome(Verdict.DONE, there)
    if here is not None:
        return Outcome(Verdict.ABSENT, here)
    raise Indeterminate("the VM is on neither host")


def _remove(seen: Seen, host: str, busy: bool) -> Outcome:
    sighting = seen.sighting(host)
    if seen.vm is None:
        return Outcome(Verdict.DONE, reason="a vCenter shows no disk of a VM that it does not have")
    if sighting is None:
        return Outcome(Verdict.FAILED, None, f"the VM lives on, but not on {host}")
    return Outcome(Verdict.RUNNING if busy else Verdict.ABSENT, sighting)
