"""Workload rules over HTTP: what is set is what the next decision keeps, and wrong ones say why."""

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
from tests.api.vm_client import Api


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world, with what rules are about."""
    async with serving_rules(store) as opened:
        yield opened


async def test_a_machine_rule_changes_the_limits_at_once_and_is_lifted(api: Api) -> None:
    """M-151: percentages of the physical size, exactly, in the same commit."""
    made = await api.call("POST", LOAD, load(150, 50, HOST))
    assert made.status == 201
    assert (made.body["cpuLoadPercentage"], made.body["aggregated"]) == (150, False)
    assert made.link("machine")["href"].endswith("/racks/1/machines/1")
    assert await limit(api, "host", 1, "cpu_limit") == 24
    assert await limit(api, "host", 1, "ram_limit") == 32768
    assert await limit(api, "host", 2, "cpu_limit") == 16
    assert api.woken
    path = f"{LOAD}/{made.body['id']}"
    assert (await api.call("GET", path)).body == made.body
    assert (await api.call("DELETE", path)).status == 204
    assert (await api.call("GET", path)).code == "RULE-3"
    assert await limit(api, "host", 1, "cpu_limit") == 16


async def test_the_most_specific_rule_counts(api: Api) -> None:
    for percent, link in ((200, DATACENTER), (300, RACK), (50, HOST)):
        assert (await api.call("POST", LOAD, load(percent, 100, link))).status == 201
    assert await limit(api, "host", 1, "cpu_limit") == 8
    assert await limit(api, "host", 2, "cpu_limit") == 48
    assert await limit(api, "host", 3, "cpu_limit") == 32


async def test_a_cluster_rule_comes_before_all_others(api: Api) -> None:
    """M-039: the cluster's rule first, then the most specific."""
    for percent, about in ((200, DATACENTER), (50, HOST), (400, CLUSTER)):
        assert (await api.call("POST", LOAD, load(percent, 100, about))).status == 201
    assert await limit(api, "host", 1, "cpu_limit") == 64
    assert await limit(api, "host", 2, "cpu_limit") == 64
    assert await limit(api, "host", 3, "cpu_limit") == 32


async def test_an_aggregated_cluster_rule_bounds_its_hosts_together(api: Api) -> None:
    assert (await api.call("POST", LOAD, load(50, 100, CLUSTER, aggregated=True))).status == 201
    assert await limit(api, "cluster", 1, "cpu_limit") == 16
    assert await limit(api, "host", 1, "cpu_limit") == 16


async def test_an_aggregated_rule_bounds_the_whole_rack(api: Api) -> None:
    assert (await api.call("POST", LOAD, load(50, 100, RACK, aggregated=True))).status == 201
    assert await limit(api, "rack", 1, "cpu_limit") == (16 + 16 + 16 + 1) * 50 // 100
    assert await limit(api, "host", 1, "cpu_limit") == 16


async def test_a_storage_rule_bounds_a_datastore(api: Api) -> None:
    made = await api.call("POST", STORAGE, {"storageLoadPercentage": 25, "links": [DATASTORE]})
    assert made.status == 201
    assert await limit(api, "datastore", 1, "disk_limit") == 2**40 // 4


