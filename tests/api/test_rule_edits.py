"""Workload rules over HTTP, as they are named, tuned, told of and lifted."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.store.db.pool import Store
from tests.api.rule_world import (
    ACME,
    APART,
    CLUSTER,
    DATACENTER,
    DATASTORE,
    DC,
    FIT,
    HOST,
    LOAD,
    OTHER,
    RACK,
    STORAGE,
    TIER,
    limit,
    load,
    serving_rules,
)
from tests.api.vm_client import Api, link


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world, with what rules are about."""
    async with serving_rules(store) as opened:
        yield opened


async def test_a_rule_names_what_its_element_lies_in_and_takes_it_back(api: Api) -> None:
    """The answer lists the parents; given back, they must be the element's own."""
    shown = {
        LOAD: ((HOST, ["datacenter", "rack", "machine"]), (CLUSTER, ["datacenter", "rack"])),
        STORAGE: ((DATASTORE, ["datacenter", "datastore"]), (TIER, ["datacenter"])),
    }
    for path, cases in shown.items():
        for about, rels in cases:
            body = load(100, 100, about)
            if path == STORAGE:
                body = {"storageLoadPercentage": 90, "links": body["links"]}
            made = await api.call("POST", path, body)
            assert made.status == 201, made.body
            expected = ["edit", *rels]
            if about["rel"] not in rels:
                expected.append(about["rel"])
            assert [one["rel"] for one in made.body["links"]] == expected
            for rel in expected[1:]:
                href = link(made.body, rel)["href"]
                assert (await api.call("GET", href.partition("/api/")[2])).status == 200
            again = await api.call(
                "PUT", link(made.body, "edit")["href"].partition("/api/")[2], made.body
            )
            assert (again.status, again.body) == (200, made.body)
            assert (await api.call("POST", path, made.body)).code == "RULE-7"


async def test_a_rule_is_tuned_with_no_moment_without_it(api: Api) -> None:
    made = await api.call("POST", LOAD, load(150, 50, HOST))
    path = f"{LOAD}/{made.body['id']}"
    tuned = await api.call("PUT", path, {"cpuLoadPercentage": 200})
    assert (tuned.status, tuned.body["id"]) == (200, made.body["id"])
    assert (tuned.body["cpuLoadPercentage"], tuned.body["ramLoadPercentage"]) == (200, 50)
    assert await limit(api, "host", 1, "cpu_limit") == 32
    assert tuned.link("machine") == made.link("machine")
    fit = (await api.call("GET", FIT)).body["collection"][0]
    packed = await api.call("PUT", f"{FIT}/{fit['id']}", {**fit, "packing": True})
    assert (packed.body["fitPolicy"], packed.body["packing"]) == ("PROGRESSIVE", True)
    spread = await api.call("PUT", f"{FIT}/{fit['id']}", {"fitPolicy": "PERFORMANCE"})
    assert (spread.body["fitPolicy"], spread.body["packing"]) == ("PERFORMANCE", False)


