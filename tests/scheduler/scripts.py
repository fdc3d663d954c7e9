"""Scripts for players, and rule sets to play them under, drawn at random."""

from hypothesis import strategies as st

from scheduler.model.fit_policy import FitPolicy
from scheduler.model.limits import Level, LoadKind, LoadRule, Rules
from scheduler.model.values import replace
from tests.scheduler.players import Step

words = st.sampled_from(
    ["deploy"] * 6 + ["remove", "remove", "grow", "move", "move", "settle", "close", "resize"]
)


def steps_of(words: st.SearchStrategy[str]) -> st.SearchStrategy[Step]:
    """Steps of these words, of small sizes, tenants and one layer."""
    return st.builds(
        Step,
        words,
        st.integers(0, 50),
        st.integers(1, 6),
        st.integers(0, 6),
        st.integers(0, 6),
        st.sampled_from(FitPolicy),
        st.sampled_from([None, None, 1, 2]),
        st.sampled_from([None, None, None, 7]),
    )


steps = steps_of(words)
percents = st.sampled_from([50, 100, 150, 300])


@st.composite
def rule_sets(draw: st.DrawFn) -> Rules:
    """Rules at several levels, and sometimes an exclusion."""
    compute = LoadKind.COMPUTE
    loads = [LoadRule(1, compute, Level.DATACENTER, 1, draw(percents), draw(percents))]
    if draw(st.booleans()):
        loads.append(LoadRule(2, compute, Level.RACK, 1, draw(percents), draw(percents)))
    if draw(st.booleans()):
        low = st.sampled_from([20, 40, 60])
        rule = LoadRule(3, compute, Level.RACK, 2, draw(low), draw(low))
        loads.append(replace(rule, aggregated=True))
    if draw(st.booleans()):
        loads.append(LoadRule(4, LoadKind.STORAGE, Level.DATASTORE, 1, storage_percent=50))
    exclusions = frozenset({(1, 2)}) if draw(st.booleans()) else frozenset()
    return Rules(tuple(loads), exclusions=exclusions, version=1)