async def test_the_last_fit_policy_stays(api: Api) -> None:
    only = (await api.call("GET", FIT)).body["collection"][0]
    assert only["fitPolicy"] == "PROGRESSIVE"
    refused = await api.call("DELETE", f"{FIT}/{only['id']}")
    assert (refused.status, refused.code) == (409, "RULE-4")
    more = await api.call("POST", FIT, {"fitPolicy": "PERFORMANCE", "links": [DATACENTER]})
    assert more.status == 201
    assert (await api.call("DELETE", f"{FIT}/{only['id']}")).status == 204


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "field"),
    [
        (LOAD, load(-1, 100, HOST), 400, "RULE-8", "cpuLoadPercentage"),
        (LOAD, load(100, 10_001, HOST), 400, "RULE-11", "ramLoadPercentage"),
        (LOAD, load(10_001, 100, HOST), 400, "RULE-10", "cpuLoadPercentage"),
        (LOAD, load(1.5, 100, HOST), 400, "RULE-8", "cpuLoadPercentage"),
        (LOAD, load("half", 100, HOST), 400, "RULE-8", "cpuLoadPercentage"),
        (LOAD, load(100, 100, HOST, aggregated="yes"), 400, "400-BAD-REQUEST", "aggregated"),
        (LOAD, {"ramLoadPercentage": 1, "links": [HOST]}, 400, "RULE-8", "cpuLoadPercentage"),
        (LOAD, load(True, 100, HOST), 400, "RULE-8", "cpuLoadPercentage"),
        (LOAD, load(100, 100), 400, "RULE-5", "links"),
        (LOAD, load(100, 100, HOST, HOST), 400, "RULE-5", "links"),
        (LOAD, load(100, 100, {"rel": "cluster", "href": DC}), 400, "RULE-5", "links[cluster]"),
        (LOAD, load(100, 100, {"rel": "rack", "href": "x"}), 400, "RULE-5", "links[rack]"),
        (
            LOAD,
            load(100, 100, {"rel": "machine", "href": f"{DC}/racks/1/machines/999"}),
            400,
            "RULE-5",
            "links[machine]",
        ),
        (
            LOAD,
            load(100, 100, HOST, {"rel": "rack", "href": f"{DC}/racks/2"}),
            400,
            "RULE-5",
            "links[rack]",
        ),
        (
            LOAD,
            load(100, 100, {"rel": "machine", "href": f"{DC}/racks/2/machines/1"}),
            400,
            "RULE-5",
            "links[machine]",
        ),
        (
            LOAD,
            load(100, 100, {"rel": "machine", "href": f"{DC[:-1]}2/racks/1/machines/1"}),
            400,
            "RULE-5",
            "links[machine]",
        ),
        (
            LOAD,
            load(100, 100, {"rel": "cluster", "href": f"{DC}/racks/1/clusters/9"}),
            400,
            "RULE-5",
            "links[cluster]",
        ),
        (LOAD, load(100, 100, DATASTORE), 400, "RULE-5", "links[datastore]"),
        (STORAGE, {"storageLoadPercentage": 101, "links": [DATASTORE]}, 400, "RULE-12", "storage"),
        (STORAGE, {"storageLoadPercentage": -1, "links": [DATASTORE]}, 400, "RULE-8", "storage"),
        (STORAGE, {"links": [DATASTORE]}, 400, "RULE-8", "storageLoadPercentage"),
        (STORAGE, {"storageLoadPercentage": 9}, 400, "RULE-9", "links"),
        (STORAGE, {"storageLoadPercentage": 9, "links": [HOST]}, 400, "RULE-9", "links[machine]"),
        (STORAGE, {"storageLoadPercentage": 9, "links": [TIER, TIER]}, 400, "RULE-9", "links"),
        (
            STORAGE,
            {
                "storageLoadPercentage": 9,
                "links": [{"rel": "datastoretier", "href": f"{DC}/datastoretiers/7"}],
            },
            400,
            "RULE-9",
            "links[datastoretier]",
        ),
        (
            FIT,
            {"fitPolicy": "PERFORMANCE", "packing": True, "links": [DATACENTER]},
            400,
            "RULE-6",
            "packing",
        ),
        (
            FIT,
            {"fitPolicy": "PROGRESSIVE", "packing": 1, "links": [DATACENTER]},
            400,
            "RULE-6",
            "packing",
        ),
        (FIT, {"links": [DATACENTER]}, 400, "RULE-6", "fitPolicy"),
        (APART, {"links": [ACME]}, 400, "RULE-5", "links[enterprise]"),
        (APART, {"links": [ACME, ACME]}, 400, "RULE-5", "links[enterprise]"),
        (APART, {"links": [ACME, OTHER, OTHER]}, 400, "RULE-5", "links[enterprise]"),
        (APART, {"links": [ACME, RACK]}, 400, "RULE-5", "links[rack]"),
        (
            APART,
            {"links": [ACME, {"rel": "enterprise", "href": "http://x/enterprises/77"}]},
            400,
            "RULE-5",
            "links[enterprise]",
        ),
        (APART, {}, 400, "RULE-5", "links[enterprise]"),
        (APART, [], 400, "400-BAD-REQUEST", "body"),
        (FIT, {"fitPolicy": "RANDOM"}, 400, "RULE-6", "fitPolicy"),
        (FIT, {"fitPolicy": "PROGRESSIVE"}, 409, "RULE-7", ""),
        (FIT, {"fitPolicy": "PROGRESSIVE", "links": [RACK]}, 400, "RULE-9", "links[rack]"),
    ],
)
async def test_a_wrong_rule_is_refused_by_its_code_and_field(
    api: Api, path: str, body: dict[str, Any], status: int, code: str, field: str
) -> None:
    before = await api.row("select count(*) from rule")
    refused = await api.call("POST", path, body)
    assert (refused.status, refused.code) == (status, code)
    assert field in refused.message
    assert await api.row("select count(*) from rule") == before
