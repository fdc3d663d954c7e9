"""A recorded decision, asked again of the same rows, is the same; of other rows it says so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.decisions.decision import (
    BYTES_MAX,
    Decision,
    DecisionQuestion,
    decode,
    of_answer,
    record,
)
from scheduler.decisions.overlay import diff
from scheduler.decisions.replay import ReplayRows, replay
from scheduler.fleet.candidates import better_hosts_rejected
from scheduler.fleet.fleet import Fleet
from scheduler.fleet.usage_ledger import Key, Row, key_of
from scheduler.model.fit_policy import FitPolicy
from scheduler.model.inventory import RuleSet, Tombstone
from scheduler.model.placement import Placement
from scheduler.model.serialization import to_mapping
from scheduler.model.values import replace
from scheduler.model.version import VERSION
from tests.scheduler.places import DATASTORE, DEMAND, HOST, World, demands, fleet_of, worlds

RULES = RuleSet(30)


def rows_of(fleet: Fleet, keys: set[Key]) -> dict[Key, Row]:
    """What the fleet shows of these rows, promises counted in."""
    return {key_of(row): row for row in fleet.rows() if key_of(row) in keys}


def decided(fleet: Fleet, told: dict[Key, Row], demand=DEMAND, policy=FitPolicy.PROGRESSIVE):
    """The record of asking a fleet that may be ahead of what was told."""
    present = rows_of(fleet, set(told))
    ahead = [diff(key, told[key], present.get(key)) for key in sorted(told)]
    seen = tuple(each for each in ahead if each is not None)
    question = DecisionQuestion(demand, policy, 1, fleet.rules.version, seen)
    return of_answer(question, fleet.place(demand, policy))


@given(st.data())
def test_asked_again_with_the_rows_ahead_the_answer_is_the_same(data):
    """I13: with promises of the same process that the feed did not tell yet."""
    world = data.draw(worlds())
    told = {key_of(row): row for row in world.rows}
    fleet = fleet_of(world)
    for policy in data.draw(st.lists(st.sampled_from([*FitPolicy]), min_size=1, max_size=3)):
        demand = data.draw(demands(world))
        recorded = decided(fleet, told, demand, policy)
        found = replay(recorded, told, table=True)
        assert found.identical, found.why
        answer = fleet.place(demand, policy)
        listed = fleet.candidates(demand, policy)
        assert [row["host"] for row in found.hosts] == [host.id for host, _, _ in listed]
        assert [row["fits"] for row in found.hosts] == [not reasons for _, _, reasons in listed]
        if isinstance(answer, Placement):
            assert found.derived["passedOver"] == {
                lack.value: n for lack, n in better_hosts_rejected(fleet, demand, answer)
            }
            assert [row["host"] for row in found.hosts if row["chosen"]] == [answer.host]
            fleet.claim(answer, demand)


def recorded_with_a_promise() -> tuple[Decision, dict[Key, Row]]:
    """Host 1 is full by a promise that the feed did not tell, so host 2 was chosen."""
    world = World((HOST, replace(HOST, id=2, name="host2")), (DATASTORE,))
    fleet = fleet_of(world)
    whole = replace(DEMAND, cpu=8)
    first = fleet.place(whole, FitPolicy.PROGRESSIVE)
    assert isinstance(first, Placement)
    fleet.claim(first, whole)
    told = {key_of(row): row for row in world.rows}
    return decided(fleet, told), told


def test_without_the_rows_ahead_another_answer_is_told_as_such():
    recorded, told = recorded_with_a_promise()
    assert recorded.chosen is not None
    assert recorded.chosen.host == 2
    assert replay(recorded, told).identical
    forgotten = replace(recorded, question=replace(recorded.question, ahead=()))
    found = replay(forgotten, told)
    assert not found.identical
    assert found.why == (
        "asked again, the answer is host 1, datastore 1, and it was host 2, datastore 1"
    )


def test_another_scheduler_version_is_said():
    recorded, told = recorded_with_a_promise()
    older = replace(recorded, question=replace(recorded.question, scheduler="0"))
    assert replay(older, told).identical
    other = {**told, key_of(DATASTORE): replace(DATASTORE, id=1, generation=9)}
    assert replay(older, other).why == (
        "it was decided by scheduler 0, and this is scheduler " + VERSION
    )


def test_another_rule_set_is_said():
    recorded, told = recorded_with_a_promise()
    found = replay(recorded, {**told, key_of(RULES): RULES})
    was = recorded.question.rule_set
    assert found.why == f"it was decided under rule set {was}, and the log has rule set 30"


def test_what_was_cut_cannot_be_repeated():
    recorded, told = recorded_with_a_promise()
    with pytest.raises(ValueError, match="cut"):
        replay(replace(recorded, cut=("ahead",)), told)


def test_what_was_cut_to_its_bounds_is_made_again_with_the_same_cut():
    name = "x" * (BYTES_MAX // 4)
    full = tuple(replace(HOST, id=n, name=name, cpu_used=8) for n in range(1, 6))
    world = World(full, (DATASTORE,))
    told = {key_of(row): row for row in world.rows}
    recorded = decode(record(decided(fleet_of(world), told)))
    assert recorded.cut == ("nearest",)
    assert replay(recorded, told).identical


def test_what_the_log_lacks_cannot_be_repeated():
    recorded, _ = recorded_with_a_promise()
    with pytest.raises(ValueError, match="datastore 1 is not in the log"):
        replay(recorded, {})


def test_a_picture_keeps_the_newest_of_each_row():
    picture = ReplayRows([HOST])
    key = key_of(HOST)
    newer = replace(HOST, generation=3, cpu_used=3)
    picture.hear(key, to_mapping(newer))
    picture.hear(key, to_mapping(replace(HOST, generation=2, cpu_used=2)))
    assert picture.rows == {key: newer}
    use = {"cpu_used": 5, "ram_used": 6, "disk_used": 0, "enterprises": [1], "layers": []}
    picture.hear(key, {**use, "generation": 3, "character": 1})
    assert picture.rows == {key: newer}
    picture.hear(key, {**use, "generation": 4, "character": 1})
    used = replace(
        newer, cpu_used=5, ram_used_mib=6, enterprises=frozenset({1}), layers=frozenset(),
        generation=4,
    )  # fmt: skip
    assert picture.rows == {key: used}
    picture.hear(key, to_mapping(Tombstone("host", HOST.id, 3)))
    assert picture.rows == {key: used}
    picture.hear(key, to_mapping(Tombstone("host", HOST.id, 4)))
    assert picture.rows == {}


@given(worlds())
def test_a_picture_survives_bytes(world: World):
    rows = (*world.rows, RuleSet(4, {0: FitPolicy.PACKING}, {1: frozenset({2})}))
    picture = ReplayRows(rows)
    encoded = picture.encode()
    assert ReplayRows.decode(encoded).rows == picture.rows
    with pytest.raises(ValueError, match="length"):
        ReplayRows.decode(b"[[]]")
