"""A decision tells why, stays small, and survives being stored: the same bytes each way (B1)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.decisions import decision as decisions
from scheduler.decisions.decision import (
    BYTES_MAX,
    Decision,
    DecisionOutcome,
    DecisionQuestion,
    of_answer,
)
from scheduler.decisions.decision_text import render
from scheduler.decisions.explanation import summary
from scheduler.decisions.overlay import apply_overlay, diff
from scheduler.fleet.candidates import verdicts
from scheduler.fleet.usage_ledger import Key, Row, key_of
from scheduler.model.fit_policy import FitPolicy
from scheduler.model.inventory import AggregateScope, Datastore, Host, RuleSet
from scheduler.model.placement import HostVerdict, Placement, Refusal
from scheduler.model.reason import ReasonCode
from scheduler.model.values import replace
from tests.scheduler.places import (
    DATASTORE,
    DEMAND,
    HOST,
    SCOPE,
    World,
    datastores,
    demands,
    fleet_of,
    hosts,
    scopes,
    worlds,
)


def asked(demand=DEMAND, *, ahead=()) -> DecisionQuestion:
    return DecisionQuestion(demand, FitPolicy.PROGRESSIVE, 7, 3, ahead)


def answered(world: World, demand=DEMAND) -> Placement | Refusal:
    return fleet_of(world).place(demand, FitPolicy.PROGRESSIVE)


def refused(world: World, demand=DEMAND) -> Decision:
    answer = answered(world, demand)
    assert isinstance(answer, Refusal)
    return of_answer(asked(demand), answer)


@given(st.data())
def test_a_decision_survives_bytes_and_plain_values(data):
    world = data.draw(worlds())
    demand = data.draw(demands(world))
    made = of_answer(asked(demand), answered(world, demand))
    encoded = decisions.encode(made)
    assert decisions.decode(encoded) == made
    assert decisions.encode(decisions.decode(encoded)) == encoded
    plain = json.loads(json.dumps(decisions.to_mapping(made)))
    assert decisions.encode(decisions.from_mapping(plain)) == encoded


def lacks_of(verdict: HostVerdict) -> set[ReasonCode]:
    """What is counted of a host: one of another datacenter counts for that alone."""
    found = {reason.lack for reason in verdict.reasons}
    return {ReasonCode.DATACENTER} if ReasonCode.DATACENTER in found else found


@given(st.data())
def test_the_record_says_what_the_answer_said(data):
    """M-052: every host is counted, and no amount is changed on the way."""
    world = data.draw(worlds())
    demand = data.draw(demands(world))
    answer = answered(world, demand)
    made = of_answer(asked(demand), answer)
    if isinstance(answer, Placement):
        assert made.outcome is DecisionOutcome.PLACED
        assert made.chosen is not None
        assert (made.chosen.host, made.chosen.datastore) == (answer.host, answer.datastore)
        assert made.chosen.seen == answer.seen
        return
    assert made.outcome is DecisionOutcome.REFUSED
    assert made.refused is not None
    told = made.refused
    every = verdicts(fleet_of(world), demand)
    assert told.hosts == len(every) == sum(told.first.values())
    for lack in ReasonCode:
        having = [v for v in every if lack in lacks_of(v)]
        assert told.each.get(lack, 0) == len(having)
    assert len(told.nearest) == min(5, len(every))
    fewest = min((len(v.reasons) for v in every), default=0)
    if demand.only is None and told.nearest:
        assert len(told.nearest[0].reasons) == fewest


def test_the_nearest_host_is_the_one_that_lacks_least():
    full = replace(HOST, cpu_used=HOST.cpu_limit)
    almost = replace(HOST, id=2, name="almost", cpu_used=HOST.cpu_limit - 3)
    both = replace(full, id=3, name="both", ram_used_mib=HOST.ram_limit_mib)
    made = refused(World((both, full, almost), (DATASTORE,)), replace(DEMAND, cpu=4))
    assert made.refused is not None
    assert [miss.host for miss in made.refused.nearest] == [2, 1, 3]
    (reason,) = made.refused.nearest[0].reasons
    assert (reason.lack, reason.wanted, reason.spare, reason.limit) == (ReasonCode.CPU, 4, 3, 8)


def test_a_host_that_was_asked_for_is_told_before_all_others():
    """However many others lack less, and it is not called unknown."""
    worse = replace(HOST, id=2, cpu_used=99, ram_used_mib=99999, reachable=False)
    others = [replace(HOST, id=n) for n in range(3, 100)]
    made = refused(World((worse, *others), (DATASTORE,)), replace(DEMAND, only=frozenset({2})))
    assert made.refused is not None
    assert made.refused.nearest[0].host == 2
    assert "Not known" not in made.refused.summary


def test_the_record_of_a_refusal_does_not_grow_with_the_fleet():
    """Bounded: counts and five hosts, whether of 10 hosts or of 2,000."""
    many = tuple(replace(HOST, id=n, name=f"host-{n}", cpu_used=8) for n in range(1, 2001))
    small = len(decisions.encode(refused(World(many[:10], (DATASTORE,)))))
    large = len(decisions.encode(refused(World(many, (DATASTORE,)))))
    assert large - small < 100
    assert large < 2500


def test_what_is_too_large_is_cut_and_said():
    """Rows ahead go last: without them the decision cannot be repeated."""
    named = replace(HOST, name="x" * (BYTES_MAX // 4), cpu_used=8)
    many = tuple(replace(named, id=n) for n in range(1, 6))
    cut = decisions.decode(decisions.record(refused(World(many, (DATASTORE,)))))
    assert cut.cut == ("nearest",)
    ahead = tuple(("host", n, {"cpu_used": n, "ram_used_mib": n}) for n in range(4000))
    answer = answered(World((HOST,), (DATASTORE,)))
    record = decisions.record(of_answer(asked(ahead=ahead), answer))
    made = decisions.decode(record)
    assert made.cut == ("ahead",)
    assert len(record) < BYTES_MAX
    assert "Not kept: ahead." in render(made)


def test_a_placement_s_record_is_small():
    made = of_answer(asked(), answered(World((HOST,), (DATASTORE,), (SCOPE,))))
    assert len(decisions.encode(made)) < 1100


RULES = RuleSet(4, {0: FitPolicy.PACKING, 3: FitPolicy.PERFORMANCE}, {1: frozenset({2})})
ROWS = st.one_of(
    hosts(1),
    datastores(1),
    scopes("rack", 1),
    st.builds(lambda version: replace(RULES, version=version), st.integers(0, 3)),
)


@given(ROWS, ROWS)
def test_a_difference_laid_over_the_told_row_is_the_present_row(told: Row, present: Row):
    """Through JSON, as it is stored; a wrong field would be another answer on replay."""
    if key_of(told) != key_of(present):
        return
    key = key_of(told)
    for made in (diff(key, told, present), diff(key, None, present)):
        stored = () if made is None else (json.loads(json.dumps(made)),)
        assert apply_overlay({key: told}, stored) == {key: present}
    assert diff(key, told, told) is None


@pytest.mark.parametrize("row", [HOST, DATASTORE, SCOPE, RULES])
def test_rows_that_came_or_went_ahead_of_the_feed(row: Host | Datastore | AggregateScope | RuleSet):
    key: Key = key_of(row)
    came = diff(key, None, row)
    gone = diff(key, row, None)
    assert came is not None
    assert gone is not None
    assert apply_overlay({}, [json.loads(json.dumps(came))]) == {key: row}
    assert apply_overlay({key: row}, [gone]) == {}
    assert diff(key, None, None) is None


def test_a_row_that_the_log_lacks_is_not_made_up():
    with pytest.raises(ValueError, match="host 1 is not in the log"):
        apply_overlay({}, [("host", 1, {"cpu_used": 3})])


def test_a_placement_in_words():
    made = of_answer(asked(), answered(World((HOST,), (DATASTORE,))))
    text = render(made, {("host", 1): "esx1"})
    assert "Placed on host esx1 with disks on datastore 1: score 0.000000" in text
    assert "1 CPU -- 128 RAM (MiB)" in text
    assert "rule set 3 at position 7 of the feed, 0 rows ahead" in text


def test_a_refusal_in_words():
    made = refused(World((replace(HOST, cpu_used=8, cpu_rule="rule 4"),), (DATASTORE,)))
    text = render(made)
    assert "Of 1 hosts, by the first rule failed (and by all):\n  CPU: 1 (1)" in text
    assert "host1 (host 1):\n    CPU: 1 wanted, 0 spare of 8 (by rule 4)." in text


def test_without_hosts_no_host_is_named():
    """P1: a tenant sees counts and dimensions."""
    origin_free = replace(DEMAND, only=frozenset({1}))
    full = replace(HOST, name="secret-host", cpu_used=8)
    made = refused(World((full,), (DATASTORE,)), origin_free)
    assert "secret-host" in render(made)
    told = render(made, hosts=False)
    assert "secret" not in told
    assert "host 1" not in told
    assert "CPU: 1 (1)" in told
    placed = of_answer(asked(), answered(World((replace(HOST, name="secret-host"),), (DATASTORE,))))
    assert "host" not in render(placed, {("host", 1): "secret-host"}, hosts=False)


def test_the_summary_names_candidates_for_those_who_may_know():
    answer = answered(World((replace(HOST, name="esx1", cpu_used=8),), (DATASTORE,)))
    assert isinstance(answer, Refusal)
    assert "esx1" in summary(answer)
    assert "esx1" not in summary(answer, names=False)


def test_only_rows_of_the_four_kinds_are_kept():
    came = diff(("rack", 1), None, SCOPE)
    assert came is not None
    assert isinstance(apply_overlay({}, [came])["rack", 1], AggregateScope)
