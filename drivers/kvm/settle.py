"""Settling looks at every host a ticket names, and changes nothing."""

from dataclasses import dataclass
from typing import Any, assert_never

from drivers.contract import (
    Clear,
    Deploy,
    Location,
    Outcome,
    Power,
    PowerRequest,
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
from drivers.kvm import queries, volumes

_ENDS = {
    PowerRequest.ON: PowerState.ON,
    PowerRequest.RESUME: PowerState.ON,
    PowerRequest.OFF: PowerState.OFF,
    PowerRequest.SHUTDOWN: PowerState.OFF,
    PowerRequest.PAUSE: PowerState.PAUSED,
}


@dataclass(frozen=True, slots=True)
class KvmSightings:
    """What one host shows of a ticket: the VM, whether a job runs on it, a volume left."""

    vm: Sighting | None
    busy: bool
    volume_left: bool


def places_of(ticket: Ticket) -> tuple[tuple[str, Location | None], ...]:
    """Every host to look at, in order, with the location whose volume matters there."""
    match ticket.order:
        case Deploy(at=at):
            return ((at.host, None),)
        case Remove(at=at) | Clear(at=at):
            return ((at.host, at),)
        case Power(host=host) | Reset(host=host) | Reconfigure(host=host) | Redeploy(host=host):
            return ((host, None),)
        case Relocate(source=source, target=target):
            return ((source.host, None), (target.host, None))
        case _:
            assert_never(ticket.order)


def see(connection: Any, ticket: Ticket, host: str, at: Location | None) -> KvmSightings:
    """Look at one host; called in its lane."""
    order = ticket.order
    vm = order.spec.vm if isinstance(order, Deploy | Reconfigure | Relocate) else order.vm
    left = False
    if at is not None and isinstance(order, Remove | Clear) and order.volume:
        left = volumes.exists(connection, at.datastore, order.volume)
    # Asked on both sides of the look, so that no end of a move slips between.
    busy = queries.moving(connection, vm)
    seen = queries.look(connection, vm, host)
    return KvmSightings(seen, busy or queries.moving(connection, vm), left)


def settle(ticket: Ticket, seen: list[KvmSightings]) -> Outcome:
    """The verdict; raises Indeterminate where looking cannot decide."""
    match ticket.order:
        case Deploy():
            return _deploy(ticket, seen[0].vm)
        case Power() as power:
            return _power(power, seen[0].vm)
        case Reset() | Redeploy():
            raise Indeterminate("it leaves no trace")
        case Reconfigure() as reconfigure:
            return _reconfigure(reconfigure, seen[0].vm)
        case Relocate():
            return _relocate(ticket.order, seen[0], seen[1])
        case Remove() | Clear():
            gone = seen[0].vm is None and not seen[0].volume_left
            return Outcome(Verdict.DONE) if gone else Outcome(Verdict.ABSENT, seen[0].vm)
        case _:
            assert_never(ticket.order)


def _deploy(ticket: Ticket, vm: Sighting | None) -> Outcome:
    if vm is None:
        return Outcome(Verdict.ABSENT)
    if vm.task != ticket.task:
        return Outcome(Verdict.FAILED, vm, "another task defined the VM there")
    return Outcome(Verdict.DONE, vm)


def _power(order: Power, vm: Sighting | None) -> Outcome:
    if vm is None:
        return Outcome(Verdict.FAILED, None, f"the VM is not on {order.host}")
    if vm.state is _ENDS[order.request]:
        return Outcome(Verdict.DONE, vm)
    why = f": {vm.reason}" if vm.reason else ""
    return Outcome(Verdict.ABSENT, vm, f"{order.request} had no effect, the VM is {vm.state}{why}")


def _reconfigure(order: Reconfigure, vm: Sighting | None) -> Outcome:
    if vm is None:
        return Outcome(Verdict.FAILED, None, f"the VM is not on {order.host}")
    same = (vm.cpu, vm.ram_mib) == (order.spec.cpu, order.spec.ram_mib)
    return Outcome(Verdict.DONE if same else Verdict.ABSENT, vm)


def stayed(order: Relocate, here: Sighting, there: Sighting | None) -> bool:
    """Whether the VM is where it was: at its target is nothing, or a definition that does not run
    while it runs here. Where both are off and the disk was copied, nobody knows which counts."""
    if there is None:
        return True
    if there.arriving or there.state is not PowerState.OFF:
        return False
    runs = here.state in (PowerState.ON, PowerState.PAUSED)
    return runs or (here.state is PowerState.OFF and order.volume == order.spec.disk.volume)


def _relocate(order: Relocate, source: KvmSightings, target: KvmSightings) -> Outcome:
    here, there = source.vm, target.vm
    if source.busy or target.busy or (there is not None and there.arriving):
        return Outcome(Verdict.RUNNING, here)
    match here, there:
        case None, None:
            raise Indeterminate("the VM is on neither host")
        case None, Sighting():
            return Outcome(Verdict.DONE, there)
        case Sighting(), None:
            return Outcome(Verdict.ABSENT, here)
        case Sighting(state=PowerState.OFF), Sighting(state=PowerState.OFF):
            # Defined there, not yet undefined here: sending it again ends that.
            return Outcome(Verdict.ABSENT, here)
        case Sighting(state=PowerState.OFF), Sighting(state=PowerState.ON | PowerState.PAUSED):
            return Outcome(Verdict.DONE, there)  # what is left here is the clearing's to delete
        case Sighting(), Sighting() if stayed(order, here, there):
            said = (
                f"the move did not happen: the VM is {here.state} on {here.host}, and {there.host}"
                " has only a definition that is off"
            )
            return Outcome(Verdict.FAILED, here, said)
        case _:
            raise Indeterminate("the VM is on both hosts")
