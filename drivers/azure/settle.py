"""Settling asks for the call that was kept with the ticket, then looks; it changes nothing.

A call that Azure does not know any more, or that nobody kept, is no error: what is seen decides.
"""

from typing import assert_never
from uuid import UUID

from drivers.azure import create, delete, resize, vm_operations
from drivers.azure.connection.long_running import Operations, OperationState, OperationStatus
from drivers.azure.faults import NO_CAPACITY, Reaction, Said
from drivers.azure.vm_operations import CallContext
from drivers.azure.vm_parser import AzureVm, Figures, place_of
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
from drivers.facts import PowerState, Sighting
from drivers.faults import Indeterminate


def hosts_of(ticket: Ticket) -> tuple[str, ...]:
    """Every place that must be known."""
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


async def settle(scene: CallContext, operations: Operations, ticket: Ticket) -> Outcome:
    """The verdict; raises Indeterminate where looking cannot decide."""
    for host in hosts_of(ticket):
        scene.link(host)
    stand = OperationStatus(OperationState.UNKNOWN)
    operation = scene.arm.kept(ticket.kept)
    if operation is not None:
        stand = await operations.stand(operation)
    if stand.end is OperationState.RUNNING:
        return Outcome(Verdict.RUNNING)
    seen = await vm_operations.see(scene, vm_of(ticket))
    match ticket.order:
        case Deploy() as deploy:
            return await _deploy(scene, deploy, ticket.task, stand, seen)
        case Remove() as remove:
            return await _remove(scene, remove, seen)
        case Power(host=host) as power:
            done = seen is not None and vm_operations.is_done(power, seen)
            return await _at(scene, host, seen, stand, done)
        case Reconfigure(host=host) as change:
            done = seen is not None and resize.is_resized(change, seen)
            return await _at(scene, host, seen, stand, done)
        case Reset(host=host) | Redeploy(host=host):
            if stand.end is OperationState.UNKNOWN:
                raise Indeterminate("it leaves no trace", host=host)
            return await _at(scene, host, seen, stand, stand.end is OperationState.DONE)
        case Clear(at=at):
            left = await sighting_at(scene, seen, at.host)
            return Outcome(Verdict.ABSENT, left) if left else Outcome(Verdict.DONE)
        case Relocate():
            raise Indeterminate("no VM moves between places")
        case _:
            assert_never(ticket.order)


async def sighting_at(scene: CallContext, seen: AzureVm | None, host: str) -> Sighting | None:
    """The VM if it is at that place; sizes are asked for only when its tags do not say."""
    if seen is None or seen.uuid is None or not vm_operations.is_at(scene, seen, host):
        return None
    figures = Figures()
    if not seen.as_asked:
        known = await scene.sizes.of(place_of(seen.record)[0])
        size = known.get(seen.size.lower())
        figures = size.figures if size is not None else figures
    return seen.sighting(host, figures)


async def _at(
    scene: CallContext, host: str, seen: AzureVm | None, stand: OperationStatus, done: bool
) -> Outcome:
    sighting = await sighting_at(scene, seen, host)
    if seen is None or sighting is None:
        return Outcome(Verdict.FAILED, None, f"the VM is not at {host}")
    if done:
        return Outcome(Verdict.DONE, sighting)
    if seen.busy:
        return Outcome(Verdict.RUNNING, sighting)
    if stand.end is OperationState.FAILED and stand.said.reaction is not Reaction.LATER:
        return _failed(stand.said, sighting)
    if sighting.state is PowerState.UNKNOWN:
        raise Indeterminate(f"{host}: Azure does not say whether the VM runs", host=host)
    return Outcome(Verdict.ABSENT, sighting)


async def _deploy(
    scene: CallContext, order: Deploy, task: UUID, stand: OperationStatus, seen: AzureVm | None
) -> Outcome:
    if seen is None:
        return Outcome(Verdict.ABSENT)
    sighting = await sighting_at(scene, seen, order.at.host)
    if seen.mark.task != task:
        return Outcome(Verdict.FAILED, sighting, "another task made the VM")
    if sighting is None:
        return Outcome(Verdict.FAILED, None, "the VM is at another place")
    if seen.busy:
        return Outcome(Verdict.RUNNING, sighting)
    if create.is_made(order, seen):
        return Outcome(Verdict.DONE, sighting)
    if seen.failed and not seen.power:
        said = stand.said if stand.end is OperationState.FAILED else Said("", "its making failed")
        return _failed(said, sighting)
    if sighting.state is PowerState.UNKNOWN:
        raise Indeterminate("Azure does not say whether the VM runs", host=order.at.host)
    return Outcome(Verdict.ABSENT, sighting)


async def _remove(scene: CallContext, order: Remove, seen: AzureVm | None) -> Outcome:
    if seen is None:
        gone = await delete.is_gone(scene, order.vm, order.volume)
        return Outcome(Verdict.DONE if gone else Verdict.ABSENT)
    sighting = await sighting_at(scene, seen, order.at.host)
    if sighting is None:
        return Outcome(Verdict.FAILED, None, f"the VM is there, but not at {order.at.host}")
    return Outcome(Verdict.RUNNING if seen.busy else Verdict.ABSENT, sighting)


def _failed(said: Said, sighting: Sighting) -> Outcome:
    return Outcome(Verdict.FAILED, sighting, said.words(), said.reaction in NO_CAPACITY)
