"""How the steps of sagas act: what each asks of a driver, and what it writes once seen done."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drivers.contract import Disk, Location, Nic, Order, Outcome, VmSpec
from drivers.facts import PowerState
from gateway.lifecycle import VmState
from gateway.store import vm_record
from gateway.store.capacity.decisions import NewDecision
from gateway.store.db.pool import Connection
from gateway.store.tasks.tasks import Claimed
from gateway.store.vm_record import VmRecord
from gateway.tasks.labels import UNTOLD
from gateway.tasks.saga import JournalEntry, JournalEvent
from scheduler.fleet.hold_placement import Held
from scheduler.model.demand import Demand


@dataclass(frozen=True, slots=True)
class StepContext:
    """A task, its VM as recorded now, and its journal so far."""

    task: Claimed
    vm: VmRecord
    journal: Sequence[JournalEntry]
    observer: str = ""

    def detail(self, step: str) -> Mapping[str, Any]:
        """What the step journalled when it was done; raises LookupError when it was not."""
        for line in reversed(self.journal):
            if line.step == step and line.entry is JournalEvent.DONE:
                return line.detail
        raise LookupError(f"step {step} has not been done")

    def state_before(self, step: str) -> str:
        """The VM's state as recorded when the step's first intent was written, empty where that
        was not written."""
        for line in self.journal:
            if line.step == step and line.entry is JournalEvent.INTENT:
                return str(line.detail.get("was", ""))
        return ""


class StepFailed(Exception):
    """A STORE step cannot be done; `told` says so to who may not know of hosts, `detail` holds
    structured rows for the event, `decision` is the refusal to put on record with the failure;
    `outgrows` is what the VM was to become, and the place that has no room for it."""

    def __init__(
        self,
        reason: str,
        detail: Mapping[str, Any] | None = None,
        decision: NewDecision | None = None,
        told: str = UNTOLD,
        outgrows: tuple[Demand, Held] | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.told = told
        self.detail = dict(detail or {})
        self.decision = decision
        self.outgrows = outgrows


Effect = Callable[[Connection, StepContext, Outcome], Awaitable[None]]
Derive = Callable[[StepContext], Order | None]


async def no_effect(c: Connection, at: StepContext, outcome: Outcome) -> None:
    """Nothing to record."""


@dataclass(frozen=True, slots=True)
class CallStep:
    """A CALL step: `order` derives what is asked, None when there is nothing to ask.

    `effect` runs in the transaction that journals the result. `undo` is the order that takes
    it back. `look_first` settles before calling, for what may well be so already.
    """

    order: Derive
    effect: Effect = no_effect
    undo: Derive | None = None
    undo_effect: Effect = no_effect
    look_first: bool = False


@dataclass(frozen=True, slots=True)
class StoreStep:
    """A STORE step: `do` writes and returns what to journal; raises StepFailed."""

    do: Callable[[Connection, StepContext], Awaitable[Mapping[str, Any]]]
    undo: Callable[[Connection, StepContext], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class ReserveStep:
    """The STORE step that places the VM and books its place; `moving` books a second one."""

    moving: bool
    undo: Callable[[Connection, StepContext], Awaitable[None]]


Behaviour = CallStep | StoreStep | ReserveStep


def spec_of(vm: VmRecord, volume: str | None = None) -> VmSpec:
    """The VM as its driver is told of it."""
    disk = Disk(
        volume=volume or vm.volume,
        template=vm.template,
        capacity_bytes=vm.disk_bytes,
        format=vm.disk_format,
    )
    nics = tuple(Nic(mac, network, address) for mac, network, address in vm.nics)
    return VmSpec(vm.uuid, vm.name, vm.cpu, vm.ram_mib, disk, nics)


def place_of(vm: VmRecord) -> Location:
    """Where the VM is recorded to live; raises LookupError when it lives nowhere."""
    if vm.host is None or vm.pool is None:
        raise LookupError(f"virtual machine {vm.id} is not placed")
    return Location(vm.host, vm.pool, bool(vm.shared))


async def record_seen(c: Connection, at: StepContext, outcome: Outcome, otherwise: VmState) -> None:
    """Record the state of an outcome's sighting; `otherwise` when there is none."""
    sighting = outcome.sighting
    state, deallocated, reason = otherwise, False, ""
    if sighting is not None and sighting.state is not PowerState.UNKNOWN:
        state, deallocated = VmState(sighting.state.value), sighting.deallocated
        reason = sighting.reason
    await vm_record.record_state(
        c, at.vm.id, state, seen_by(at, outcome), deallocated=deallocated, reason=reason
    )


def seen_by(at: StepContext, outcome: Outcome) -> dict[str, Any]:
    """The evidence to keep with a state: what was seen, where and by whom."""
    sighting = outcome.sighting
    return {
        "state": sighting.state.value if sighting else "ABSENT",
        "host": sighting.host if sighting else at.vm.host,
        "by": at.observer,
        "task": str(at.task.id),
    }
