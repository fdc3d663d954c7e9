"""All workload rules at once: replaced together or not at all, of a datacenter or of everything."""

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
    HOST,
    LOAD,
    OTHER,
    RACK,
    ROOT,
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


FULL: dict[str, Any] = {
    "machineLoadRules": {"collection": [load(200, 100, DATACENTER), load(50, 100, CLUSTER)]},
    "datastoreLoadRules": {"collection": [{"storageLoadPercentage": 50, "links": [TIER]}]},
    "fitPolicyRules": {
        "collection": [
            {"fitPolicy": "PERFORMANCE"},
            {"fitPolicy": "PROGRESSIVE", "packing": True, "links": [DATACENTER]},
        ]
    },
    "enterpriseExclusionRules": {"collection": [{"links": [ACME, OTHER]}]},
}
FIELDS = sorted(FULL)


def sizes(body: dict[str, Any]) -> list[int]:
    """How many rules of each kind, by the kind's name."""
    return [len(body[field]["collection"]) for field in FIELDS]


async def test_all_rules_are_replaced_at_once_or_not_at_all(api: Api) -> None:
    replaced = await api.call("POST", ROOT, FULL)
    assert (replaced.status, sizes(replaced.body)) == (201, [1, 1, 2, 2])
    assert await limit(api, "host", 1, "cpu_limit") == 8
    assert await limit(api, "host", 3, "cpu_limit") == 32
    assert await limit(api, "datastore", 1, "disk_limit") == 2**39
    shown = await api.call("GET", ROOT)
    assert shown.body == replaced.body
    again = await api.call("POST", ROOT, shown.body)
    assert (again.status, sizes(again.body)) == (201, [1, 1, 2, 2])
    refused = await api.call("POST", ROOT, {"machineLoadRules": []})
    assert (refused.status, refused.code) == (409, "RULE-4")
    assert (await api.call("GET", ROOT)).body == again.body
    fewer = await api.call("POST", ROOT, {"fitPolicyRules": [{"fitPolicy": "PROGRESSIVE"}]})
    assert sizes(fewer.body) == [0, 0, 1, 0]
    assert await limit(api, "host", 1, "cpu_limit") == 16


async def test_one_datacenter_s_rules_are_replaced_and_no_others(api: Api) -> None:
    far = {"rel": "datacenter", "href": "http://x/api/admin/datacenters/2"}
    assert (await api.call("POST", LOAD, load(300, 100, far))).status == 201
    assert (await api.call("POST", ROOT + "?idDatacenter=1", {})).status == 201
    here = {"machineLoadRules": [load(200, 100, HOST)]}
    replaced = await api.call("POST", f"{ROOT}?idDatacenter=1", here)
    assert (replaced.status, sizes(replaced.body)) == (201, [0, 0, 0, 1])
    everywhere = await api.call("GET", ROOT)
    assert sizes(everywhere.body) == [0, 0, 1, 2]
    assert await limit(api, "host", 5, "cpu_limit") == 48


async def test_exclusions_are_of_no_datacenter(api: Api) -> None:
    """Within one they are shown, stay when left out, and are replaced when given."""
    await api.call("POST", APART, {"links": [ACME, OTHER]})
    scoped = f"{ROOT}?idDatacenter=2"
    kept = await api.call("POST", scoped, {"machineLoadRules": []})
    assert sizes(kept.body) == [0, 1, 0, 0]
    lifted = await api.call("POST", scoped, {"enterpriseExclusionRules": []})
    assert sizes(lifted.body) == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        (
            {"machineLoadRules": [load(1, 1, HOST), load(-1, 1, RACK)]},
            400,
            "RULE-8",
            "machineLoadRules[1].cpuLoadPercentage",
        ),
        (
            {"machineLoadRules": [load(1, 1, HOST), load(2, 1, HOST)]},
            409,
            "RULE-7",
            "machineLoadRules[1].links[machine]",
        ),
        ({"machineLoadRules": [7]}, 400, "400-BAD-REQUEST", "machineLoadRules[0].body"),
        ({"machineLoadRules": 7}, 400, "400-BAD-REQUEST", "machineLoadRules"),
        (
            {"datastoreLoadRules": [{"storageLoadPercentage": 101, "links": [TIER]}]},
            400,
            "RULE-12",
            "datastoreLoadRules[0].storageLoadPercentage",
        ),
        (
            {"fitPolicyRules": [{"fitPolicy": "PERFORMANCE", "packing": True}]},
            400,
            "RULE-6",
            "fitPolicyRules[0].packing",
        ),
        ({"fitPolicyRules": []}, 409, "RULE-4", "fitPolicyRules"),
        (
            {"enterpriseExclusionRules": [{"links": [ACME, OTHER]}, {"links": [OTHER, ACME]}]},
            409,
            "RULE-7",
            "enterpriseExclusionRules[1].links[enterprise]",
        ),
        (
            {"enterpriseExclusionRules": [{"links": [ACME]}]},
            400,
            "RULE-5",
            "enterpriseExclusionRules[0].links[enterprise]",
        ),
    ],
)
async def test_one_wrong_rule_spoils_them_all(
    api: Api, change: dict[str, Any], status: int, code: str, field: str
) -> None:
    before = (await api.call("POST", ROOT, FULL)).body
    refused = await api.call("POST", ROOT, {**FULL, **change})
    assert (refused.status, refused.code) == (status, code)
    assert refused.body["collection"][0]["field"] == field
    assert (await api.call("GET", ROOT)).body == before


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"machineLoadRules": [load(1, 1, HOST)]}, "RULE-5"),
        ({"fitPolicyRules": [{"fitPolicy": "PROGRESSIVE"}]}, "RULE-9"),
        ({"datastoreLoadRules": [{"storageLoadPercentage": 1, "links": [DATASTORE]}]}, "RULE-9"),
    ],
)
async def test_a_rule_of_elsewhere_is_refused(api: Api, body: dict[str, Any], code: str) -> None:
    refused = await api.call("POST", f"{ROOT}?idDatacenter=2", body)
    assert (refused.status, refused.code) == (400, code)
    assert await api.row("select count(*) from rule") == 1


async def test_the_datacenter_must_be_there(api: Api) -> None:
    for method, body in (("GET", None), ("POST", FULL)):
        assert (await api.call(method, f"{ROOT}?idDatacenter=9", body)).code == "DC-0"
        assert (await api.call(method, f"{ROOT}?idDatacenter=x", body)).status == 400
