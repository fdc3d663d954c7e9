"""Hindsight on small random histories: the record made again is what would have been."""

from copy import deepcopy

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.model.fit_policy import FitPolicy
from scheduler.model.limits import Level, LoadKind, LoadRule, Rules
from scheduler.model.values import replace
from scheduler.simulation.backtest import Backtest, RecordedDecision
from scheduler.simulation.occupancy import Stay
from tests.scheduler.books import Books, Size, size_of
from tests.scheduler.chronicle import Chronicle, Deed, demand_of
from tests.scheduler.players import Step, cluster_of
from tests.scheduler.scripts import rule_sets, steps_of

Outcome = tuple[int, int] | str | None
"""A place, a refusal, or "absent": nobody was asked."""

words = st.sampled_from(
    ["deploy"] * 6
    + ["remove", "remove", "move", "move", "settle", "grow", "grow", "grow"]
    + ["hold", "take", "take", "unhold", "rules", "close"]
)
scripts = st.lists(steps_of(words), min_size=30, max_size=50)


@st.composite
def sums_and_rules(draw: st.DrawFn) -> Rules:
    """Rules of which one is about the sum of rack 2, so that history keeps it."""
    rules = draw(rule_sets())
    if not any(load.aggregated for load in rules.loads):
        kept = LoadRule(9, LoadKind.COMPUTE, Level.RACK, 2, 900, 900, aggregated=True)
        rules = replace(rules, loads=(*rules.loads, kept))
    return replace(rules, policies={0: draw(st.sampled_from(FitPolicy))})


def books_of(rules: Rules) -> Books:
    """Five hosts in two racks; VM 1 and 2 are there before history begins."""
    cluster = cluster_of(5, rules)
    books = Books(
        rules,
        {row.id: replace(row, cpu_limit=0) for row in cluster.hosts},
        {row.id: row for row in cluster.datastores},
    )
    for vm in (1, 2):
        step = Step("deploy", vm, vm, vm, 2, FitPolicy.PROGRESSIVE, 3, None)
        books.stays[vm] = [Stay(vm, 1, demand_of(vm, step))]
    return books


class Again(Books):
    """The deeds of a history, done under other rules by whoever has only these words for them."""

    outcomes: dict[str, Outcome]
    refused: int
    lost: int

    def play(self, deeds: list[Deed], past: set[int]) -> None:
        """Do them one after the other; `past` has a place in history."""
        self.outcomes, self.refused, self.lost, self.past = {}, 0, 0, past
        for deed in deeds:
            getattr(self, f"_{deed.word}")(deed)

    def _ask(self, deed: Deed) -> None:
        demand = deed.demand
        assert demand is not None
        moves = demand.origin is not None
        if not moves and deed.vm not in self.past:
            self.stays.pop(deed.vm, None)
        if deed.granted:
            self.past.add(deed.vm)
        if moves and deed.vm not in self.stays:
            self.outcomes[deed.id] = "absent"
            return
        if moves:
            demand = self.moving(deed.vm, demand)
        found = self.outcomes[deed.id] = self.place(demand, deed.seat)
        if deed.seat is not None and deed.granted:
            del self.stays[deed.seat]
        if found is not None and (deed.granted or not moves):
            stay = Stay(*found, replace(demand, origin=None, only=None))
            self.stays.setdefault(deed.vm, []).append(stay)

    def _leave(self, deed: Deed) -> None:
        self.past.discard(deed.vm)
        self.stays.pop(deed.vm, None)

    def _settle(self, deed: Deed) -> None:
        stays = self.stays.get(deed.vm, [])
        if len(stays) > 1:
            stays.pop(0 if deed.granted else 1)

    def _resize(self, deed: Deed) -> None:
        grows = max(deed.more) > 0
        if deed.vm not in self.stays:
            self.lost += grows
            return
        had = size_of(self.stays[deed.vm][-1])
        wanted: Size = tuple(  # type: ignore[assignment]
            new if more > 0 else min(new, old)
            for new, more, old in zip(deed.size, deed.more, had, strict=True)
        )
        if grows and not self.has_room(deed.vm, wanted):
            self.refused += 1
        else:
            self.resize(deed.vm, wanted)

    def _hold(self, deed: Deed) -> None:
        assert deed.stay is not None
        self.stays[deed.vm] = [deed.stay]

    def _unhold(self, deed: Deed) -> None:
        del self.stays[deed.vm]

    def _host(self, deed: Deed) -> None:
        assert deed.host is not None
        self.hosts[deed.host.id] = deed.host


