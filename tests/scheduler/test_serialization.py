"""M-I13 A row that was told can be rebuilt exactly, from text, without asking anybody."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields

from scheduler.model.fit_policy import FitPolicy
from scheduler.model.inventory import (
    AggregateScope,
    Datastore,
    Host,
    HostState,
    RuleSet,
    Tier,
    Tombstone,
)
from scheduler.model.serialization import Row, from_mapping, to_mapping

ID = st.integers(0, 2**63 - 1)
IDS = st.frozensets(ID, max_size=4)
TEXT = st.text(max_size=8)
LIMIT = st.none() | ID
TIER = st.builds(Tier, ID, TEXT, st.booleans(), st.booleans(), enterprises=st.none() | IDS)
NAMES = st.dictionaries(ID, TEXT, max_size=4)
ROWS = st.one_of(
    st.builds(
        Host,
        **{each.name: TEXT for each in fields(Host) if each.type in (str, "str")},
        **{each.name: ID for each in fields(Host) if each.type in (int, "int")},
        state=st.sampled_from(HostState),
        reachable=st.booleans(),
        networks=st.frozensets(TEXT, max_size=3),
        datastores=st.lists(ID, max_size=3).map(tuple),
        cluster=st.none() | ID,
        reserved_for=st.none() | ID,
        enterprises=IDS,
        layers=IDS,
    ),
    st.builds(
        Datastore,
        *(ID, TEXT, ID, st.booleans(), st.booleans(), ID, ID, TEXT, ID, ID),
        tier=st.none() | TIER,
        capacity_bytes=ID,
    ),
    st.builds(
        AggregateScope,
        st.sampled_from(["cluster", "rack", "datacenter"]),
        *(ID, TEXT, LIMIT, ID, LIMIT, ID, LIMIT, ID, TEXT, ID, ID),
    ),
    st.builds(
        RuleSet,
        ID,
        st.dictionaries(ID, st.sampled_from(FitPolicy), max_size=3),
        st.dictionaries(ID, IDS, max_size=3),
        IDS,
        NAMES,
        NAMES,
    ),
    st.builds(Tombstone, st.sampled_from(["host", "datastore", "cluster"]), ID, ID),
)


@given(ROWS)
def test_a_row_comes_back_from_text_as_it_was(row: Row) -> None:
    text = json.dumps(to_mapping(row))
    back = from_mapping(json.loads(text))
    assert back == row
    assert type(back) is type(row)
    assert json.dumps(to_mapping(back)) == text


def test_what_is_not_said_is_as_by_default() -> None:
    gone = Tombstone("host", 1, 2)
    assert from_mapping({"row": "rules", "version": 3}) == RuleSet(3)
    assert from_mapping({**to_mapping(gone)}) == gone


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"row": "rack"},
        {"row": "gone", "kind": "host", "id": 1},
        {"row": "gone", "kind": "host", "id": 1, "generation": 1, "colour": 1},
        {"row": "rules", "version": 1, "policies": {"0": "BEST"}},
    ],
)
def test_what_is_no_row_is_refused(told: dict[str, object]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each is told in its own words
        from_mapping(told)
