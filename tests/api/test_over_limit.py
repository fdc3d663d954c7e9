"""A limit lowered below use: the simulation, the events and the resources name the same places."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.store.db.pool import Store
from tests.api.ruleset_world import FIT
from tests.api.test_rules_in_effect import DC, RACK, Live, machines, serving_live, to

PLACES = {
    "datacenter": to(DC, "datacenter"),
    "rack": to(RACK, "rack"),
    "cluster": to(f"{RACK}/clusters/1", "cluster"),
    "machine": to(f"{RACK}/machines/1", "machine"),
    "datastore": to(f"{DC}/datastores/1", "datastore"),
    "datastoretier": to(f"{DC}/datastoretiers/1", "datastoretier"),
}


@pytest.fixture
async def live(store: Store) -> AsyncIterator[Live]:
    """VMs on the machines 1 and 2, which are a cluster, with disks on datastore 1, of a tier."""
    async with serving_live(store) as made:
        await made.set("POST", "admin/rules/fitsPolicy", FIT[0])
        await made.set("POST", f"{RACK}/clusters", {"name": "blue", "links": machines(1, 2)})
        tier = await made.set("POST", f"{DC}/datastoretiers", {"name": "gold"})
        path = f"{DC}/datastoretiers/{tier['id']}/action/adddatastores"
        await made.set("PUT", path, {"links": [PLACES["datastore"]]})
        assert (await made.deploy(1))["host"] == 1
        await made.set("PUT", f"{RACK}/machines/1", {"state": "HALTED"})
        assert (await made.deploy(2))["host"] == 2
        yield made


async def marked(live: Live) -> set[tuple[str, int]]:
    """The machines and datastores that show it."""
    hosts = (await live.set("GET", f"{RACK}/machines"))["collection"]
    stores = (await live.set("GET", f"{DC}/datastores"))["collection"]
    for one in hosts:
        alone = await live.set("GET", f"{RACK}/machines/{one['id']}")
        assert alone["overLimit"] is one["overLimit"]
    return {
        (kind, one["id"])
        for kind, rows in (("host", hosts), ("datastore", stores))
        for one in rows
        if one["overLimit"]
    }


async def told(live: Live) -> set[tuple[str, int]]:
    """What events tell of."""
    await live.rig.sequencer.flush()
    events = (await live.set("GET", "events?entity=RULES&limit=0"))["collection"]
    return {
        (one["details"]["kind"], one["details"]["id"])
        for one in events
        if one["action"].endswith("_EXCEEDED")
    }


ALL_HOSTS = {("host", 1), ("host", 2), ("host", 3), ("host", 4)}
USED = {("host", 1), ("host", 2)}
STORE = {("datastore", 1)}
STORES = {("datastore", 1), ("datastore", 2)}  # one pool: what is in it counts in both


@pytest.mark.parametrize(
    ("level", "aggregated", "over", "shown"),
    [
        ("datacenter", False, USED, USED),
        ("rack", False, USED, USED),
        ("cluster", False, USED, USED),
        ("machine", False, {("host", 1)}, {("host", 1)}),
        ("datacenter", True, {("datacenter", 1)}, ALL_HOSTS),
        ("rack", True, {("rack", 1)}, ALL_HOSTS),
        ("cluster", True, {("cluster", 1)}, USED),
        ("datastore", None, STORE, STORE),
        ("datastoretier", None, STORE, STORE),
        ("datacenter", None, STORES, STORES),
    ],
)
async def test_all_say_the_same(
    live: Live, level: str, aggregated: bool | None, over: set[Any], shown: set[Any]
) -> None:
    about = {"links": [PLACES[level]]}
    if aggregated is None:
        rule: dict[str, Any] = {"storageLoadPercentage": 0, **about}
        kind, field = "datastoreloadlevel", "datastoreLoadRules"
    else:
        load = {"cpuLoadPercentage": 0, "ramLoadPercentage": 100, "aggregated": aggregated}
        rule = {**load, **about}
        kind, field = "machineLoadLevel", "machineLoadRules"
    assert (await marked(live), await told(live)) == (set(), set())
    draft = {field: [rule], "fitPolicyRules": FIT}
    found = await live.set("POST", "admin/rulesets/action/simulate?days=0", draft)
    assert {(one["kind"], one["id"]) for one in found["effect"]["over"]} == over
    made = await live.set("POST", f"admin/rules/{kind}", rule)
    assert (await told(live), await marked(live)) == (over, shown)
    await live.set("DELETE", f"admin/rules/{kind}/{made['id']}")
    assert (await told(live), await marked(live)) == (over, set())