def looked_back(chronicle: Chronicle, rules: Rules) -> Backtest:
    """The record read as the service reads it."""
    found = Backtest(chronicle.picture, rules)
    for each in chronicle.record:
        if isinstance(each, RecordedDecision):
            found.ask(each)
        else:
            found.hear(*each)
    return found


def outcomes_of(chronicle: Chronicle, found: Backtest) -> dict[str, Outcome]:
    """What came of each decision under the draft; of those not told it is what it was."""
    other: dict[str, Outcome] = {}
    for word, listed in found.others.items():
        if word != "same":
            other |= {
                one.asked.id: None if one.host is None else (one.host, one.datastore or 0)
                for one in listed
            }
    told: dict[str, Outcome] = {}
    for each in chronicle.record:
        if isinstance(each, RecordedDecision) and not each.decision.cut:
            chosen = each.decision.chosen
            was = None if chosen is None else (chosen.host, chosen.datastore)
            told[each.id] = other.get(each.id, was)
    return told


@settings(max_examples=60, deadline=None)
@given(st.lists(sums_and_rules(), min_size=2, max_size=3), scripts, st.booleans())
def test_unchanged_rules_give_history_back(
    rules: list[Rules], script: list[Step], lags: bool
) -> None:
    """B3: bit for bit, through moves, growth, held places that are taken over, closed hosts and
    other rules, whether or not the feed lags behind."""
    chronicle = Chronicle(books_of(rules[0]), rules, lags)
    chronicle.act(script)
    found = looked_back(chronicle, chronicle.books.rules)
    assert (found.unlike, found.first_unlike) == (0, None)
    assert found.counts["requests"] == chronicle.asked
    assert found.counts["unnamed"] == 0


@settings(max_examples=30, deadline=None)
@given(sums_and_rules(), scripts)
def test_the_rules_in_force_change_nothing(rules: Rules, script: list[Step]) -> None:
    """A draft that says what was in force all the time has every VM where it was."""
    script = [step for step in script if step.word != "rules"]
    chronicle = Chronicle(books_of(rules))
    chronicle.act(script)
    found = looked_back(chronicle, rules)
    assert found.counts["same"] + found.counts["unasked"] == chronicle.asked
    assert (found.counts["grown_refused"], found.counts["grown_absent"]) == (0, 0)
    assert found.peak_after == found.peak_before


@settings(max_examples=120, deadline=None)
@given(st.lists(sums_and_rules(), min_size=1, max_size=2), sums_and_rules(), scripts)
def test_a_draft_gives_what_would_have_been(
    rules: list[Rules], draft: Rules, script: list[Step]
) -> None:
    """The same requests, acted out one by one under the draft by adding everything up anew, have
    the outcomes that are told."""
    books = books_of(rules[0])
    again = Again(draft, dict(books.hosts), books.stores, deepcopy(books.stays))
    past = set(books.stays)
    chronicle = Chronicle(books, rules)
    chronicle.act(script)
    found = looked_back(chronicle, draft)
    again.play(chronicle.deeds, past)
    told = outcomes_of(chronicle, found)
    absent = [id for id, outcome in again.outcomes.items() if outcome == "absent"]
    assert {**told, **dict.fromkeys(absent, "absent")} == again.outcomes
    assert found.counts["absent"] == len(absent)
    assert found.counts["grown_refused"] == again.refused
    assert found.counts["grown_absent"] == again.lost
