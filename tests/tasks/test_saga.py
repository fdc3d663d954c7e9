"""The journal alone says what to do next; these are promises about that pure function (I1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.denial import ApiError
from gateway.lifecycle import Operation, VmState, allowed, require
from gateway.tasks.operations.saga_table import BEHAVIOURS
from gateway.tasks.saga import (
    SAGAS,
    ActionKind,
    JournalEntry,
    JournalEvent,
    Mode,
    NextAction,
    SagaEnd,
    next_action,
    tries,
)
from gateway.tasks.step_actions import CallStep

TICKET = {"ticket": "encoded"}


def played(saga, answers, failed=None):
    """Play a saga to its end, or until it begins anew; `answers` picks DONE, ABSENT or FAILED for
    each step, `failed` is what is said of a failure."""
    journal: list[JournalEntry] = []
    acts: list[tuple[ActionKind, str]] = []
    for _ in range(200):
        move = next_action(saga, journal)
        if isinstance(move, SagaEnd) or move.act is ActionKind.AGAIN:
            return journal, acts, move
        acts.append((move.act, move.step.name))
        journal += carried_out(move, answers, failed or {})
    raise AssertionError("the saga does not end")


def carried_out(move, answers, failed):
    """The lines that an executor would write for a move."""
    name = move.step.name
    undoing = move.act in (ActionKind.UNDO, ActionKind.SETTLE_UNDO)
    if undoing:
        intent = (
            [JournalEntry(name, JournalEvent.UNDO_INTENT, TICKET)]
            if move.step.undo is Mode.CALL
            else []
        )
        return [*intent, JournalEntry(name, JournalEvent.UNDONE)]
    intent = (
        [JournalEntry(name, JournalEvent.INTENT, TICKET)] if move.step.mode is Mode.CALL else []
    )
    entry = next(answers)
    return [*intent, JournalEntry(name, entry, failed if entry is JournalEvent.FAILED else {})]


@pytest.mark.parametrize("operation", list(Operation))
def test_every_operation_has_a_saga_that_ends_well_when_nothing_fails(operation):
    saga = SAGAS[operation]
    _, acts, end = played(saga, iter(lambda: JournalEvent.DONE, None))
    assert end == SagaEnd(success=True)
    assert acts == [(ActionKind.BEGIN, step.name) for step in saga.steps]


@pytest.mark.parametrize("operation", list(Operation))
def test_each_step_has_a_behaviour_of_its_mode(operation):
    modes = {step.name: step.mode for step in SAGAS[operation].steps}
    behaviours = BEHAVIOURS[operation].items()
    assert modes == {
        name: Mode.CALL if isinstance(behaviour, CallStep) else Mode.STORE
        for name, behaviour in behaviours
    }


@pytest.mark.parametrize("operation", list(Operation))
def test_each_operation_is_allowed_in_some_state_and_refused_in_the_others(operation):
    """A state that does not allow it is refused with a code, not with a fault."""
    states = [state for state in VmState if state is not VmState.LOCKED]
    able = [state for state in states if allowed(operation, state)]
    assert able
    for state in set(states) - set(able):
        with pytest.raises(ApiError):
            require(operation, state)


@pytest.mark.parametrize("operation", list(Operation))
@given(data=st.data())
def test_whatever_fails_is_taken_back_in_reverse_order(operation, data):
    saga = SAGAS[operation]
    failing = data.draw(st.integers(0, len(saga.steps) - 1))
    answers = iter([JournalEvent.DONE] * failing + [JournalEvent.FAILED])
    _, acts, end = played(saga, answers)
    assert end == SagaEnd(success=False, reason="")
    undone = [name for act, name in acts if act is ActionKind.UNDO]
    expected = [step.name for step in reversed(saga.steps[: failing + 1]) if step.undo]
    assert undone == expected


@pytest.mark.parametrize("operation", list(Operation))
def test_an_intent_without_a_result_is_settled_never_begun_again(operation):
    saga = SAGAS[operation]
    journal = []
    for step in saga.steps:
        if step.mode is Mode.CALL:
            move = next_action(
                saga, [*journal, JournalEntry(step.name, JournalEvent.INTENT, TICKET)]
            )
            assert move == NextAction(ActionKind.SETTLE, step, "encoded")
        journal.append(JournalEntry(step.name, JournalEvent.DONE))


@pytest.mark.parametrize("operation", list(Operation))
def test_a_call_seen_not_to_have_begun_is_begun_again(operation):
    saga = SAGAS[operation]
    journal = []
    for step in saga.steps:
        if step.mode is Mode.CALL:
            seen = [
                JournalEntry(step.name, JournalEvent.INTENT, TICKET),
                JournalEntry(step.name, JournalEvent.ABSENT),
            ]
            assert next_action(saga, journal + seen) == NextAction(ActionKind.BEGIN, step)
        journal.append(JournalEntry(step.name, JournalEvent.DONE))


def test_a_failure_that_left_nothing_behind_is_not_undone():
    saga = SAGAS[Operation.DEPLOY]
    journal = [
        JournalEntry("reserve", JournalEvent.DONE),
        JournalEntry("create", JournalEvent.INTENT, TICKET),
        JournalEntry("create", JournalEvent.FAILED, {"clean": True, "reason": "nobody answers"}),
    ]
    move = next_action(saga, journal)
    assert isinstance(move, NextAction)
    assert (move.act, move.step.name) == (ActionKind.UNDO, "reserve")
    end = next_action(saga, [*journal, JournalEntry("reserve", JournalEvent.UNDONE)])
    assert end == SagaEnd(success=False, reason="nobody answers")


@pytest.mark.parametrize("step", ["create", "power"])
def test_where_a_failure_says_so_the_saga_begins_anew_once_all_is_taken_back(step):
    """Not before: what was made elsewhere would be lost sight of. The second failure ends it."""
    saga = SAGAS[Operation.DEPLOY]
    places = {"create": [JournalEvent.DONE], "power": [JournalEvent.DONE, JournalEvent.DONE]}[step]
    journal, acts, end = played(
        saga, iter([*places, JournalEvent.FAILED]), {"again": True, "reason": "1"}
    )
    assert isinstance(end, NextAction)
    assert (end.act, end.step.name) == (ActionKind.AGAIN, "reserve")
    undone = [name for act, name in acts if act is ActionKind.UNDO]
    assert undone[-1] == "reserve"
    anew = [*journal, JournalEntry("reserve", JournalEvent.AGAIN)]
    assert next_action(saga, anew) == NextAction(ActionKind.BEGIN, saga.steps[0])
    over = [
        *anew,
        JournalEntry("reserve", JournalEvent.FAILED, {"clean": True, "reason": "nowhere"}),
    ]
    assert next_action(saga, over) == SagaEnd(success=False, reason="nowhere")
    assert tries([JournalEntry("create", JournalEvent.ABSENT), *anew], "create") == 0


def test_an_undo_whose_end_is_unknown_is_settled_first():
    saga = SAGAS[Operation.DEPLOY]
    journal = [
        JournalEntry("reserve", JournalEvent.DONE),
        JournalEntry("create", JournalEvent.INTENT, TICKET),
        JournalEntry("create", JournalEvent.FAILED, {"reason": "no"}),
        JournalEntry("create", JournalEvent.UNDO_INTENT, TICKET),
    ]
    move = next_action(saga, journal)
    assert isinstance(move, NextAction)
    assert (move.act, move.step.name) == (ActionKind.SETTLE_UNDO, "create")


def test_nothing_after_the_move_of_a_relocation_can_turn_it_back():
    final = [step.name for step in SAGAS[Operation.RELOCATE].steps if step.final]
    assert final == ["clear"]


@pytest.mark.parametrize("operation", list(Operation))
def test_jobs_are_those_of_the_wire(operation):
    """M-113: clients see Abiquo's job names."""
    jobs = {
        Operation.DEPLOY: ("SCHEDULE", "CONFIGURE", "POWER_ON"),
        Operation.UNDEPLOY: ("POWER_OFF", "DECONFIGURE"),
        Operation.RECONFIGURE: ("UPDATE_RESOURCES", "RECONFIGURE", "REGISTER_VM"),
        Operation.RELOCATE: ("SCHEDULE", "RELOCATE"),
    }
    assert SAGAS[operation].jobs() == jobs.get(operation, (operation.value,))
