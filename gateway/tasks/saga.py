"""What to do next follows from the journal alone: a pure function, the same in any process.

A STORE step and its journal line are one transaction. A CALL step is an intent, the call, and
a result; an intent without a result is settled by looking, never begun again unseen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gateway.lifecycle import Operation

ABSENT = "absent"
"""What a step journals that was done because the VM was positively gone."""


class Mode(StrEnum):
    """Whether a step changes only our record, or asks a hypervisor."""

    STORE = "STORE"
    CALL = "CALL"


class JournalEvent(StrEnum):
    """The words of the journal. ABSENT: the call of the intent was seen not to have begun. An
    intent is written again when the driver has something kept with its ticket. AGAIN: all was
    taken back, and the saga begins anew. ABANDONED: a cancelled task ended before all was looked
    at; the line says what may be left, and nothing follows it. OVER: what was seen of the VM ends
    the task, here and without taking anything back."""

    INTENT = "INTENT"
    ABSENT = "ABSENT"
    DONE = "DONE"
    FAILED = "FAILED"
    UNDO_INTENT = "UNDO_INTENT"
    UNDO_ABSENT = "UNDO_ABSENT"
    UNDONE = "UNDONE"
    AGAIN = "AGAIN"
    ABANDONED = "ABANDONED"
    OVER = "OVER"


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One line of a task's journal."""

    step: str
    entry: JournalEvent
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SagaStep:
    """One step. `job` is its name for clients, None to show none.

    `undo` says how it is taken back, None when later undos or nothing cover it. A `final`
    step is past the point of no return: it is tried until done, never rolled back from.
    A step that `commits` is one once it has begun, for a cancellation.
    A `blind` step leaves no trace to look at (reset): it is begun at most once, unless what its
    driver had kept tells that it was not.
    """

    name: str
    mode: Mode
    job: str | None = None
    undo: Mode | None = None
    final: bool = False
    blind: bool = False
    commits: bool = False


@dataclass(frozen=True, slots=True)
class Saga:
    """The steps of one operation, in order."""

    operation: Operation
    steps: tuple[SagaStep, ...]

    def jobs(self) -> tuple[str, ...]:
        """The job names clients see, in order."""
        return tuple(step.job for step in self.steps if step.job is not None)

    def job_number(self, step: SagaStep) -> int | None:
        """Which job a step is, None when it shows none."""
        return None if step.job is None else self.jobs().index(step.job)


class ActionKind(StrEnum):
    """What to do with a step."""

    BEGIN = "BEGIN"
    SETTLE = "SETTLE"
    UNDO = "UNDO"
    SETTLE_UNDO = "SETTLE_UNDO"
    AGAIN = "AGAIN"


@dataclass(frozen=True, slots=True)
class NextAction:
    """The next act; `ticket` is the encoded ticket of an open intent."""

    act: ActionKind
    step: SagaStep
    ticket: Any = None

    @property
    def undoing(self) -> bool:
        """Whether it takes the step back."""
        return self.act in (ActionKind.UNDO, ActionKind.SETTLE_UNDO)

    @property
    def intent(self) -> JournalEvent:
        """The word that journals its intent."""
        return JournalEvent.UNDO_INTENT if self.undoing else JournalEvent.INTENT


@dataclass(frozen=True, slots=True)
class SagaEnd:
    """Nothing is left to do; `reason` tells why when it did not succeed."""

    success: bool
    reason: str = ""


def next_action(saga: Saga, journal: Sequence[JournalEntry]) -> NextAction | SagaEnd:
    """The one thing to do now, given everything that was journalled."""
    lines = current_attempt(journal)
    over = _over(lines)
    if over is not None:
        return over
    standing: dict[str, JournalEntry] = {line.step: line for line in lines}
    failed = failure(journal)
    if failed is not None:
        return _backward(saga, standing, failed)
    return _forward(saga, standing)


def _over(journal: Sequence[JournalEntry]) -> SagaEnd | None:
    """The end that the last line says, where it is one that nothing follows."""
    last = journal[-1] if journal else None
    if last is None or last.entry not in (JournalEvent.ABANDONED, JournalEvent.OVER):
        return None
    return SagaEnd(bool(last.detail.get("success")), str(last.detail.get("reason", "")))


def current_attempt(journal: Sequence[JournalEntry]) -> Sequence[JournalEntry]:
    """The lines since the saga began, or began anew."""
    begun = [n for n, line in enumerate(journal, 1) if line.entry is JournalEvent.AGAIN]
    return journal[begun[-1] :] if begun else journal


def failure(journal: Sequence[JournalEntry]) -> JournalEntry | None:
    """The line that turned the saga back this time, or ended it."""
    lines = current_attempt(journal)
    if lines and lines[-1].entry is JournalEvent.OVER:
        return lines[-1]
    return next((line for line in lines if line.entry is JournalEvent.FAILED), None)


def _forward(saga: Saga, standing: Mapping[str, JournalEntry]) -> NextAction | SagaEnd:
    for step in saga.steps:
        line = standing.get(step.name)
        match line.entry if line else None:
            case JournalEvent.DONE:
                continue
            case JournalEvent.INTENT:
                assert line is not None
                return NextAction(ActionKind.SETTLE, step, line.detail["ticket"])
            case _:
                return NextAction(ActionKind.BEGIN, step)
    return SagaEnd(success=True)