@pytest.mark.parametrize(
    ("kind", "made", "change", "code", "field"),
    [
        (LOAD, load(1, 1, HOST), {"cpuLoadPercentage": -1}, "RULE-8", "cpuLoadPercentage"),
        (LOAD, load(1, 1, HOST), {"ramLoadPercentage": 10_001}, "RULE-11", "ramLoadPercentage"),
        (LOAD, load(1, 1, HOST), {"links": [RACK]}, "RULE-5", "links"),
        (LOAD, load(1, 1, RACK), {"links": [HOST]}, "RULE-5", "links"),
        (
            LOAD,
            load(1, 1, RACK),
            {"links": [{"rel": "rack", "href": f"{DC}/racks/2"}]},
            "RULE-5",
            "links[rack]",
        ),
        (
            STORAGE,
            {"storageLoadPercentage": 1, "links": [TIER]},
            {"storageLoadPercentage": 101},
            "RULE-12",
            "storageLoadPercentage",
        ),
        (
            STORAGE,
            {"storageLoadPercentage": 1, "links": [TIER]},
            {"links": [DATASTORE]},
            "RULE-9",
            "links",
        ),
        (
            FIT,
            {"fitPolicy": "PERFORMANCE", "links": [DATACENTER]},
            {"packing": True},
            "RULE-6",
            "packing",
        ),
        (
            FIT,
            {"fitPolicy": "PERFORMANCE", "links": [DATACENTER]},
            {"fitPolicy": "X"},
            "RULE-6",
            "fitPolicy",
        ),
    ],
)
async def test_a_wrong_change_of_a_rule_changes_nothing(
    api: Api, kind: str, made: dict[str, Any], change: dict[str, Any], code: str, field: str
) -> None:
    before = (await api.call("POST", kind, made)).body
    path = f"{kind}/{before['id']}"
    refused = await api.call("PUT", path, change)
    assert (refused.status, refused.code) == (400, code)
    assert refused.body["collection"][0]["field"] == field
    assert (await api.call("GET", path)).body == before


async def test_two_enterprises_are_kept_apart_and_let_together(api: Api) -> None:
    """One rule for a pair, in whichever order they are named."""
    made = await api.call("POST", APART, {"links": [OTHER, ACME]})
    assert made.status == 201
    ends = [one["href"].rpartition("/")[2] for one in made.body["links"][1:]]
    assert ends == ["1", "2"]
    path = f"{APART}/{made.body['id']}"
    assert (await api.call("GET", path)).body == made.body
    assert (await api.call("GET", APART)).body["collection"] == [made.body]
    for links in ([OTHER, ACME], [ACME, OTHER]):
        twice = await api.call("POST", APART, {"links": links})
        assert (twice.status, twice.code) == (409, "RULE-7")
    assert (await api.call("PUT", path, made.body)).status == 405
    assert (await api.call("DELETE", path)).status == 204
    for method in ("GET", "DELETE"):
        assert (await api.call(method, path)).code == "RULE-1"


async def test_every_edit_is_told(api: Api) -> None:
    """Section 9: one event for each rule applied and lifted, with what it says."""
    for path, body in (
        (LOAD, load(150, 50, HOST)),
        (FIT, {"fitPolicy": "PERFORMANCE", "links": [DATACENTER]}),
        (APART, {"links": [ACME, OTHER]}),
    ):
        made = await api.call("POST", path, body)
        assert (await api.call("DELETE", f"{path}/{made.body['id']}")).status == 204
    await api.sequence()
    events = (await api.call("GET", "events?asc=true&entity=RULES")).body["collection"]
    topics = ("LOADLEVEL", "LOADBALANCE", "RESTRICTSHARED")
    assert [one["action"] for one in events] == [
        f"{topic}_{what}" for topic in topics for what in ("APPLY", "DELETE")
    ]
    assert events[0]["details"]["cpuLoadPercentage"] == 150
    assert events[0]["user"] == "admin"
    assert events[0]["entityURI"] == "/api/admin/rules"


async def test_a_rule_goes_with_its_element(api: Api) -> None:
    """Nothing is left that speaks of what is gone."""
    for path, body in (
        (LOAD, load(100, 100, CLUSTER)),
        (STORAGE, {"storageLoadPercentage": 1, "links": [TIER]}),
        (LOAD, load(100, 100, HOST)),
    ):
        assert (await api.call("POST", path, body)).status == 201
    gone = [one["href"].partition("/api/")[2] for one in (CLUSTER, TIER, HOST)]
    for path in gone:
        assert (await api.call("DELETE", path)).status == 204
    assert await api.row("select count(*) from rule where kind <> 'fit_policy'") == 0
    await api.sequence()
    told = (await api.call("GET", "events?action=LOADLEVEL_DELETE")).body["collection"]
    assert len(told) == 3
