"""A ruling says what became of a step's call, and what that rests on."""

from dataclasses import dataclass
from enum import StrEnum

from drivers.contract import Clear, Deploy, Driver, Order, Outcome, Relocate, Remove, Verdict
from drivers.facts import Sighting
from gateway.store.vm_record import VmRecord
from gateway.tasks import fault_policy
from gateway.tasks.ending.cancellation import Stopper
from gateway.tasks.fault_policy import Limits
from gateway.tasks.lease import Lease
from gateway.tasks.outcome.whereabouts import Reading, Word
from gateway.tasks.task_journal import TaskRecord

_UNREAD = Reading(Word.UNCLEAR)


class Fate(StrEnum):
    """What is so. DONE: the call was carried out. ABSENT: it was not begun, and may be. AGAIN: so
    it was, and later it may do. FAILED: it was not carried out. FOLLOW: the VM is on another host.
    LOST: nobody knows where the VM is. LEFT: what is left cannot be deleted now."""

    DONE = "DONE"
    ABSENT = "ABSENT"
    AGAIN = "AGAIN"
    FAILED = "FAILED"
    FOLLOW = "FOLLOW"
    LOST = "LOST"
    LEFT = "LEFT"


@dataclass(frozen=True, slots=True)
class Ruling:
    """A fate with what it rests on; `said` and `told` are why, for administrators and for who may
    not know of hosts. `full`: for want of capacity. `clean`: nothing of the call is left.
    `reading` is where the VM is."""

    fate: Fate
    outcome: Outcome
    said: str = ""
    told: str = fault_policy.REFUSED
    full: bool = False
    clean: bool = False
    reading: Reading = _UNREAD


@dataclass(frozen=True, slots=True)
class RulingContext:
    """What a ruling is made from: the task, the VM's record, and what may stop the call."""

    record: TaskRecord
    vm: VmRecord
    stopper: Stopper

    @property
    def lease(self) -> Lease:
        """The lease under which the task runs."""
        return self.stopper.lease

    @property
    def driver(self) -> Driver:
        """The driver of the VM's hypervisor."""
        return self.stopper.driver

    @property
    def limits(self) -> Limits:
        """How long the task tries."""
        return self.stopper.limits


def made(at: RulingContext, seen: Sighting) -> bool:
    """Whether this task made what was seen, or a task that it takes up."""
    task = at.record.task
    return str(seen.task) in (str(task.id), *task.payload.get("made_by", ()))


def hosts_of(order: Order) -> tuple[str, ...]:
    """The hosts that an order names."""
    match order:
        case Relocate(source=source, target=target):
            return (source.host, target.host)
        case Clear(at=place, lives_on=lives_on):
            return (lives_on, place.host)
        case Deploy(at=place) | Remove(at=place):
            return (place.host,)
        case _:
            return (order.host,)


def follow(reading: Reading, said: str) -> Ruling:
    """The VM is where the reading says, and goes on there."""
    seen = Outcome(Verdict.DONE, reading.sighting)
    return Ruling(Fate.FOLLOW, seen, said, reading=reading)