def _backward(
    saga: Saga, standing: Mapping[str, JournalEntry], failed: JournalEntry
) -> NextAction | SagaEnd:
    """Take back what was done, last first; a failed call may have left something too. Then it is
    over, or begins anew where the failure said so."""
    for step in reversed(saga.steps):
        line = standing.get(step.name)
        if line is None or step.undo is None:
            continue
        match line.entry:
            case JournalEvent.UNDO_INTENT:
                return NextAction(ActionKind.SETTLE_UNDO, step, line.detail["ticket"])
            case JournalEvent.DONE | JournalEvent.UNDO_ABSENT:
                return NextAction(ActionKind.UNDO, step)
            case JournalEvent.FAILED if not line.detail.get("clean"):
                return NextAction(ActionKind.UNDO, step)
            case _:
                continue
    if failed.detail.get("again"):
        return NextAction(ActionKind.AGAIN, saga.steps[0])
    return SagaEnd(success=False, reason=str(failed.detail.get("reason", "")))


def begun(journal: Sequence[JournalEntry], step: str) -> bool:
    """Whether a call step has begun this time, or may have: it has an intent after which it was
    not seen, or said by its driver, that nothing happened."""
    ours = (line for line in current_attempt(journal) if line.step == step)
    lines = [line for line in ours if not line.detail.get("cancelled")]
    if any(line.detail.get("gone") for line in lines):
        return True
    intended = any(line.entry is JournalEvent.INTENT for line in lines)
    return intended and lines[-1].entry is not JournalEvent.ABSENT


def returns(saga: Saga, journal: Sequence[JournalEntry], step: SagaStep) -> bool:
    """Whether a cancellation may still turn the saga back at `step`."""
    for each in saga.steps:
        if each.final or (each.commits and begun(journal, each.name)):
            return False
        if each.name == step.name:
            break
    return True


def turning(
    saga: Saga, journal: Sequence[JournalEntry], move: NextAction | SagaEnd
) -> JournalEntry | None:
    """The line that a cancellation writes in place of `move`, None where it changes nothing: the
    task is on its way back, past the point of no return, or a call has to be settled first."""
    if _over(current_attempt(journal)) is not None:
        return None
    match move:
        case SagaEnd(success=True) if saga.steps[-1].undo is not None:
            return JournalEntry(saga.steps[-1].name, JournalEvent.FAILED, {"clean": False})
        case NextAction(act=ActionKind.AGAIN, step=step):
            return JournalEntry(step.name, JournalEvent.FAILED, {"clean": True})
        case NextAction(act=ActionKind.BEGIN, step=step) if returns(saga, journal, step):
            called = any(
                line.step == step.name and line.entry is JournalEvent.INTENT
                for line in current_attempt(journal)
            )
            return JournalEntry(step.name, JournalEvent.FAILED, {"clean": not called})
        case _:
            return None


def tries(journal: Sequence[JournalEntry], step: str) -> int:
    """How often a step was seen not to have begun this time, or its undo."""
    return sum(
        line.step == step and line.entry in (JournalEvent.ABSENT, JournalEvent.UNDO_ABSENT)
        for line in current_attempt(journal)
    )


def refusals(journal: Sequence[JournalEntry]) -> list[Mapping[str, Any]]:
    """The hosts that refused for want of capacity so far, each once, with what was said."""
    told = (line.detail.get("refused") for line in journal if line.entry is JournalEvent.FAILED)
    return [each for each in told if each]


_STORE, _CALL = Mode.STORE, Mode.CALL
SAGAS: Mapping[Operation, Saga] = {
    saga.operation: saga
    for saga in (
        Saga(
            Operation.DEPLOY,
            (
                SagaStep("reserve", _STORE, "SCHEDULE", undo=_STORE),
                SagaStep("create", _CALL, "CONFIGURE", undo=_CALL),
                SagaStep("power", _CALL, "POWER_ON", undo=_CALL),
            ),
        ),
        Saga(
            Operation.UNDEPLOY,
            (
                SagaStep("power", _CALL, "POWER_OFF", undo=_CALL),
                SagaStep("remove", _CALL, "DECONFIGURE", commits=True),
                SagaStep("release", _STORE),
            ),
        ),
        Saga(
            Operation.RECONFIGURE,
            (
                SagaStep("rebook", _STORE, "UPDATE_RESOURCES", undo=_STORE),
                SagaStep("reconfigure", _CALL, "RECONFIGURE", undo=_CALL),
                SagaStep("record", _STORE, "REGISTER_VM"),
            ),
        ),
        Saga(
            Operation.RELOCATE,
            (
                SagaStep("reserve", _STORE, "SCHEDULE", undo=_STORE),
                SagaStep("move", _CALL, "RELOCATE", undo=_CALL),
                SagaStep("clear", _CALL, final=True),
                SagaStep("release", _STORE),
            ),
        ),
        Saga(Operation.RESET, (SagaStep("reset", _CALL, "RESET", blind=True),)),
        Saga(Operation.REDEPLOY, (SagaStep("redeploy", _CALL, "REDEPLOY", blind=True),)),
        *(
            Saga(operation, (SagaStep("power", _CALL, operation.value),))
            for operation in (
                Operation.POWER_ON,
                Operation.POWER_OFF,
                Operation.SHUTDOWN,
                Operation.PAUSE,
                Operation.RESUME,
            )
        ),
    )
}
