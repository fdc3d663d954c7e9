"""The journal alone says what to do next; these are promises about that pure function (I1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.denial import Denied
from gateway.lifecycle import Operation, VmState, allowed, require
from gateway.tasks.operations import BEHAVIOURS
from gateway.tasks.saga import SAGAS, Act, End, Entry, Line, Mode, Move, next_move, tries
from gateway.tasks.steps import Call

TICKET = {"ticket": "encoded"}


def played(saga, answers, failed=None):
    """Play a saga to its end, or until it begins anew; `answers` picks DONE, ABSENT or FAILED for
    each step, `failed` is what is said of a failure."""
    journal: list[Line] = []
    acts: list[tuple[Act, str]] = []
    for _ in range(200):
        move = next_move(saga, journal)
        if isinstance(move, End) or move.act is Act.AGAIN:
            return journal, acts, move
        acts.append((move.act, move.step.name))
        journal += carried_out(move, answers, failed or {})
    raise AssertionError("the saga does not end")


def carried_out(move, answers, failed):
    """The lines that an executor would write for a move."""
    name = move.step.name
    undoing = move.act in (Act.UNDO, Act.SETTLE_UNDO)
    if undoing:
        intent = [Line(name, Entry.UNDO_INTENT, TICKET)] if move.step.undo is Mode.CALL else []
        return [*intent, Line(name, Entry.UNDONE)]
    intent = [Line(name, Entry.INTENT, TICKET)] if move.step.mode is Mode.CALL else []
    entry = next(answers)
    return [*intent, Line(name, entry, failed if entry is Entry.FAILED else {})]


@pytest.mark.parametrize("operation", list(Operation))
def test_every_operation_has_a_saga_that_ends_well_when_nothing_fails(operation):
    saga = SAGAS[operation]
    _, acts, end = played(saga, iter(lambda: Entry.DONE, None))
    assert end == End(success=True)
    assert acts == [(Act.BEGIN, step.name) for step in saga.steps]


@pytest.mark.parametrize("operation", list(Operation))
def test_each_step_has_a_behaviour_of_its_mode(operation):
    modes = {step.name: step.mode for step in SAGAS[operation].steps}
    behaviours = BEHAVIOURS[operation].items()
    assert modes == {
        name: Mode.CALL if isinstance(behaviour, Call) else Mode.STORE
        for name, behaviour in behaviours
    }


@pytest.mark.parametrize("operation", list(Operation))
def test_each_operation_is_allowed_in_some_state_and_refused_in_the_others(operation):
    """A state that does not allow it is refused with a code, not with a fault."""
    states = [state for state in VmState if state is not VmState.LOCKED]
    able = [state for state in states if allowed(operation, state)]
    assert able
    for state in set(states) - set(able):
        with pytest.raises(Denied):
            require(operation, state)


@pytest.mark.parametrize("operation", list(Operation))
@given(data=st.data())
def test_whatever_fails_is_taken_back_in_reverse_order(operation, data):
    saga = SAGAS[operation]
    failing = data.draw(st.integers(0, len(saga.steps) - 1))
    answers = iter([Entry.DONE] * failing + [Entry.FAILED])
    _, acts, end = played(saga, answers)
    assert end == End(success=False, reason="")
    undone = [name for act, name in acts if act is Act.UNDO]
    expected = [step.name for step in reversed(saga.steps[: failing + 1]) if step.undo]
    assert undone == expected


@pytest.mark.parametrize("operation", list(Operation))
def test_an_intent_without_a_result_is_settled_never_begun_again(operation):
    saga = SAGAS[operation]
    journal = []
    for step in saga.steps:
        if step.mode is Mode.CALL:
            move = next_move(saga, [*journal, Line(step.name, Entry.INTENT, TICKET)])
            assert move == Move(Act.SETTLE, step, "encoded")
        journal.append(Line(step.name, Entry.DONE))


@pytest.mark.parametrize("operation", list(Operation))
def test_a_call_seen_not_to_have_begun_is_begun_again(operation):
    saga = SAGAS[operation]
    journal = []
    for step in saga.steps:
        if step.mode is Mode.CALL:
            seen = [Line(step.name, Entry.INTENT, TICKET), Line(step.name, Entry.ABSENT)]
            assert next_move(saga, journal + seen) == Move(Act.BEGIN, step)
        journal.append(Line(step.name, Entry.DONE))


def test_a_failure_that_left_nothing_behind_is_not_undone():
    saga = SAGAS[Operation.DEPLOY]
    journal = [
        Line("reserve", Entry.DONE),
        Line("create", Entry.INTENT, TICKET),
        Line("create", Entry.FAILED, {"clean": True, "reason": "nobody answers"}),
    ]
    move = next_move(saga, journal)
    assert isinstance(move, Move)
    assert (move.act, move.step.name) == (Act.UNDO, "reserve")
    end = next_move(saga, [*journal, Line("reserve", Entry.UNDONE)])
    assert end == End(success=False, reason="nobody answers")


@pytest.mark.parametrize("step", ["create", "power"])
def test_where_a_failure_says_so_the_saga_begins_anew_once_all_is_taken_back(step):
    """Not before: what was made elsewhere would be lost sight of. The second failure ends it."""
    saga = SAGAS[Operation.DEPLOY]
    places = {"create": [Entry.DONE], "power": [Entry.DONE, Entry.DONE]}[step]
    journal, acts, end = played(saga, iter([*places, Entry.FAILED]), {"again": True, "reason": "1"})
    assert isinstance(end, Move)
    assert (end.act, end.step.name) == (Act.AGAIN, "reserve")
    undone = [name for act, name in acts if act is Act.UNDO]
    assert undone[-1] == "reserve"
    anew = [*journal, Line("reserve", Entry.AGAIN)]
    assert next_move(saga, anew) == Move(Act.BEGIN, saga.steps[0])
    over = [
        *anew,
        Line("reserve", Entry.FAILED, {"clean": True, "reason": "nowhere"}),
    ]
    assert next_move(saga, over) == End(success=False, reason="nowhere")
    assert tries([Line("create", Entry.ABSENT), *anew], "create") == 0


def test_an_undo_whose_end_is_unknown_is_settled_first():
    saga = SAGAS[Operation.DEPLOY]
    journal = [
        Line("reserve", Entry.DONE),
        Line("create", Entry.INTENT, TICKET),
        Line("create", Entry.FAILED, {"reason": "no"}),
        Line("create", Entry.UNDO_INTENT, TICKET),
    ]
    move = next_move(saga, journal)
    assert isinstance(move, Move)
    assert (move.act, move.step.name) == (Act.SETTLE_UNDO, "create")


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
