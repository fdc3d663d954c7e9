"""I11: every version of the rules has an author, also one that comes with what rules are about."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.store.capacity import ledger
from gateway.store.db.pool import Store
from tests.api.vm_client import Api, serving
from tests.api.vm_world import ROOT

LOADS = {
    "machine": ("machineLoadLevel", {"cpuLoadPercentage": 50, "ramLoadPercentage": 50}),
    "cluster": ("machineLoadLevel", {"cpuLoadPercentage": 50, "ramLoadPercentage": 50}),
    "datastoretier": ("datastoreloadlevel", {"storageLoadPercentage": 50}),
}
RACK = "admin/datacenters/1/racks/1"


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world."""
    async with serving(store) as opened:
        yield opened


async def versions(api: Api) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await api.call("GET", "admin/rulesets")).body["collection"]
    return found


async def element(api: Api, rel: str) -> str:
    """A new element of that sort; its path."""
    match rel:
        case "machine":
            made = await api.call(
                "POST", f"{RACK}/machines", {"name": "h9", "ip": "10.0.0.9", "type": "KVM"}
            )
            return f"{RACK}/machines/{made.body['id']}"
        case "cluster":
            host = {"rel": "machine", "href": f"{ROOT}{RACK}/machines/1"}
            made = await api.call("POST", f"{RACK}/clusters", {"name": "c", "links": [host]})
            return f"{RACK}/clusters/{made.body['id']}"
        case _:
            made = await api.call("POST", "admin/datacenters/1/datastoretiers", {"name": "t"})
            return f"admin/datacenters/1/datastoretiers/{made.body['id']}"


@pytest.mark.parametrize("rel", LOADS)
async def test_a_version_that_a_deletion_makes_has_its_author(api: Api, rel: str) -> None:
    path = await element(api, rel)
    collection, said = LOADS[rel]
    rule = {**said, "links": [{"rel": rel, "href": f"{ROOT}{path}"}]}
    made = await api.call("POST", f"admin/rules/{collection}", rule)
    assert made.status == 201, made.body
    before = await versions(api)
    assert (await api.call("DELETE", path)).status == 204
    after = await versions(api)
    assert len(after) == len(before) + 1
    assert [one["author"] for one in after[:2]] == ["admin", "admin"]
    assert all(one["author"] for one in after)


async def test_a_version_that_nobody_asked_for_is_the_gateways(api: Api) -> None:
    """What a rule is about went in another way."""
    before = await versions(api)
    async with api.store.transaction() as c:
        await c.execute(
            """insert into rule (kind, level, element_id, cpu_percent, ram_percent)
               values ('machine_load', 'machine', 1, 50, 50)"""
        )
        await ledger.refresh_limits(c)
    after = await versions(api)
    assert len(after) == len(before) + 1
    assert after[0]["author"] == "vmgate"
    assert all(one["author"] for one in after)
