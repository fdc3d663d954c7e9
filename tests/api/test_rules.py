"""Workload rules over HTTP: what is set is what the next decision keeps, and wrong ones say why."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.store.pool import Store
from tests.api.vm_client import Api, serving

ROOT = "admin/rules"
LOAD = f"{ROOT}/machineLoadLevel"
STORAGE = f"{ROOT}/datastoreloadlevel"
FIT = f"{ROOT}/fitsPolicy"
DC = "http://x/api/admin/datacenters/1"
HOST = {"rel": "machine", "href": f"{DC}/racks/1/machines/1"}
RACK = {"rel": "rack", "href": f"{DC}/racks/1"}
DATACENTER = {"rel": "datacenter", "href": DC}
DATASTORE = {"rel": "datastore", "href": f"{DC}/datastores/1"}


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world, with the fit policy that is always there."""
    async with serving(store) as opened:
        async with store.transaction() as c:
            await c.execute(
                "insert into rule (kind, level, fit_policy) "
                "values ('fit_policy', 'global', 'PROGRESSIVE')"
            )
        yield opened


def load(cpu: int, ram: int, *links: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"cpuLoadPercentage": cpu, "ramLoadPercentage": ram, "links": [*links], **more}


async def limit(api: Api, kind: str, id_: int, column: str) -> int | None:
    found: int | None = await api.row(
        f"select {column} from ledger where kind = $1 and id = $2", kind, id_
    )
    return found


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
        (LOAD, load(100, 10_001, HOST), 400, "RULE-8", "ramLoadPercentage"),
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
        (STORAGE, {"storageLoadPercentage": 101, "links": [DATASTORE]}, 400, "RULE-8", "storage"),
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


async def test_all_rules_are_replaced_at_once_or_not_at_all(api: Api) -> None:
    body = {
        "machineLoadRules": {"collection": [load(200, 100, DATACENTER)]},
        "fitPolicyRules": {"collection": [{"fitPolicy": "PERFORMANCE"}]},
    }
    replaced = await api.call("POST", ROOT, body)
    assert replaced.status == 200
    assert await limit(api, "host", 1, "cpu_limit") == 32
    shown = await api.call("GET", ROOT)
    assert shown.body == replaced.body
    again = await api.call("POST", ROOT, shown.body)
    assert again.status == 200
    refused = await api.call("POST", ROOT, {"machineLoadRules": []})
    assert (refused.status, refused.code) == (409, "RULE-4")
    assert await limit(api, "host", 1, "cpu_limit") == 32
    elsewhere = await api.call("GET", f"{ROOT}?idDatacenter=2")
    assert elsewhere.body["machineLoadRules"]["collection"] == []
